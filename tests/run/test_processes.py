"""One run in several processes: the rows of one process, and what happens when one is lost."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from epx import record
from epx.record import RecordError
from epx.run import processes
from tests import binaries

ROOT = Path(__file__).parents[2]
FLAGS = ["--config=eca:tiny", "--config.run.chunk=10", "--config.checkpoint.every=10",
         "--config.run.steps=200", "--config.run.seeds=1", "--config.eval.examples=32",
         "--quiet"]  # fmt: skip


def start(workdir, devices, *flags):
    environment = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    return subprocess.Popen(
        [sys.executable, "-m", "experiments.train", *FLAGS, f"--workdir={workdir}", *flags],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def start_two(workdir, *flags):
    """Two processes with two devices each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    joined = ["--config.run.distributed=true", f"--coordinator={address}", "--processes=2"]
    return [start(workdir, 2, *joined, f"--process={n}", *flags) for n in range(2)]


def ends(process, seconds=250):
    """Exit code and errors of a process."""
    _, err = process.communicate(timeout=seconds)
    return process.returncode, err


def wait_for_rows(workdir, running):
    while not list((workdir / "rows").glob("*.npz")):
        time.sleep(0.02)
        assert all(process.poll() is None for process in running), running[0].communicate()


def agree(first, second, steps):
    """Rows are those of other devices to rounding, which grows with the steps."""
    assert first.rows.keys() == second.rows.keys()
    for name in first.rows.keys() - {"seconds"}:
        early = [run.rows[name][:, :steps] for run in (first, second)]
        np.testing.assert_allclose(*early, rtol=1e-4, err_msg=name)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("lost", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_two_processes_give_the_rows_of_one_and_survive_a_loss(tmp_path, lost):
    """Batches are shared by the devices of both. One is killed; the same command goes on."""
    alone = start(tmp_path / "alone", 4)
    running = start_two(tmp_path / "two")
    wait_for_rows(tmp_path / "two", running)
    running[lost].kill()
    running[lost].wait()
    code, err = ends(running[1 - lost], seconds=60)
    assert code == 1 and err.splitlines()[-1].startswith(f"train: process {2 - lost} of 2 has lost")
    assert "Traceback" not in err
    again = [ends(process) for process in start_two(tmp_path / "two")]
    assert [code for code, _ in again] == [0, 0], again
    for number, (_, err) in enumerate(again, 1):
        assert f"4 x cpu, process {number} of 2" in err
    code, err = ends(alone)
    assert code == 0, err
    one, two = (record.load(tmp_path / name) for name in ("alone", "two"))
    assert 0 < record.intact_steps(tmp_path / "two") == 200
    agree(one, two, steps=20)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seeds", [4, 6])  # of 6 the devices have two each, of which two are copies
def test_members_over_two_processes_give_the_bits_of_one(tmp_path, seeds):
    """Nothing is summed over devices. The run is stopped, and goes on in a single process."""
    members = [f"--config.run.seeds={seeds}", "--config.run.batch=8"]
    running = start_two(tmp_path / "two", *members)
    wait_for_rows(tmp_path / "two", running)
    running[1].terminate()  # one has the signal, and both stop
    assert [ends(process)[0] for process in running] == [143, 143]
    done = record.intact_steps(tmp_path / "two")
    assert 0 < done < 200
    for name in ("two", "one"):
        code, err = ends(start(tmp_path / name, 4, *members))
        assert code == 0, err
    one, two = (record.load(tmp_path / name) for name in ("one", "two"))
    agree(one, two, steps=200)
    np.testing.assert_array_equal(one.rows["nats"], two.rows["nats"])
    assert one.env["by_member"] and two.env["by_member"]


TRAINER = """
import os, sys
from ray.train import RunConfig, ScalingConfig
from ray.train.v2.jax import JaxTrainer


def work(workdir, root):
    os.chdir(root)
    from epx.run import train
    from epx.run.setup import assemble
    from experiments.cli import configs, host

    os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"
    host.prepare(host.Process())
    keys = {"run.distributed": True, "run.chunk": 10, "run.steps": 20, "run.seeds": 1,
            "checkpoint.every": 10, "eval.examples": 32}
    for _ in train(assemble(configs.load("eca:tiny", keys)), workdir):
        pass


workdir, root = sys.argv[1:]
JaxTrainer(
    lambda: work(workdir, root), scaling_config=ScalingConfig(num_workers=2),
    run_config=RunConfig(storage_path=workdir + "-ray"),
).fit()
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_workers_of_ray_train_find_each_other(tmp_path):
    pytest.importorskip("ray.train", reason="pip install 'ray[train]'", exc_type=ImportError)
    file = tmp_path / "trainer.py"
    file.write_text(TRAINER)
    environment = os.environ | {"RAY_TRAIN_V2_ENABLED": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, file, tmp_path / "two", ROOT], env=environment, text=True,
        capture_output=True, cwd=tmp_path, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    code, err = ends(start(tmp_path / "alone", 4, "--config.run.steps=20"))
    assert code == 0, err
    one, two = (record.load(tmp_path / name) for name in ("alone", "two"))
    assert record.intact_steps(tmp_path / "two") == 20 and two.env["devices"] == 4
    agree(one, two, steps=20)


def test_a_single_process_needs_no_other(tmp_path):
    like = (np.zeros(2, np.float32), np.int32(0))
    value = (np.ones(2, np.float32), np.int32(5))
    assert processes.of_first(lambda: value, like) is value
    assert processes.any_of(True) and not processes.any_of(False) and processes.is_first()
    fetched = processes.fetch({"a": jax.numpy.arange(3)})
    assert isinstance(fetched["a"], np.ndarray) and fetched["a"].tolist() == [0, 1, 2]

    def fails():
        raise RecordError("in use")

    with pytest.raises(RecordError, match="in use"):
        processes.of_first(fails, like)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--coordinator=a:1"], "none without --config.run.distributed=true"),
        (["--config.run.distributed=true", "--processes=2"], "with --processes and --process"),
    ],
)
def test_flags_that_do_not_fit_are_refused(tmp_path, flags, named):
    done = binaries.run("train", "--config=eca:tiny", f"--workdir={tmp_path}", *flags)
    binaries.refused(done, "--coordinator", named)
