"""Configs and messages: every mistake is named in one line before anything is compiled."""

import itertools

import numpy as np
import pytest

from configs import base
from epx.run import setup as setups
from epx.run.config import components
from epx.run.config import keys as run_config
from epx.sweeps import grid
from experiments.__main__ import binaries
from experiments.cli import app, configs
from tests.binaries import refused, run
from tests.params import parametrize


def assemble(**overrides):
    return setups.assemble(
        configs.load("life:tiny", {k.replace("__", "."): v for k, v in overrides.items()})
    )


PAIRS = list(itertools.product(configs.shipped(), base.SIZES))


@parametrize("name, size", PAIRS, gate=[pair for pair in PAIRS if pair[1] != "cpu"])
def test_shipped_configs_assemble(name, size, tmp_path):
    overrides = {}
    if name == "tokens":  # a file of the user's
        overrides["generator.path"] = str(tmp_path / "mine.npy")
        np.save(overrides["generator.path"], np.arange(10**7, dtype=np.uint8) % 7)
    try:
        setups.assemble(configs.load(f"{name}:{size}", overrides))
    except ValueError as error:
        if "prepare it first" not in str(error):
            raise
        pytest.skip(str(error))  # a test downloads nothing


def test_every_key_has_a_meaning_and_a_type():
    config = base.get_config()
    keys = {f"{section}.{key}" for section in config for key in config[section]}
    assert keys == set(base.MEANING)
    named = {key for key in keys if not key.endswith(".name")}
    assert named == set(run_config.KEYS)


@pytest.mark.parametrize("kind", components.FOLDERS)
def test_every_argument_is_documented(kind):
    for name in components.names(kind):
        documented = configs._meanings(kind, {"name": name})
        for key in components.arguments(kind, name):
            assert key in documented, f"{kind} {name}: make does not document {key}"


MISTAKES = {
    "generator.nmae": ("life", "name"),
    "generator.hieght": ("8", "height"),
    "generator.height": ("-3", "height"),
    "generator.patch": ("9", "patch"),
    "genrator.height": ("8", "generator"),
    "generator.name": ("lief", "life"),
    "observer.name": ("transfromer", "transformer"),
    "observer.head_dim": ("3", "head_dim"),
    "observer.activation": ("gelu", "gelu_tanh"),
    "code.name": ("prequental", "prequential"),
    "optim.lr": ("fast", "number"),
    "optim.b1": ("1.5", "b1"),
    "optim.clip_norm": ("0", "clip_norm"),
    "run.batch": ("0", "batch"),
    "run.steps": ("2.5", "whole number"),
    "run.seeds": ("0", "seeds"),
    "run.seed": ("-1", "seed"),
    "run.microbatch": ("3", "microbatch"),
    "run.parallel": ("pmpa", "pmap"),
    "run.devices": ("99", "devices"),
    "run.dtype": ("float31", "bfloat16"),
    "run.repeats": ("0", "repeats"),
    "run.require_accelerator": ("true", "CPU"),
    "eval.every": ("7", "run.chunk"),
    "eval.examples": ("0", "examples"),
    "checkpoint.every": ("33", "run.chunk"),
}


@pytest.mark.parametrize("key", MISTAKES)
def test_mistakes_are_named(key):
    value, named = MISTAKES[key]
    with pytest.raises(ValueError, match=named) as raised:
        setups.assemble(configs.load("life:tiny", {key: value}))
    assert key.rpartition(".")[2] in str(raised.value) and len(str(raised.value)) < 300


def test_a_new_name_resets_the_arguments():
    config = configs.load("life:tiny", {"generator.name": "eca", "generator.rule": "30"})
    defaults = {k: p.default for k, p in components.arguments("generator", "eca").items()}
    assert config["generator"] == {"name": "eca", **defaults, "rule": 30}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("run.steps", "1e3", 1000), ("optim.lr", "3e-3", 3e-3), ("optim.lr", "1", 1.0),
     ("run.devices", "2", 2), ("run.devices", "none", None), ("eval.test_tokens", "1e8", 1e8),
     ("run.require_accelerator", "true", True), ("run.parallel", "pmap", "pmap")],
)  # fmt: skip
def test_values_are_read_by_their_type(key, text, value):
    section, name = key.split(".")
    found = configs.load("life:tiny", {key: text})[section][name]
    assert found == value and type(found) is type(value)


