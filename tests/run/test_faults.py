"""Nothing is lost: what a run meets in real life, and what it leaves behind."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp
import pytest

from epx import record
from epx.run import checkpoint, loop
from epx.run import setup as setups
from tests import binaries
from tests.runs import rows, same, with_run
from tests.runs import train as chunks_of

ROOT = Path(__file__).parents[2]
TINY = [
    "--config=life:tiny", "--config.generator.height=3", "--config.generator.width=3",
    "--config.observer.name=tests.linear",
    "--config.run.chunk=10", "--config.checkpoint.every=20", "--config.eval.examples=32",
]  # fmt: skip


def train(workdir, *arguments, **options):
    """Starts the binary; two of its devices, as the tests run two at a time."""
    command = [sys.executable, "-m", "experiments.train", *TINY, f"--workdir={workdir}", *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )


def finish(process, code=0):
    output = process.communicate(timeout=300)[0]
    assert process.returncode == code, output
    assert "Traceback" not in output, output
    return output


def wait_for(path, pattern, process):
    deadline = time.monotonic() + 200
    while not list(path.glob(pattern)):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.005)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    path = tmp_path_factory.mktemp("undisturbed")
    finish(train(path))
    return record.load(path)


def test_sigterm_saves_and_says_how_to_go_on(undisturbed, tmp_path):
    process = train(tmp_path, "--config.run.steps=200000")
    wait_for(tmp_path, "rows/*.npz", process)
    process.send_signal(signal.SIGTERM)
    output = finish(process, 128 + signal.SIGTERM)
    assert "the same command resumes from there" in output and str(tmp_path) in output
    steps = checkpoint.steps(tmp_path / "ckpt")
    assert steps and steps[-1] == record.intact_steps(tmp_path)
    found = record.load(tmp_path).rows["nats"][:, :10]
    np.testing.assert_array_equal(found, undisturbed.rows["nats"][:, :10])


def test_killed_at_any_moment_and_started_again(undisturbed, tmp_path):
    for pattern in ("config.json", "rows/*000.npz", "ckpt/*", "rows/*110.npz"):
        process = train(tmp_path)
        wait_for(tmp_path, pattern, process)
        process.kill()
        process.communicate()
    finish(train(tmp_path))
    same(record.load(tmp_path), undisturbed)


@pytest.mark.slow
def test_a_full_disk_is_named_and_loses_nothing(undisturbed, tmp_path):
    """A limit on the size of files stands in for a full disk: rows fit, a checkpoint does not."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))

    environment = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    output = finish(train(tmp_path, preexec_fn=limit, env=environment), 1)
    assert "cannot write" in output and "free disk space and start the same command again" in output
    assert not (tmp_path / "done.json").exists()
    finish(train(tmp_path))
    same(record.load(tmp_path), undisturbed)


