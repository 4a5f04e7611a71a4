"""Workers that an engine starts: how the driver follows them, and a simulated cluster of Ray."""

import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from epx import record
from epx.record import RecordError
from epx.sweeps import ensembles, grid, local, remote, slurm, status
from tests import binaries
from tests.runs import same
from tests.sweeps import slurm_cluster

ROOT = Path(__file__).parents[2]
SWEEP = """
from configs import base
from epx.sweeps import grid

def get_config(size="tiny"):
    config = base.get_config("tiny")
    config.generator.update(dict(name="life", height=3, width=3))
    config.observer.update(dict(name="transformer", depth=1, width=8, head_dim=8))
    config.run.steps, config.run.chunk, config.checkpoint.every = 3000, 50, 50
    return config

def sweep():
    widths = grid.vary("observer.width", (8, 16, 24, 32, 40, 48))
    return grid.product(widths, grid.vary("run.seed", [0]))
"""


def plan_of(tiny_config, workdir, *orders):
    config = tiny_config | {"observer": {"name": "counts"}}
    runs = grid.product(grid.vary("observer.order", orders), grid.vary("run.seed", [0]))
    groups = ensembles.ensembles(config, runs)
    return groups, remote.plan(groups, workdir, nothing)


def nothing():
    """JAX has started."""


def test_a_worker_does_what_a_sweep_does(tiny_config, tmp_path):
    groups, plan = plan_of(tiny_config, tmp_path / "a", 1, 2)
    remote.work(plan)
    list(local.train(groups, local.prepare(groups), tmp_path / "b"))
    for group in groups:
        same(*(record.load(tmp_path / run / "records" / group.name) for run in "ab"))


def test_a_worker_that_is_stopped_saves_its_state(tiny_config, tmp_path):
    (group,), plan = plan_of(tiny_config, tmp_path, 1)
    asked = iter([False, True])
    remote.work(plan, is_stopping=lambda: next(asked))
    found = status.of(tmp_path, group)
    assert found.state == "waiting" and 0 < found.step < found.steps
    remote.work(plan)
    assert status.of(tmp_path, group).state == "done"


def test_the_driver_sees_the_work_and_its_end(tiny_config, tmp_path):
    groups, plan = plan_of(tiny_config, tmp_path, 1, 2, 3)
    status.note_failure(tmp_path, groups[1], "it was stopped", "me")
    looks = []

    def look():
        looks.append(1)
        remote.work(plan)
        return remote.Workers(0, [])

    steps = list(remote.follow(groups, tmp_path, look))
    assert [step.failed for step in steps if step.failed] == ["it was stopped"]
    assert len(looks) == 1 and steps[-1].waits


def test_workers_that_all_end_are_an_error_with_the_reason(tiny_config, tmp_path):
    groups, _ = plan_of(tiny_config, tmp_path, 1, 2)
    steps = remote.follow(groups, tmp_path, lambda: remote.Workers(0, ["no memory"]))
    with pytest.raises(RecordError, match="before 2 ensembles: no memory"):
        list(steps)


def test_workers_import_no_jax_before_they_have_a_core():
    code = "import sys, epx.sweeps.ray, epx.sweeps.slurm; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


def test_options_of_a_job():
    assert slurm.options(["partition=cpu", "time=60"]) == {"partition": "cpu", "time": 60}
    for wrong in (["partition"], ["partition=cpu"]):
        with pytest.raises(ValueError, match="--slurm"):
            slurm.options(wrong)


