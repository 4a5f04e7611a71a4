"""The binary that sends files: there and back, and what it refuses, in one line and with nothing
left behind."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import jax
import pytest

from tests import binaries
from tests.binaries import Done, run

ROOT = Path(__file__).parents[2]
# Small, so that it compiles soon; the shipped config is what the slow test takes.
SMALL = ("--config=compress", "--config.observer.width=16", "--config.observer.depth=1", "--quiet")


def compress(*arguments):
    return run("compress", *arguments)


def compress_elsewhere(*arguments, timeout=300):
    """In a process of its own: nothing but the file is shared."""
    done = subprocess.run(
        [sys.executable, "-m", "experiments.compress", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


# As many devices as this process has, which decide how a program is divided.
FLAGS = ("--xla_force_host_platform_device_count=4", os.environ.get("XLA_FLAGS", ""))
DEVICES = {"XLA_FLAGS": " ".join(FLAGS)}


@pytest.fixture(autouse=True, scope="module")
def devices():
    """The setting is part of what a file has to agree with."""
    with mock.patch.dict(os.environ, DEVICES):
        yield


def refused(done, code, part):
    binaries.refused(done, part, code=code)


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """A text and the file that is sent for it."""
    folder = tmp_path_factory.mktemp("compress")
    text = (ROOT / "README.md").read_bytes()[:6000]
    (folder / "text").write_bytes(text)
    done = compress(*SMALL, f"--input={folder / 'text'}", f"--output={folder / 'text.epx'}")
    assert done.code == 0, done.err
    return folder, done.out


def test_a_text_gets_smaller_and_comes_back(sent, tmp_path):
    folder, said = sent
    back = tmp_path / "back"
    there = (f"--input={folder / 'text.epx'}", f"--output={back}")
    done = compress_elsewhere(*SMALL, "--decompress", *there)
    assert done.code == 0, done.err
    assert back.read_bytes() == (folder / "text").read_bytes()
    bits = {name: float(count) for name, count in re.findall(r"^(\w+) +(\d+) bit", said, re.M)}
    assert list(bits) == ["ledger", "sent", "file", "gzip", "xz", "zstd"]
    assert abs(bits["sent"] - bits["ledger"]) < 1e-3 * bits["ledger"] + 64
    assert (folder / "text.epx").stat().st_size == bits["file"] / 8 < 0.8 * 6000
    assert bits["file"] == bits["sent"] + 8 * 108


@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 2 + b"x"], ids=["empty", "all"])
def test_any_bytes_come_back(content, tmp_path):
    names = [tmp_path / name for name in ("in", "sent", "back")]
    names[0].write_bytes(content)
    assert not compress(*SMALL, f"--input={names[0]}", f"--output={names[1]}").code
    done = compress(*SMALL, "--decompress", f"--input={names[1]}", f"--output={names[2]}")
    assert done.code == 0, done.err
    assert names[2].read_bytes() == content


def test_what_is_cut_damaged_or_foreign_is_refused(sent, tmp_path):
    folder, _ = sent
    whole = (folder / "text.epx").read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content, part in (
        (whole[: len(whole) // 2], "truncated or damaged"),
        (bytes(flipped), "truncated or damaged"),
        ((folder / "text").read_bytes(), "is not a compressed file of this program"),
    ):
        (tmp_path / "bad").write_bytes(content)
        done = compress(
            *SMALL, "--decompress", f"--input={tmp_path / 'bad'}", f"--output={tmp_path / 'out'}"
        )
        refused(done, 1, part)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bad"]


def test_another_config_or_environment_is_refused(sent, tmp_path):
    folder, _ = sent
    back = ("--decompress", f"--input={folder / 'text.epx'}", f"--output={tmp_path / 'out'}")
    refused(compress(*SMALL, "--config.optim.lr=0.3", *back), 1, "another config")
    with jax.default_matmul_precision("highest"):
        refused(compress(*SMALL, *back), 1, "another version of")
    assert not list(tmp_path.iterdir())


def test_mistakes_are_one_line(tmp_path):
    (tmp_path / "in").write_bytes(b"abc")
    files = (f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}")
    refused(compress(*SMALL), 2, "--input and --output are needed")
    refused(compress(*SMALL, files[0], f"--output={tmp_path / 'in'}"), 2, "this one exists")
    refused(compress(*SMALL, files[0], f"--output={tmp_path}/a/b"), 2, "no such folder")
    refused(compress(*SMALL, f"--input={tmp_path / 'gone'}", files[1]), 2, "there is no such file")
    refused(compress("--config=eca:tiny", *files), 2, "no given tokens, as in configs/compress.py")
    refused(compress("--config=compress", "--config.code.name=requential", *files), 2, "code.name")
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    (tmp_path / "in").write_bytes(b"abc")
    done = compress(*SMALL, f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}")
    refused(done, 2, "pip install 'epx-jax[compress]'")


def test_examples_of_a_generator_go_there_and_back():
    done = compress("--config=eca:tiny", "--examples=24", "--quiet")
    assert done.code == 0, done.err
    assert "recovered all 192 coded tokens" in done.out and "bit/token" in done.out
    refused(compress("--config=eca:tiny", "--examples=2", "--input=x"), 2, "--input: with")


def test_a_loss_that_is_not_finite_is_named(tmp_path):
    (tmp_path / "in").write_bytes(bytes(range(256)) * 4)
    files = (f"--input={tmp_path / 'in'}", f"--output={tmp_path / 'out'}")
    done = compress(*SMALL, "--config.optim.lr=1e38", "--config.optim.warmup_steps=0", *files)
    refused(done, 1, "loss='not finite after example")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_megabyte_of_text_comes_back(tmp_path):
    """The shipped config; and noise, which grows by no more than a learner pays to find none."""
    import pydoc_data.topics

    text = json.dumps(pydoc_data.topics.topics, sort_keys=True).encode()
    modules = sorted(Path(json.__file__).parent.parent.glob("*.py"))
    text += b"".join(path.read_bytes() for path in modules)
    for name, content in (("text", text[:1_000_000]), ("noise", os.urandom(20_000))):
        whole = tmp_path / name
        whole.write_bytes(content)
        there = (f"--input={whole}", f"--output={whole}.epx")
        assert compress_elsewhere("--config=compress", *there, timeout=1800).code == 0
        back = (f"--input={whole}.epx", f"--output={whole}.back", "--decompress")
        assert compress_elsewhere("--config=compress", *back, timeout=1800).code == 0
        assert Path(f"{whole}.back").read_bytes() == content
    assert (tmp_path / "text").stat().st_size == 1_000_000
    assert (tmp_path / "text.epx").stat().st_size < 600_000
    assert (tmp_path / "noise.epx").stat().st_size < 21_000