def test_full_disk_leaves_no_partial_rows_file(tmp_path, monkeypatch):
    def no_space(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(record.RecordError, match=r"rows.000000010.npz: No space left"):
        record.write_arrays(record.row_path(tmp_path, 10), {"nats": np.zeros(3)})
    assert list((tmp_path / "rows").iterdir()) == []


def test_a_second_run_in_a_directory_is_refused(reference, tmp_path):
    config, _ = reference
    chunks = chunks_of(config, tmp_path)
    next(chunks)
    with pytest.raises(record.RecordError, match="in use by another process"):
        next(chunks_of(config, tmp_path))
    done = binaries.run("train", *TINY, f"--workdir={tmp_path}")
    assert done.code == 1 and "in use by another process" in done.err, done
    chunks.close()
    assert len(rows(config, tmp_path).evals) == 2


def test_another_config_is_refused_with_the_difference(undisturbed):
    output = finish(train(undisturbed.path, "--config.optim.lr=0.02", "--config.run.steps=300"), 1)
    assert "optim.lr: 0.02 -> 0.03" in output and "run.steps" not in output
    same(record.load(undisturbed.path), undisturbed)


def test_a_longer_run_extends_a_finished_one_to_the_same_rows(reference, tmp_path):
    """Whatever cannot change the rows may change with it."""
    evaluation = dict(every=None, examples=16, test_tokens=None, rulers=False, against=None)
    config = with_run(reference[0], steps=70, chunk=14) | {"eval": evaluation}
    whole = rows(config, tmp_path / "at once")
    rows(reference[0], tmp_path / "extended")
    extended = rows(config, tmp_path / "extended")
    for name in whole.rows.keys() - {"seconds"}:
        np.testing.assert_array_equal(extended.rows[name], whole.rows[name], err_msg=name)
    assert sorted(extended.evals) == [20, 40, 70] and extended.env["extended"] == [40]
    assert extended.done["steps"] == 70
    with pytest.raises(record.RecordError, match=r"run.steps=70: accepted are that many or more"):
        rows(reference[0], tmp_path / "extended")


def test_a_checkpoint_of_an_older_version_is_named(reference, tmp_path):
    config, _ = reference
    rows(config, tmp_path, stop_after=3)
    state = {"params": np.zeros(3), "opt": np.zeros(3), "ema": np.zeros(3), "step": np.int32(20)}
    folder = tmp_path / "ckpt" / "000000020"
    shutil.rmtree(folder, ignore_errors=True)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder, {"state": state, "sha256": np.zeros(32, np.uint8)})
    with pytest.raises(record.RecordError, match="written by an older version of epx"):
        rows(config, tmp_path)
    assert record.load(tmp_path).rows["nats"].shape == (2, 20), "its rows stay"


def test_a_record_of_an_older_version_is_read_with_todays_names(reference, tmp_path):
    rows(reference[0], tmp_path)
    config = record.read_json(tmp_path / "config.json")
    config |= {"label": {"world": "Life"}, "code": {"name": "requential", "teacher": "projection"}}
    config["members"][0]["label.world"] = "frames"
    record.write_json(tmp_path / "config.json", config)
    found = record.load(tmp_path).config
    assert found["label"] == {"generator": "Life"} and found["code"]["pacing"] == "projection"
    assert found["members"][0]["label.generator"] == "frames"


