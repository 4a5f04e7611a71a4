"""Life, frames ahead: the claims on records whose numbers are known, the sweep, and a toy run."""

import json
import math

import numpy as np
import pytest

from configs import base
from configs.studies.observers import _data, life_frames, rates
from epx import record
from epx.report import claims, evidence, summary
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

LN2 = math.log(2.0)
FACTS = dict(
    vocab=2, size=None, length=40, parameters=10, forward_flops=100.0, learns_by_gradient=False
)
H = {1: (0.10, 0.09), 2: (0.30, 0.28), 4: (0.50, 0.45), 8: (0.70, 0.60)}


@pytest.fixture
def tuned(monkeypatch, tmp_path):
    chosen = tmp_path / "rates.json"
    labels = {run["label.observer"]: 0.1 for run in rates.sweep()}
    chosen.write_text(json.dumps({data.kind: labels for data in _data.DATA}))
    monkeypatch.setattr(_data, "CHOSEN", chosen)


def table(folder, losses=H):
    made = []
    for stride, pair in losses.items():
        for name, h in zip((life_frames.DIRECT, life_frames.TIED), pair):
            path = folder / f"{stride}-{name}"
            charged = np.full((5, 1), 1000 * h * LN2) + 0.01 * np.arange(5)[:, None]
            run = records.write(
                path, np.hstack([charged, 0 * charged]), np.tile([1000, 0], (5, 1)),
                np.full((5, 2), 500 * h * LN2), np.full((5, 2), 500), facts=FACTS,
                figure=dict(name="life_frames", size="cpu"), generator=dict(patch=1),
                label=dict(generator=f"{stride} ahead", observer=name),
                members=[{"run.seed": n} for n in range(5)],
            )  # fmt: skip
            evals = {key: values for key, values in run.evals[2].items() if key != "ema_nats"}
            evals["raw_nats"] = evals["raw_nats"] * (1 + 1e-4 * np.arange(5)[:, None])
            record.write_arrays(record.eval_path(path, 2), evals)
            made.append(record.load(path))
    return made


def verdicts(found):
    return {claim.number: claim.verdict for claim in claims.evaluate(life_frames, found)}


def test_claims_hold_and_fail_where_they_should(tmp_path):
    assert verdicts(table(tmp_path / "a")) == {131: "holds", 132: "holds"}
    easier = H | {8: (0.40, 0.60)}
    assert verdicts(table(tmp_path / "b", easier)) == {131: "fails", 132: "fails"}


def test_a_patch_has_many_cells(tmp_path):
    made = table(tmp_path, {8: (0.8, 0.4)})
    for record_of, patch in zip(made, (2, 4)):
        record_of.config["generator"]["patch"] = patch
    direct, tied = summary.runs(made)
    quantity = evidence.entropy_bits_per_tok
    assert life_frames.per_cell(direct, quantity)[0] == pytest.approx(0.8 / 4, rel=1e-3)
    assert life_frames.per_cell(tied, quantity)[0] == pytest.approx(0.4 / 16, rel=1e-3)


def test_the_size_for_a_gpu_is_within_its_compute(tuned):
    """20 minutes at 50 TFLOP a second."""
    config = life_frames.get_config("paper").to_dict()
    config["run"]["require_accelerator"] = False
    setups = local.prepare(ensembles(config, life_frames.sweep("paper")))
    assert sum(map(local.whole_flops, setups)) < 6e16


def test_the_sweep_has_both_learners_on_every_frame(tuned):
    for size, frames in (("cpu", 7), ("paper", 5)):
        runs = life_frames.sweep(size)
        assert len(runs) == frames * 2 * 5
        assert life_frames.get_config(size).figure.size == size
    with pytest.raises(base.SizeError):
        life_frames.get_config("tiny")


@pytest.mark.slow
def test_it_runs_is_checked_and_drawn(tuned, tmp_path):
    cut = {"run.steps": 20, "run.batch": 8, "eval.examples": 16, "eval.every": 10}
    cut |= {"run.chunk": 10, "checkpoint.every": 10}
    toys = [run | cut for run in life_frames.sweep() if run["run.seed"] < 2]
    groups = ensembles(life_frames.get_config().to_dict(), toys)
    for _ in local.train(groups, local.prepare(groups), tmp_path):
        pass
    done = [record.load(path) for path in record.find(tmp_path)]
    assert set(verdicts(done).values()) <= {"holds", "fails", "undecided"}
    life_frames.draw(summary.runs(done), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000