def test_ctrl_c_is_one_line(capsys):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as raised:
        app._interruptible(interrupted, [])
    assert raised.value.code == 130
    assert capsys.readouterr().err.endswith(": stopped; to resume, start the same command again\n")


ANNOTATED = """
def make(key, p: float = 1, depth: int | None = None, name_of: str | None = None, bare=3):
    return p
"""


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [("p", "0.5", 0.5), ("depth", "3", 3), ("depth", "none", None), ("name_of", "x", "x"),
     ("name_of", "None", None), ("bare", "4", 4)],
)  # fmt: skip
def test_arguments_of_a_users_generator_are_read_as_annotated(
    tmp_path, monkeypatch, key, text, value
):
    (tmp_path / "annotated.py").write_text(ANNOTATED)
    monkeypatch.syspath_prepend(tmp_path)
    overrides = {"generator.name": "annotated", f"generator.{key}": text}
    found = configs.load("life:tiny", overrides)["generator"][key]
    assert found == value and type(found) is type(value)


def test_a_second_pass_must_be_allowed():
    overrides = {"generator.corpus": "zen", "generator.length": "8", "eval.examples": "5"}
    with pytest.raises(ValueError, match=r"run.steps=200: accepted 1 to \d+ .*run.repeats=1"):
        setups.assemble(configs.load("text:tiny", overrides))
    setups.assemble(configs.load("text:tiny", overrides | {"run.repeats": "100"}))


def test_members_that_cannot_share_a_batch_say_so():
    with pytest.raises(ValueError, match=r"run.devices=4.*up to 3, the members.*run.batch=6"):
        assemble(run__seeds="3", run__batch="6", run__devices="4")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["config.optim.lr=0.1"], "--config.optim.lr=0.1"),
        (["--config.optim.lr"], "--config.optim.lr=VALUE"),
        (["--wrokdir=x"], "workdir"),
        (["--config.generator.nmae=life"], "name"),
    ],
)
def test_the_binary_says_it_in_one_line(arguments, named, tmp_path):
    workdir = tmp_path / "x"
    refused(
        run("train", "--config=life:tiny", f"--workdir={workdir}", *arguments),
        named,
    )
    assert not workdir.exists()


def test_unknown_configs_and_sizes():
    refused(run("train", "--config=lief:tiny", "--workdir=x"), "did you mean life")
    refused(run("train", "--config=life:huge", "--workdir=x"), "tiny, cpu, paper")
    refused(run("train", "--workdir=x"), "--config is missing", "life")


@pytest.mark.parametrize("name", binaries())
def test_help_explains_and_exits_0(name):
    done = run(name, "--help")
    assert done.code == 0, done.err
    assert f"python -m experiments.{name}" in done.out
    if name == "train":
        for section, keys in configs.load(app.EXAMPLE, {}).items():
            for key in keys:
                assert f"--config.{section}.{key}=" in done.out
        assert "tiny, cpu, paper" in done.out


def test_sweeps_combine():
    lrs, seeds = grid.vary("optim.lr", [0.1, 0.2]), grid.vary("run.seed", [0, 1])
    assert len(grid.product(lrs, seeds)) == 4
    assert grid.zipped(lrs, seeds)[1] == {"optim.lr": 0.2, "run.seed": 1}
    assert grid.chain(lrs, seeds) == [*lrs, *seeds]
    with pytest.raises(ValueError, match="equal length"):
        grid.zipped(lrs, seeds[:1])


def test_an_observer_that_reads_no_vectors_is_refused_where_tokens_have_some():
    section = {"observer.name": "counts"}
    with pytest.raises(
        ValueError, match=r"^observer.name='counts': accepted .* vector of 3 numbers"
    ):
        setups.assemble(configs.load("markov:tiny", section))
