"""The bench measures what it says, keeps it, and compares it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.automata import eca, life
from experiments.bench import bare, generation, sweeping, timing, training
from experiments.bench.workloads import Case, Members
from tests.binaries import refused, run

ROOT = Path(__file__).parents[2]
SMALL = Case(depth=1, width=8, length=8, batch=4)


def run_bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "experiments.bench", *arguments],
        cwd=ROOT, env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True,
        timeout=1200,
    )  # fmt: skip


def test_what_packing_is_measured_against_makes_the_same_cells():
    ring, board = (
        jax.random.bernoulli(jax.random.key(0), 0.4, shape).astype(jnp.uint8)
        for shape in ((33,), (9, 13))
    )
    plain = generation.unpacked_eca(ring, generation.RULE, 7)
    np.testing.assert_array_equal(plain, eca.evolve(ring, generation.RULE, 7))
    np.testing.assert_array_equal(generation.unpacked_life(board, 6), life.evolve(board, 6))


def test_a_size_has_one_name():
    assert SMALL.name == "L1 D8 T8 batch 4, 1 run"
    assert Case(members=2, dtype="bfloat16").name == "L3 D128 T128 batch 96, 2 members, bfloat16"


def test_flops_of_a_step_are_those_of_the_published_count():
    """6 x matrix parameters + 12 L D T for each token, as the peers' shares were computed."""
    case = Case(depth=2, width=8, length=16, batch=4, members=2)
    piece = Members(case).steps(peak=1.0)  # so slow a machine that a call is one step
    assert piece.tokens == 2 * 4 * 16
    matrices = 12 * 2 * 8 * 8 + 2 * 8
    assert piece.flops == piece.tokens * (6 * matrices + 12 * 2 * 8 * 16)
    assert piece.mebibytes > 0 and piece.compile_seconds > 0
    assert piece.call()["nats"].shape == (2, 1)


def test_the_bare_step_predicts_causally_and_learns():
    case = SMALL._replace(batch=64)
    params = bare.init(jax.random.key(0), case, vocab=3)
    tokens = jax.random.randint(jax.random.key(1), (4, 8), 0, 3)
    first = jnp.arange(8) < 5
    coded = jnp.broadcast_to(first, tokens.shape)
    changed = jnp.where(first, tokens, (tokens + 1) % 3)
    price, other = (bare.loss(params, t, coded, case) for t in (tokens, changed))
    assert price == other != bare.loss(params, tokens, ~coded, case)
    uniform = bare.loss(params | {"head": 0 * params["head"]}, tokens, coded, case)
    assert uniform == pytest.approx(np.log(3), rel=1e-6)
    piece = bare.prepared(case)
    losses = [float(piece.call()) for _ in range(8)]
    assert losses[-1] < losses[0] and piece.tokens == bare.STEPS * 64 * 8