def test_foreign_files_are_not_touched(reference, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(record.RecordError, match=r"no record: thesis.tex"):
        rows(reference[0], tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("left", [["env.json"], ["env.json.tmp"], ["env.json", "config.json.tmp"]])
def test_run_stopped_while_it_began_starts_again(reference, left, tmp_path):
    for name in left:
        (tmp_path / name).write_text("{")
    same(rows(reference[0], tmp_path), reference[1])


def test_rows_with_a_gap_are_refused(reference, tmp_path):
    rows(reference[0], tmp_path)
    record.row_path(tmp_path, 10).unlink()
    with pytest.raises(record.RecordError, match="rows are missing"):
        record.load(tmp_path)
    same(rows(reference[0], tmp_path), reference[1])


@pytest.mark.parametrize("name", ["baselines.npz", "evals/000000020.npz", "rows/000000000.npz"])
def test_any_damage_to_an_array_file_is_named(reference, name, tmp_path):
    rows(reference[0], tmp_path)
    whole = (tmp_path / name).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        (tmp_path / name).write_bytes(
            whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        )
        try:
            record.read_arrays(tmp_path / name)
        except record.RecordError as error:
            assert Path(name).name in str(error)
    (tmp_path / name).write_bytes(whole[:-30])
    same(rows(reference[0], tmp_path), reference[1])
    assert record.load(tmp_path).baselines.keys() == reference[1].baselines.keys()


def test_changed_data_are_refused(tmp_path, tiny_config):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("\n\n".join(f"paragraph number {n}" for n in range(60)))
    generator = {"name": "text", "corpus": str(corpus), "length": 4, "unit": "byte"}
    config = tiny_config | {"generator": generator, "observer": {"name": "counts", "order": 1}}
    config = config | {
        "run": config["run"] | {"repeats": 9},
        "eval": config["eval"] | {"examples": 8},
    }
    rows(config, tmp_path / "run", stop_after=2)
    corpus.write_text(corpus.read_text().replace("number", "nUmber"))
    with pytest.raises(record.RecordError, match=r"generator_sha256"):
        next(loop.train(setups.assemble(config), tmp_path / "run"))


def test_another_environment_is_warned_about(reference, tmp_path, caplog):
    config, wanted = reference
    rows(config, tmp_path, stop_after=2)
    env = record.read_json(tmp_path / "env.json")
    env["versions"]["jax"] = "0.0.1"
    record.write_json(tmp_path / "env.json", env)
    resumed = rows(config, tmp_path)
    assert "versions.jax: 0.0.1 ->" in caplog.text
    same(resumed, wanted)


def damage(path):
    """Flips a byte in the middle of the largest file below a folder."""
    largest = max((f for f in path.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content)


@pytest.mark.parametrize("how", ["flipped", "emptied", "half removed"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(reference, how, tmp_path, caplog):
    config = reference[0] | {"checkpoint": dict(every=10, keep=2)}
    rows(config, tmp_path, stop_after=4)
    assert checkpoint.steps(tmp_path / "ckpt") == [20, 30]
    newest = tmp_path / "ckpt" / "000000030"
    if how == "flipped":
        damage(newest)
    for file in [f for f in newest.rglob("*") if f.is_file()]:
        if how == "emptied":
            file.write_bytes(b"")
        elif how == "half removed" and "ocdbt.process" in str(file):
            file.unlink()
    chunks = chunks_of(config, tmp_path)
    assert next(chunks).step == 20
    chunks.close()
    assert "checkpoint of step 30" in caplog.text and "resuming from an earlier one" in caplog.text
    same(rows(config, tmp_path), reference[1])


@pytest.mark.parametrize("broken", [10, 20])
def test_truncated_rows_file_is_made_again(reference, broken, tmp_path):
    """Rows from the damage on are computed again from a state that lies before it."""
    config = reference[0] | {"checkpoint": dict(every=10, keep=2)}
    rows(config, tmp_path, stop_after=4)
    file = record.row_path(tmp_path, broken)
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(record.RecordError, match=f"{file.name} is damaged"):
        record.load(tmp_path)
    chunks = chunks_of(config, tmp_path)
    assert next(chunks).step == (20 if broken == 20 else 0)
    chunks.close()
    same(rows(config, tmp_path), reference[1])


def test_damaged_rows_of_a_finished_run_are_made_again(reference, tmp_path):
    rows(reference[0], tmp_path)
    file = record.row_path(tmp_path, 30)
    file.write_bytes(b"")
    same(rows(reference[0], tmp_path), reference[1])


def test_failed_member_is_frozen_and_the_others_finish(reference, tmp_path, caplog):
    config, wanted = reference
    members = [{"run.seed": 0}, {"run.seed": 1, "optim.lr": 1e30}]
    done = rows(config, tmp_path, members)
    step = done.done["failed"]["1"]
    assert done.done["failed"] == {"1": step} and 0 <= step < 40
    assert f"member 1 failed: its loss was not finite at step {step}" in caplog.text
    np.testing.assert_allclose(done.rows["nats"][0], wanted.rows["nats"][0], rtol=1e-3)
    assert np.isfinite(done.rows["nats"][1, :step]).all()
    assert (done.rows["coded_tok"][1, step + 1 :] == 0).all()
    assert np.isfinite(done.evals[40]["raw_nats"]).all(), "the last good state is kept"


def test_run_without_a_finite_member_stops_at_a_named_step(reference, tmp_path):
    config = reference[0] | {"optim": reference[0]["optim"] | {"lr": 1e30}}
    with pytest.raises(loop.RunError, match=r"member 0 at step \d+, member 1 at step \d+"):
        rows(config, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["optim"]["lr"] == 1e30
    assert checkpoint.steps(tmp_path / "ckpt"), "the last good state is kept"
