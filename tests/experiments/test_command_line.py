"""What a user may do to a binary is answered in one line, before anything is computed."""

import contextlib
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

import epx
from epx import files
from epx.run import memory
from epx.run import setup as setups
from experiments import __main__ as listing
from experiments.cli import configs, host
from tests.binaries import refused, run
from tests.runs import rows, same, with_run

ROOT = Path(__file__).parents[2]
TRAIN = ("train", "--config=life:tiny")
NARROW = ("--config=compress", "--config.observer.width=16", "--config.observer.depth=1")


@contextlib.contextmanager
def option(name):
    """Sets an option of JAX, which threads see too, as its environment variable would."""
    before = getattr(jax.config, name)
    jax.config.update(name, True)
    try:
        yield
    finally:
        jax.config.update(name, before)


@pytest.mark.parametrize("name", listing.binaries())
def test_every_binary_says_its_version(name):
    assert run(name, "--version") == (0, f"epx {epx.__version__}\n", "")


def test_the_package_lists_the_binaries():
    done = subprocess.run(
        [sys.executable, "-m", "experiments"], cwd=ROOT, capture_output=True, text=True
    )
    names = re.findall(r"^  (\w+) +\S", done.stdout, re.M)
    files = {file.stem for file in (ROOT / "experiments").glob("[a-z]*.py")}
    assert done.returncode == 0 and set(names) == files | {"bench"}


def test_64_bits_change_no_number(tiny_config, tmp_path):
    config = with_run(tiny_config, steps=10, seeds=1, devices=1)
    config |= {"observer": {"name": "counts"}, "eval": config["eval"] | {"every": None}}
    narrow = rows(config, tmp_path / "32")
    with option("jax_enable_x64"):
        same(rows(config, tmp_path / "64"), narrow)


@pytest.mark.parametrize("code", ["prequential", "requential"])
def test_64_bits_change_no_dtype(code, tiny_config):
    setup = setups.assemble(tiny_config | {"code": {"name": code}})
    generator, hyper = setup.member(0)

    def dtypes():
        state = jax.eval_shape(setup.code.init, hyper)
        made = jax.eval_shape(setup.code.step, generator, hyper, state)
        return jax.tree.map(lambda leaf: leaf.dtype, (state, *made))

    narrow = dtypes()
    with option("jax_enable_x64"):
        assert dtypes() == narrow


def test_without_a_compiler_no_run_starts(tiny_config):
    refusal = "^JAX_DISABLE_JIT=True: accepted false"
    with option("jax_disable_jit"), pytest.raises(ValueError, match=refusal):
        setups.assemble(tiny_config)