def test_parts_of_a_step_are_shares_of_the_whole(monkeypatch):
    """Whatever the machine did meanwhile: the fake one gets twice as fast after each piece."""
    clock = iter(range(10))

    class Nothing:
        def __init__(self, case):
            self.steps = lambda peak: None
            self.prediction = self.products = self.update = self.data = lambda: None

    def measured(piece, peak):
        fast = 2.0 ** next(clock)
        share = {0: 1.0, 1: 0.9, 2: 0.3, 3: 0.5, 4: 0.02, 5: 0.001}[int(np.log2(fast))]
        return {"tokens_per_s": 100 * fast / share, "peak_gflop_per_s": fast}

    monkeypatch.setattr(training, "_measured", measured)
    monkeypatch.setattr(training, "Members", Nothing)
    found = {row.split(": ")[1]: n["share_of_time"] for row, n in training.parts([SMALL])}
    assert found == pytest.approx(
        {
            "whole step": 1.0,
            "with ReLU in place of GELU": 0.9,
            "prediction alone": 0.3,
            "products of the layers alone": 0.5,
            "update alone": 0.02,
            "data alone": 0.001,
        }
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_piece_of_a_step_runs(dtype):
    members = Members(SMALL._replace(dtype=dtype))
    kernels = 12 * SMALL.depth * SMALL.width**2
    for piece, flops in (
        (members.prediction(), None),
        (members.products(), 6 * kernels * SMALL.batch * SMALL.length),
        (members.update(), 0),
        (members.data(), 0),
    ):
        results = jax.tree.leaves(piece.call())
        assert all(np.isfinite(np.asarray(leaf, float)).all() for leaf in results)
        assert flops is None or piece.flops == flops
        assert piece.tokens == SMALL.batch * SMALL.length


@pytest.mark.slow
def test_a_generator_is_measured():
    ((name, numbers),) = generation.generators(["eca"], batches=2, batch=4)
    assert name == "eca:cpu"
    assert numbers["tokens_per_s"] > numbers["examples_per_s"] > 0
    assert numbers["peak_gflop_per_s"] > 0


def test_what_is_not_shipped_or_lacks_a_package_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(generation, "assemble", lambda *_: (_ for _ in ()).throw(ValueError("x")))
    assert list(generation.generators(["eca"])) == []
    assert "eca is left out: x" in capsys.readouterr().err


def test_a_demo_that_does_not_start_says_so(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(RuntimeError, match="without a line of progress"):
        generation._first_line("nowhere", dict(os.environ))


def test_a_call_is_timed_between_two_peaks(monkeypatch):
    clock = iter([9.0, 2.0, 4.0, 3.0])  # the first one warms up

    class Peak:
        speeds = iter([10.0, 20.0, 30.0, 40.0])

        def flops_per_s(self):
            return next(self.speeds)

    monkeypatch.setattr(timing, "seconds", lambda call: next(clock))
    assert timing.timed(None, Peak(), patience=10.0) == (3.0, 25.0)


def test_what_takes_long_is_timed_once(monkeypatch):
    clock = iter([9.0, 8.0])

    class Peak:
        def flops_per_s(self):
            return 10.0

    monkeypatch.setattr(timing, "seconds", lambda call: next(clock))
    assert timing.timed(None, Peak(), patience=5.0) == (8.0, 10.0)


def test_rows_that_both_have_are_compared():
    row = {"section": "steps", "row": "L1"}
    then = {"rows": [row | {"tokens_per_s": 100.0, "old_number": 1.0, "zero": 0.0}]}
    now = {"rows": [row | {"tokens_per_s": 150.0, "zero": 1.0}, {"section": "steps", "row": "new"}]}
    lines = timing.comparison(then, now).splitlines()[1:]
    assert [line.split()[2:] for line in lines] == [
        ["tokens_per_s", "100", "150", "1.500", "-"],
        ["zero", "0", "1", "-", "-"],
    ]


def test_a_faster_machine_is_told_from_faster_code():
    row = {"section": "steps", "row": "L1"}
    then = row | {"tokens_per_s": 100.0, "seconds": 6.0, "share_of_peak": 0.5}
    now = row | {"tokens_per_s": 300.0, "seconds": 2.0, "share_of_peak": 0.75}
    peaks = {"peak_gflop_per_s": 200.0}, {"peak_gflop_per_s": 400.0}
    found = timing.comparison({"rows": [then | peaks[0]]}, {"rows": [now | peaks[1]]})
    assert [line.split()[2:] for line in found.splitlines()[1:]] == [
        ["tokens_per_s", "100", "300", "3.000", "1.500"],
        ["seconds", "6", "2", "0.333", "0.667"],
        ["share_of_peak", "0.5", "0.75", "1.500", "-"],
        ["peak_gflop_per_s", "200", "400", "2.000", "-"],
    ]


@pytest.mark.slow
def test_the_binary_measures_keeps_and_compares(tmp_path):
    sizes = ["--depth=1", "--width=8", "--length=8", "--batch=4", "--members=1,2"]
    done = run_bench("--only=steps,memory", *sizes, f"--json={tmp_path / 'first.json'}")
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "first.json").read_text())
    assert [row["row"] for row in kept["rows"]] == [
        "L1 D8 T8 batch 4, 1 run",
        "L1 D8 T8 batch 4, 2 members",
        "peak resident memory of this process",
    ]
    assert kept["rows"].pop()["mebibytes"] > 50
    for row in kept["rows"]:
        assert row["section"] == "steps" and row["row"] in done.stdout
        assert 0 < row["share_of_peak"] < 1 and row["tokens_per_s"] > 0
    assert kept["machine"]["software"]["jax"] == jax.__version__

    again = run_bench("--only=steps", *sizes[:-1], f"--compare={tmp_path / 'first.json'}")
    assert again.returncode == 0, again.stderr
    compared = again.stdout.split("now/then")[1]
    assert "share_of_peak" in compared and "2 members" not in compared

    second = run_bench("--only=steps", *sizes, f"--json={tmp_path / 'first.json'}")
    assert second.returncode == 2 and "this one exists" in second.stderr


