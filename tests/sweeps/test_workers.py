"""Several processes on one sweep: they share the work, and none of it is lost or done twice."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from epx import record
from epx.sweeps import ensembles, grid, leases, local, status
from experiments.cli import standing
from tests.binaries import run
from tests.runs import same

ROOT = Path(__file__).parents[2]
SWEEP = """
from configs import base
from epx.sweeps import grid

def get_config(size="tiny"):
    config = base.get_config("tiny")
    config.generator.update(dict(name="life", height=3, width=3))
    config.observer.update(dict(name="counts"))
    config.run.steps, config.run.chunk, config.checkpoint.every = 60, 10, 10
    return config

def sweep():
    return grid.product(grid.vary("observer.order", (1, 2, 3)), grid.vary("run.seed", [0, 1]))
"""
NAMES = ["00-life-counts", "01-life-counts", "02-life-counts"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    file = tmp_path_factory.mktemp("workers") / "own.py"
    file.write_text(SWEEP)
    alone = start(file, file.parent / "alone")  # bits are equal on the same devices
    _, err = alone.communicate(timeout=120)
    assert alone.returncode == 0, err
    return file


def start(sweep, workdir):
    arguments = [f"--sweep={sweep}", f"--workdir={workdir}", "--quiet"]
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.sweep", *arguments], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def equals_one_process(sweep, workdir):
    """Every ensemble is there once, and equal to the bit."""
    folders = record.find(workdir / "records")
    assert [folder.name for folder in folders] == NAMES
    for folder in folders:
        reference = sweep.parent / "alone" / "records" / folder.name
        found, alone = record.load(folder), record.load(reference)
        same(found, alone)
        assert found.done["steps"] == 60 and found.rows["nats"].shape == (2, 60)


def killed_at_random(sweep, workdir, seconds):
    """Two workers, one of which is killed after so many seconds."""
    first, second = start(sweep, workdir), start(sweep, workdir)
    time.sleep(seconds)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate(timeout=60)
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    assert "bit/token" in out
    equals_one_process(sweep, workdir)


def test_one_of_two_workers_is_killed(sweep, tmp_path):
    killed_at_random(sweep, tmp_path, 2.5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_of_two_workers_is_killed_at_any_moment(sweep, tmp_path):
    random.seed(0)
    for n in range(20):
        killed_at_random(sweep, tmp_path / str(n), random.uniform(0.5, 6.0))


def test_two_workers_that_live_both_end_well(sweep, tmp_path):
    workers = [start(sweep, tmp_path) for _ in range(2)]
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err
        assert out.count("life") >= 3, "both report on the whole"
    equals_one_process(sweep, tmp_path)


def groups_of(tiny_config, *orders, **changes):
    config = tiny_config | {"observer": {"name": "counts"}} | changes
    return ensembles.ensembles(
        config, grid.product(grid.vary("observer.order", orders), grid.vary("run.seed", [0]))
    )


def test_what_failed_is_not_run_again_unless_asked(tiny_config, tmp_path):
    config = tiny_config | {"checkpoint": dict(every=None, keep=1)}
    groups = ensembles.ensembles(config, [{"optim.lr": 1e30, "run.seed": 0}])
    setups = local.prepare(groups)

    def attempts():
        steps = list(local.train(groups, setups, tmp_path))
        assert steps[-1].failed.startswith("no member has a finite loss")
        return len(steps)

    first = attempts()
    assert first > 1 and attempts() == 1
    status.forget_failures(tmp_path, groups)
    assert attempts() > 1
    found = status.of(tmp_path, groups[0])
    assert found.state == "failed" and "no member has a finite loss" in found.reason


def test_what_needs_a_failed_ensemble_fails_and_a_waiting_one_waits(tiny_config, tmp_path):
    teach, measure = (group._replace() for group in groups_of(tiny_config, 1, 2))
    measure = measure._replace(needs=(teach.name,))
    assert status.needs(tmp_path, measure) == "waiting"
    order = [step.ensemble.name for step in local.train(
        [measure, teach], local.prepare([measure, teach]), tmp_path) if step.progress]  # fmt: skip
    assert list(dict.fromkeys(order)) == [teach.name, measure.name]
    status.note_failure(tmp_path / "b", teach, "it was stopped", "me")
    steps = list(local.train([teach, measure], local.prepare([teach, measure]), tmp_path / "b"))
    assert [step.failed for step in steps] == ["it was stopped", "what it needs has failed"]


def test_a_worker_that_lost_its_lease_stops(tiny_config, tmp_path, monkeypatch):
    (group,) = groups_of(tiny_config, 1)
    monkeypatch.setattr(leases, "SECONDS", 0.01)
    steps = local.train([group], local.prepare([group]), tmp_path)
    for _ in range(2):
        next(steps)
    before = record.intact_steps(local.folder(tmp_path, group))
    claims = status.claims(tmp_path, group)
    (claims / "lease-000002.json").write_text('{"generation": 2, "owner": "b:1:x", "beat": 0,'
                                              ' "since": 0.0, "released": false}')  # fmt: skip
    with contextlib.closing(steps):
        assert next(steps).waits, "the other one may run it"
    assert record.intact_steps(local.folder(tmp_path, group)) <= before + 10


def test_a_record_that_somebody_still_writes_is_waited_for(tiny_config, tmp_path, monkeypatch):
    """A process that was suspended has lost its lease, and holds the lock of the record."""
    (group,) = groups_of(tiny_config, 1)
    monkeypatch.setattr(leases, "SECONDS", 0.01)
    steps = local.train([group], local.prepare([group]), tmp_path)
    with record.lock(local.folder(tmp_path, group)):
        assert next(steps).waits
    assert list(steps)[-1].progress.step == 40
    assert record.load(local.folder(tmp_path, group)).done["steps"] == 40


def test_where_the_ensembles_stand(tiny_config, tmp_path):
    groups = groups_of(tiny_config, 1, 2, 3)
    for _ in local.train(groups[:1], local.prepare(groups[:1]), tmp_path):
        pass
    chunks = local.train(groups[1:2], local.prepare(groups[1:2]), tmp_path)
    for _ in range(3):
        next(chunks)
    found = [status.of(tmp_path, group) for group in groups]
    assert [row.state for row in found] == ["done", "running", "waiting"]
    assert [row.step for row in found] == [40, 20, 0] and found[1].steps == 40
    assert str(os.getpid()) in found[1].owner
    flops = {group.name: 100.0 for group in groups}
    rows = [row._replace(seconds=10.0 * row.step) for row in found]
    text = standing.table(rows, flops, now=rows[1].since + 120)
    assert "20 of 40" in text and "for 2 min" in text
    # 1.5 ensembles took 600 s, and 1.5 are left.
    assert "3 ensembles, 3 runs: 1 done, 1 running, 1 waiting; 1.5e+02 FLOP left, 10 min" in text
    chunks.close()
    assert status.of(tmp_path, groups[1]).state == "waiting"
    assert np.isfinite(found[1].seconds)


def test_the_binary_shows_the_plan_and_runs_nothing(sweep, tmp_path):
    arguments = (f"--sweep={sweep}", f"--workdir={tmp_path / 'new'}")
    planned = run("sweep", *arguments, "--dry_run")
    assert planned.code == 0, planned.err
    assert "3 ensembles, 6 runs: 3 waiting" in planned.out
    assert "a forecast needs the first chunks" in planned.out
    assert not (tmp_path / "new").exists()
    done = run("sweep", f"--sweep={sweep}", f"--workdir={sweep.parent / 'alone'}", "--status")
    assert "3 ensembles, 6 runs: 3 done" in done.out and "FLOP" not in done.out


def test_an_ensemble_of_a_sweep_has_one_process(tiny_config):
    run_section = tiny_config["run"] | {"distributed": True}
    (group,) = groups_of(tiny_config, 1, run=run_section)
    with pytest.raises(ValueError, match=r"run\.distributed=True: accepted false in a sweep"):
        local.prepare([group])