@pytest.mark.skipif(
    any(Path(file).exists() for file in host._DRIVER_FILES), reason="there may be such a GPU"
)
def test_a_platform_that_is_missing_is_named():
    done = subprocess.run(
        [sys.executable, "-m", "experiments.show", "eca:tiny"], cwd=ROOT, text=True,
        env=os.environ | {"JAX_PLATFORMS": "cuda"}, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
    assert "JAX cannot start cuda" in done.stderr and "pip install" in done.stderr


@pytest.mark.parametrize(
    ("command", "key", "value", "accepted"),
    [
        (TRAIN, "--config.run.seeds", 2147483647, "1 to 4096"),
        (TRAIN, "--config.run.seed", 2**64, "0 to 2^32 - 1"),
        (TRAIN, "--config.run.seed", 2**32 - 1, "0 to 2^32 - 1"),  # that of the second member
        (("train", "--config=chess:tiny"), "--config.generator.games", 2**31, "at most"),
        (("train", "--config=chess:tiny"), "--config.generator.plies", 10**30, "at most"),
        (("train", "--config=text:tiny"), "--config.generator.length", 2**31, "1 to"),
        (("train", "--config=iid:tiny"), "--config.generator.length", 2**31, "from 1 to"),
        ((*TRAIN, "--config.observer.name=counts"), "--config.observer.order", 2**31, "from 0 to"),
        (("sample", "--record=x"), "--examples", 2**31, "[1, 4096]"),
        (("sample", "--record=x"), "--seed", 2**32, "[0, 4294967295]"),
        (("send",), "--steps", 2**31, "[1, 1000000]"),
        (("compress", "--config=eca:tiny"), "--examples", 2**31, "[1, 16777216]"),
        (("bench", "--only=steps"), "--members", 2**31, "from 1 to 4096"),
    ],
)
def test_a_size_that_cannot_fit_is_refused_at_once(command, key, value, accepted, tmp_path):
    seconds = time.process_time()
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    workdir = [f"--workdir={tmp_path / 'w'}"] if command[0] == "train" else []
    done = run(*command, f"{key}={value}", *workdir)
    named = key.removeprefix("--config.").removeprefix("--")
    shown = 2**32 if (key, value) == ("--config.run.seed", 2**32 - 1) else value
    refused(done, f"{named}={shown}: ", accepted)
    assert time.process_time() - seconds < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - kibibytes < 2**19
    assert not (tmp_path / "w").exists()


def test_a_run_that_needs_more_memory_than_there_is_names_what_to_turn(tiny_config, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda devices: 2**30)
    config = tiny_config | {"observer": {"name": "transformer", "width": 2048}}
    refusal = r"^memory='at least \d+\.\d GiB': accepted .* the 1\.0 GiB .*: reduce run\.seeds, "
    with pytest.raises(ValueError, match=refusal):
        setups.assemble(config)


# Flags that hold a path: the binary that takes them, its other arguments, and what they name.
FLAGS = {
    "--workdir": (TRAIN, "folder"),
    "--workdir of a sweep": (("sweep", "--config=life:tiny"), "folder"),
    "--records": (("report",), "folder"),
    "--record": (("sample",), "folder"),
    "--study": (("report", "--records=x"), "folder"),
    "--trace": (("bench",), "folder"),
    "--config": (("train", "--workdir=x"), "file"),
    "--sweep": (("sweep", "--workdir=x"), "file"),
    "--input": (("compress", *NARROW, "--output=x"), "file"),
    "--laws": (("estimate",), "file"),
    "--compare": (("bench",), "file"),
    "--config.generator.corpus": (("train", "--config=text:tiny", "--workdir=x"), "file"),
    "--config.generator.corpus of games": (
        ("train", "--config=chess:tiny", "--workdir=x"),
        "file",
    ),
    "--config.generator.path": (("train", "--config=tokens:tiny", "--workdir=x"), "file"),
    "--output": (("compress", *NARROW, f"--input={__file__}"), "output"),
    "--summary": (("report", "--records=x"), "output"),
    "--json": (("bench",), "output"),
    "--figure": (("report", "--records=x"), "figure"),
    "--figure of send": (("send",), "figure"),
    "--figure of estimate": (("estimate",), "figure"),
}
PATHS = {
    "x" * 5000: "File name too long",
    "y/" * 2500: "File name too long",
    "/dev/full": "this is a device",
    "/dev/zero": "this is a device",
    f"{__file__}/below": "Not a directory",
    "zero\0byte": "not a path",
    "~nobody-of-this-name/x": "not a path",
}


def refuses(flag, path, reason):
    (binary, *arguments), kind = FLAGS[flag]
    name = flag.partition(" ")[0]
    path = f"{path}.png" if kind == "figure" and "/dev" not in str(path) else path
    done = run(binary, f"{name}={path}", *arguments)
    refused(done, f"{name.removeprefix('--').removeprefix('config.')}=", ": accepted ", reason)


@pytest.mark.parametrize("flag", FLAGS)
def test_a_path_that_is_none_is_refused(flag, tmp_path, monkeypatch):
    for path, reason in PATHS.items():
        refuses(flag, path, reason)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    other = "file" if FLAGS[flag][1] == "folder" else "folder"
    refuses(flag, tmp_path / other, f"this is a {other}")
    status = Path.stat

    def denied(path, **options):  # root may read everything
        if "closed" in path.name:
            raise PermissionError(13, "Permission denied")
        return status(path, **options)

    monkeypatch.setattr(Path, "stat", denied)
    refuses(flag, tmp_path / "closed", "Permission denied")


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if FLAGS[flag][1] == "figure"])
def test_a_figure_of_a_format_that_does_not_work_is_refused(flag, tmp_path):
    (binary, *arguments), _ = FLAGS[flag]
    done = run(binary, f"--figure={tmp_path / 'x.pgf'}", *arguments)
    refused(done, "x.pgf", ", ".join(files.FIGURES))


VALUES_OF_FLAGS = {
    "show eca:tiny --examples=-1": "a non-negative integer",
    "show eca:tiny --examples=x": "a non-negative integer",
    "show eca:tiny --examples=1:2": "a non-negative integer",
    "send --width=40": "an integer in the range [2, 12]",
    "send --width 40": "an integer in the range [2, 12]",
    "report --format=xml": "table, csv, json, md",
    "report --surplus=-1": "a non-negative number",
    "train --quiet=maybe": "true, false",
}


@pytest.mark.parametrize("command", VALUES_OF_FLAGS)
def test_the_value_of_a_flag_is_refused_as_any_other(command):
    name, *arguments = command.split()
    flag = "=".join(arguments[-2:] if arguments[-1].isdigit() else arguments[-1:])
    expected = f"{name}: {flag}: accepted {VALUES_OF_FLAGS[command]}\n"
    assert refused(run(name, *arguments)) == expected


def test_a_value_in_a_file_of_flags_is_refused(tmp_path):
    (tmp_path / "flags").write_text("--examples=x\n")
    line = refused(run("show", "eca:tiny", f"--flagfile={tmp_path / 'flags'}"))
    assert line.startswith("show: flag --examples=x: ")


def test_a_flag_that_is_none_is_refused_with_those_there_are():
    named = "config, workdir, coordinator, processes, process, quiet"
    wrong = {"--confg=eca": f"{named} (did you mean config?)", "--x": "quiet"}
    for flag, end in wrong.items():
        line = refused(run("train", flag), f"train: {flag}: accepted flags config, workdir")
        assert line.endswith(f"{end}\n")


def test_configs_are_found_from_any_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in (
        "life:tiny",
        "configs/automata/life.py:tiny",
        f"{ROOT}/configs/automata/life.py:tiny",
    ):
        assert configs.load(name, {})["generator"]["name"] == "life"