@pytest.mark.parametrize(
    "size, part",
    [
        (dict(width=0), "observer.width=0"),
        (dict(length=15), "length=15: accepted even numbers"),
        (dict(members=0), "members=0"),
        (dict(microbatch=7), "run.microbatch=7"),
        (dict(dtype="float8"), "observer.dtype='float8'"),
    ],
)
def test_a_size_that_is_none_is_named(size, part):
    SMALL.check()
    with pytest.raises(ValueError, match=re.escape(part)):
        SMALL._replace(batch=96, **size).check()


@pytest.mark.parametrize(
    "argument, part",
    [
        ("--only=steps,stepz", "--only='stepz': accepted steps, "),
        ("--width=16,wide", "--width='wide': accepted a whole number"),
        ("--width=16,0", "observer.width=0"),
        ("--compare=README.md", "accepted the JSON of a bench"),
        ("--compare=no.json", "accepted the JSON of a bench"),
    ],
)
def test_a_mistake_is_one_line(argument, part):
    refused(run("bench", argument), part)


@pytest.mark.parametrize(
    "rows",
    ["[]1", '{"rows": [{"row": "x"}]}', '{"rows": [{"section": "a", "row": "x", "n": "1"}]}'],
)
def test_a_file_that_is_no_bench_is_refused_before_anything_is_measured(tmp_path, rows):
    (tmp_path / "odd.json").write_text(rows)
    done = run("bench", f"--compare={tmp_path / 'odd.json'}")
    refused(done, "accepted the JSON of a bench")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_fast_measures_the_sections_that_it_names(tmp_path):
    done = run_bench("--fast", f"--json={tmp_path / 'fast.json'}")
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "fast.json").read_text())["rows"]
    quick = {"steps", "compiling", "kernels", "starting", "memory"}
    assert {row["section"] for row in rows} == quick
    packed = {row["row"]: row.get("times_unpacked", 9) for row in rows}
    assert min(packed.values()) > 2, "packing cells does not pay"


def test_a_sweep_is_divided_into_its_parts(monkeypatch):
    for name, value in dict(MEMBERS=2, ENSEMBLES=1, MORE_ENSEMBLES=2, RECORDS=(1, 3)).items():
        monkeypatch.setattr(sweeping, name, value)
    rows = dict(sweeping.sweep())
    parts = rows["1 ensembles of 2 members of eca:tiny"]
    overhead = parts["planning_s"] + parts["claiming_and_recording_s"]
    assert parts["training_s"] > 0 and parts["claiming_and_recording_s"] > 0
    assert parts["overhead_share_of_training"] == pytest.approx(overhead / parts["training_s"])
    assert rows["files of a member"]["files"] > 2
    assert [rows[f"report of {n} records"]["cells"] for n in (1, 3)] == [1, 3]
    assert rows["memory of a worker over 2 ensembles"]["mebibytes_now"] > 10


def test_memory_grows_by_what_the_later_ensembles_add():
    assert sweeping.growth([100, 500, 510, 520, 530]) == {
        "mebibytes_then": 500, "mebibytes_now": 530, "growth": 10.0
    }  # fmt: skip