def test_flags_of_another_executor_are_refused(tmp_path):
    command = ("sweep", "--config=eca:tiny", "--vary=run.seed=0", f"--workdir={tmp_path}")
    for flags, named in (
        (["--workers=2"], "none with --executor=local"),
        (["--executor=slurm"], "the number of jobs"),
        (["--executor=slurm", "--workers=2", "--address=x"], "--address"),
        (["--executor=ray", "--slurm=time=1"], "--slurm"),
        (["--executor=slurm", "--workers=2", "--slurm=time"], "pairs such as"),
    ):
        binaries.refused(binaries.run(*command, *flags), named)


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_package_that_is_missing_is_named(executor, package, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=rf"pip install 'epx-jax\[{executor}\]'"):
        remote.require_package(executor, package)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A sweep file, and its records by one process on one core, as workers have."""
    file = tmp_path_factory.mktemp("ray") / "own.py"
    file.write_text(SWEEP)
    done = start(file, file.parent / "alone", before=["taskset", "-c", "0"])
    _, err = done.communicate(timeout=600)
    assert done.returncode == 0, err
    return file


def start(file, workdir, *flags, before=(), env=None):
    command = [*before, sys.executable, "-m", "experiments.sweep", f"--sweep={file}"]
    return subprocess.Popen(
        [*command, f"--workdir={workdir}", "--quiet", *flags], cwd=ROOT, env=env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def cluster():
    """Three nodes of one core each, on this machine."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="pip install 'epx-jax[ray]'")
    found = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    found.nodes = [found.add_node(num_cpus=1) for _ in range(2)]
    yield found
    with contextlib.suppress(Exception):  # a node may be gone
        found.shutdown()


def owners(workdir):
    """The processes that hold a lease."""
    folders = (workdir / "claims").glob("*")
    found = [lease for folder in folders if (lease := status.leases.current(folder))]
    return [int(lease.owner.split(":")[-2]) for lease in found if not lease.released]


def equals_one_process(sweep, workdir):
    """Every ensemble is there once, and equal to the bit."""
    folders = record.find(workdir / "records")
    assert len(folders) == 6
    for folder in folders:
        alone = sweep.parent / "alone" / "records" / folder.name
        same(record.load(folder), record.load(alone))


def wait_for_owners(driver, workdir):
    while len(found := owners(workdir)) < 2:
        time.sleep(0.2)
        assert driver.poll() is None, driver.stderr.read()
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("loss", ["nothing", "worker", "node"])
def test_a_cluster_of_ray_gives_the_rows_of_one_process(sweep, cluster, tmp_path, loss):
    driver = start(sweep, tmp_path, "--executor=ray", f"--address={cluster.address}")
    if loss != "nothing":
        running = wait_for_owners(driver, tmp_path)
        if loss == "worker":
            os.kill(running[0], signal.SIGKILL)
        else:
            cluster.remove_node(cluster.nodes[0], allow_graceful=False)
    _, err = driver.communicate(timeout=800)
    assert driver.returncode == 0, err
    equals_one_process(sweep, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(slurm_cluster.missing() != "", reason=slurm_cluster.missing())
@pytest.mark.parametrize("loss", ["a preemption", "a job"])
def test_a_cluster_of_slurm_gives_the_rows_of_one_process(sweep, tmp_path, loss):
    """A job of a higher partition takes both cores; or one of the two jobs is cancelled."""
    pytest.importorskip("submitit", reason="pip install 'epx-jax[slurm]'")
    with slurm_cluster.started(tmp_path / "cluster") as environment:

        def slurm(*words):
            return subprocess.run(
                words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
            ).stdout

        flags = ["--executor=slurm", "--workers=2", "--slurm=partition=low,time=60"]
        driver = start(sweep, tmp_path / "w", *flags, env=environment)
        wait_for_owners(driver, tmp_path / "w")
        if loss == "a job":
            slurm("scancel", slurm("squeue", "-h", "-o", "%i").split()[0])
        else:
            slurm("sbatch", "-p", "high", "-n", "2", "--wrap", "sleep 5")
        _, err = driver.communicate(timeout=800)
        assert driver.returncode == 0, err
        jobs = slurm("scontrol", "show", "jobs")
        assert ("Restarts=1" in jobs) == (loss == "a preemption")
    equals_one_process(sweep, tmp_path / "w")
