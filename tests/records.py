"""Records written by hand, for tests of ledger and reports."""

import numpy as np

from epx import record


def write(path, nats, coded, raw, held_out_coded, finite=None, members=None, **config):
    """A record of one chunk: nats and coded of shape (M, steps), raw of shape (M, E)."""
    nats, coded = np.asarray(nats, np.float32), np.asarray(coded, np.int32)
    steps = nats.shape[1]
    facts = dict(
        vocab=2, size=None, length=40, parameters=10, forward_flops=100.0, learns_by_gradient=True
    )
    record.write_json(path / "env.json", {})
    record.write_json(
        path / "config.json",
        {"facts": facts, "eval": {"test_tokens": None}, "members": members, **config},
    )
    rows = dict(
        nats=nats,
        coded_tok=coded,
        all_tok=2 * coded,
        flops=np.full(nats.shape, 300.0, np.float32),
        finite=np.ones(nats.shape, bool) if finite is None else np.asarray(finite),
        passes=np.zeros(nats.shape, np.int32),
        seconds=np.ones(nats.shape),
    )
    record.write_arrays(record.row_path(path, 0), rows)
    evals = dict(raw_nats=np.asarray(raw, np.float32), coded_tok=np.asarray(held_out_coded))
    evals["ema_nats"] = evals["raw_nats"] / 2
    record.write_arrays(record.eval_path(path, steps), evals)
    return record.load(path)


def rewrite(run, **rows):
    """The same record with rows added or replaced."""
    record.write_arrays(record.row_path(run.path, 0), run.rows | rows)
    return record.load(run.path)


def requential_record(tmp_path):
    """Teacher: 6 nats for 20 tokens, waiting once, anchor 0.2. Student: KL 3.5 for 45 tokens, its
    own anchor 0.1."""
    code = {"name": "requential", "message": None, "teacher_steps": 3}
    run = write(tmp_path, [[4, 2, 0]], [[10, 10, 0]], [[1, 3]], [[20, 20]],
                run={"batch": 7}, code=code)  # fmt: skip
    steps = dict(
        kl_nats=[[2.0, 1.0, 0.5]], sampled_tok=[[15, 15, 15]], sampled_nats=[[9.0, 6.0, 3.0]],
        messages=[[1, 1, 1]], overhead_nats=[[7.0, 5.0, 4.0]],
        teacher_flops=[[900.0, 900.0, 0.0]], draw_flops=[[500.0] * 3],
    )  # fmt: skip
    run = rewrite(run, **{name: np.array(value) for name, value in steps.items()})
    evals = run.evals[3]
    for name in ("raw", "ema"):
        evals[f"teacher_{name}_nats"] = 2 * evals[f"{name}_nats"]
    record.write_arrays(record.eval_path(tmp_path, 3), evals)
    return record.load(tmp_path)


def finite_record(tmp_path, nats, passes, size=20, batch=10):
    run = write(tmp_path, [nats], [[10] * len(nats)], [[1, 3]], [[20, 20]],
                run={"batch": batch, "examples": size})  # fmt: skip
    return rewrite(run, passes=np.array([passes]))
