"""Config files, sweep files and modules of the user's own: what is wrong with one is said in one
line, with the file, the line in it, and what was expected."""

import importlib
import re

import pytest

from epx.generators.automata import life
from epx.observers import counts
from epx.run import measure
from epx.run import setup as setups
from epx.run.config import contracts
from experiments.cli import configs
from tests.binaries import refused, run

SHIPPED = (
    "arithmetic, chess, cipher, compress, eca, game, iid, life, linear, lorenz, markov, mixture, "
    "nca, positions, primes, story, text, tokens"
)
START = """from configs import base
def get_config(size="cpu"):
    config = base.get_config(size)
    config.generator.name = "life"
"""
# Files of --config by what is wrong with them: the content, and parts of the line.
CONFIGS = {
    "empty": ("", ["this one defines none"]),
    "binary": (bytes(range(256)), ["SyntaxError: source code string cannot contain null bytes"]),
    "another encoding": (b"x = '\xe9'\n", ["SyntaxError", "'utf-8' codec", "line 1"]),
    "syntax": ("x = 1\ndef get_config(:\n", ["SyntaxError: invalid syntax", "line 2"]),
    "never closed": ("x = (\n", ["SyntaxError: '(' was never closed", "line 1"]),
    "raises": ("x = 1\n\nraise OSError('lost')\n", ["loading it raised OSError: lost", "line 3"]),
    "exits": ("raise SystemExit(3)\n", ["loading it raised SystemExit: 3", "line 1"]),
    "imports": ("import no_such_thing\n", ["No module named 'no_such_thing'", "line 1"]),
    "no function": ("get_config = 3\n", ["this one defines none"]),
    "function raises": (
        "def get_config(size):\n    return {}['a']\n",
        ["it raised KeyError: 'a'", "line 2"],
    ),
    "no reason": (
        "def get_config(size):\n    raise ValueError\n",
        ["it raised ValueError: no reason", "line 2"],
    ),
    "raises in a library": (
        START + "    config.lock()\n    config.rum = 3\n",
        ["it raised AttributeError", "line 6"],
    ),
    "unset": (
        START + "    from ml_collections import config_dict\n"
        "    config.run.steps = config_dict.required_placeholder(int)\n    return config\n",
        ["it raised RequiredValueError"],
    ),
    "never ends": (
        "def get_config(size):\n    return get_config(size)\n",
        ["it raised RecursionError", "line 2"],
    ),
    "no arguments": ("def get_config():\n    pass\n", ["too many positional arguments"]),
    "two arguments": ("def get_config(a, b):\n    pass\n", ["missing a required argument: 'b'"]),
    "nothing": ("def get_config(size):\n    pass\n", ["this one returns NoneType"]),
    "another type": ("def get_config(size):\n    return [1]\n", ["this one returns list"]),
    "no sections": ("def get_config(size):\n    return {}\n", ["has no section generator"]),
    "one section": (
        "def get_config(size):\n    return {'generator': {'name': 'life'}}\n",
        ["has no section observer"],
    ),
    "a section of another type": (
        START + "    return config.to_dict() | {'run': 3}\n",
        ["has no section run"],
    ),
}
# Files that are whole, and hold a key or value that is none.
VALUES = {
    "config.rum = base.ConfigDict({'a': 1})": "rum={'a': 1}: accepted the sections generator",
    "config.run.stesp = 3": "run.stesp=3: accepted keys seed, seeds, steps",
    "del config.run.steps": "config=['run.steps']: accepted a config with all keys",
    "config.optim.lr = float('nan')": "optim.lr=nan: accepted a number above 0, finite in float32",
    "config.generator = {'height': 3}": "generator.name='': accepted arithmetic, chess",
    "config = config.to_dict() | {'generator': {'name': 3}}": "generator.name=3: accepted arith",
    "config.generator.height = 'x'": "generator.height='x': accepted a whole number",
    "config.label = base.ConfigDict({'generator': 3})": "label.generator=3: accepted a text",
    "config.tuning = base.ConfigDict({'by': {1}})": "tuning.by={1}: accepted a text, a number",
}
SWEEP = START.replace("cpu", "tiny") + "    return config\ndef sweep():\n    "
SWEEPS = {
    "return 3": "this one returns int",
    "return []": "this one returns an empty list",
    "yield {'run.seed': 1}": "this one returns generator",
    "return [{1: 2}]": "this one has the run {1: 2}",
    "return [3]": "this one has the run 3",
    "return 1 / 0": "it raised ZeroDivisionError: division by zero",
    "return []\ndef sweep(runs): pass": "missing a required argument: 'runs'",
    "return []\nsweep = 3": "this one defines none",
    "return [{}]\ndel get_config": "accepted a file that also has get_config()",
    "return [{}]\nRATES = None": "RATES=None: accepted a list of learning rates",
    "return [{}]\nRATES = ['fast']": "optim.lr='fast': accepted a number",
    "return [{'run.sed': 1}]": "run.sed=1: accepted keys",
    "return [{'seed': 1}]": "seed=1: accepted keys of the sections",
    "return [{'optim.lr': float('nan')}]": "optim.lr=nan: accepted a number above 0",
    "return [{'generator.name': 3}]": "generator.name=3: accepted arith",
    "return [{'tuning.by': {1}}]": "tuning.by={1}: accepted a text, a number",
}
# Modules by what is wrong with them.
MODULES = {
    "": "this one has none",
    "make = 3": "this one has none",
    "import no_such_thing": "importing it raised ModuleNotFoundError: No module named 'no_such",
    "x = 1\nraise OSError('lost')": "importing it raised OSError: lost",
    "raise SystemExit": "importing it raised SystemExit",
    "def make(:": "importing it raised SyntaxError",
    "make = dict": "accepted a make with a readable signature",
    "def make(depth): pass": "parameters have defaults; depth has none",
    "def make():\n    raise OSError('lost')": "make returns; it raised OSError: lost",
    "def make():\n    raise ValueError('lost')": "it raised ValueError: lost",
    "def make():\n    pass": "this is None",
    "def make():\n    return 'text'": "this is 'text'",
}


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("wrong", CONFIGS)
def test_a_config_file_is_refused(wrong, tmp_path):
    content, parts = CONFIGS[wrong]
    file = write(tmp_path / "own.py", content)
    done = run("train", f"--config={file}:tiny", f"--workdir={tmp_path / 'w'}")
    expected = "a file with get_config(size), which returns what base.get_config returns"
    refused(done, f"--config='{file}': accepted {expected}", *parts)
    if "line" in parts[-1]:
        assert f"({file}, {parts[-1]})" in done.err


@pytest.mark.parametrize("line", VALUES)
def test_a_value_in_a_config_file_is_refused(line, tmp_path):
    imports = "from ml_collections import ConfigDict\nbase.ConfigDict = ConfigDict\n"
    content = START.replace("\n", f"\n{imports}", 1) + f"    {line}\n    return config\n"
    file = write(tmp_path / "own.py", content)
    with pytest.raises(ValueError, match=f"^{re.escape(VALUES[line])}"):
        setups.assemble(configs.load(str(file), {}))


@pytest.mark.parametrize("line", SWEEPS)
def test_a_sweep_file_is_refused(line, tmp_path):
    file = write(tmp_path / "own.py", SWEEP + line + "\n")
    tune = ["--tune"] if "RATES" in line else []
    done = run("sweep", f"--sweep={file}", f"--workdir={tmp_path / 'w'}", *tune)
    refused(done, SWEEPS[line], ": accepted ")
    assert "raised" not in SWEEPS[line] or f"({file}, line 7)" in done.err


@pytest.mark.parametrize(
    ("binary", "flag", "value", "part"),
    [
        ("train", "--config", "lief", f"{SHIPPED} (did you mean life or linear?)"),
        ("train", "--config", "configs/lief.py", "there is no such file"),
        ("train", "--config", "**", "there is no such file"),
        ("train", "--config", "life:huge", "size='huge': accepted tiny, cpu, paper"),
        (
            "sweep",
            "--sweep",
            "cods",
            "skills, thm9_generators, transfer, transfer_rates (did you mean codes or collapse?)",
        ),
        ("sweep", "--vary", "optim.lr", "accepted a key and its values, KEY=VALUE,VALUE,..."),
        ("sweep", "--vary", "=3", "accepted a key and its values, KEY=VALUE,VALUE,..."),
        ("sweep", "--vary", "optim.lr=fast", "optim.lr='fast': accepted a number"),
    ],
)
def test_what_is_not_there_is_named(binary, flag, value, part, tmp_path):
    config = ["--config=life:tiny"] if flag == "--vary" else []
    refused(run(binary, *config, f"{flag}={value}", f"--workdir={tmp_path / 'w'}"), part)


@pytest.mark.parametrize("content", MODULES)
def test_a_module_is_refused(content, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    name = f"own_{list(MODULES).index(content)}"  # none is imported twice
    file = write(tmp_path / f"{name}.py", content + "\n")
    for kind in ("generator", "observer", "code"):
        arguments = (f"--config.{kind}.name={name}", f"--workdir={tmp_path / 'w'}")
        done = run("train", "--config=life:tiny", *arguments)
        refused(done, f"{kind}.name='{name}': accepted a m", MODULES[content])
        assert "raised" not in MODULES[content] or f"({file}, line " in done.err


def test_a_package_that_cannot_be_imported_is_named(tmp_path, monkeypatch):
    (tmp_path / "own_package").mkdir()
    file = write(tmp_path / "own_package" / "__init__.py", "\nraise OSError('lost')\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    name = "--config.generator.name=own_package.part"
    done = run("train", "--config=life:tiny", name, f"--workdir={tmp_path / 'w'}")
    refused(done, f"importing it raised OSError: lost ({file}, line 2)")


NO_PYTREE = """
from epx.types import Spec
class Own:
    spec = Spec(vocab=2, length=4, size=None, version=1)
    def example(self, key, index): ...
    def oracle_nats(self, example): ...
def make():
    return Own()
"""


def test_a_generator_that_is_no_pytree_is_told_how_to_become_one(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path / "own_no_pytree.py", NO_PYTREE)
    name = "--config.generator.name=own_no_pytree"
    done = run("train", "--config=life:tiny", name, f"--workdir={tmp_path / 'w'}")
    refused(done, "accepted a pytree of arrays", "register_dataclass")


GENERATOR = """
from dataclasses import dataclass
import jax, jax.numpy as jnp
from epx.types import Example, Spec

@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Own:
    spec = Spec(vocab=2, length=4, size=None, version=1)
    def oracle_nats(self, example): ...
    def example(self, key, index):
        {line}

def make():
    return Own()
"""
OBSERVER = """
import functools
import jax.numpy as jnp
from epx.types import Observer

def logits(params, tokens_BxT, side=None):
    {line}

PARTIAL = functools.partial(logits)

def init(vocab, key):
    return jnp.zeros(vocab)

def make(vocab, length):
    return Observer(functools.partial(init, vocab), logits, flops=lambda length: (1.0, 2.0))
"""
# Lines of a function by what is said about it, with the number of the line where one raises.
TRACED = {
    "[][1]": (GENERATOR, "it raised IndexError: list index out of range", 12),
    "return 1 if index > 3 else 2": (GENERATOR, "it raised TracerBoolConversionError", 12),
    "pass": (GENERATOR, "tokens_T int32[4], coded_T bool[4]; this is None", None),
    "return Example(jnp.zeros(4), jnp.ones(4, bool))": (GENERATOR, "dtype=float32", None),
    "return Example(jnp.zeros(5, jnp.int32), jnp.ones(5, bool))": (GENERATOR, "shape=(5,)", None),
    "return params @ tokens_BxT": (OBSERVER, "it raised TypeError: dot_general", 7),
    "return tokens_BxT[..., None] * jnp.ones(2, int)": (OBSERVER, "this is ShapeDtypeStruct", None),
    "return jnp.zeros(2)": (OBSERVER, "one example are float32[1, 18, 2]; this is", None),
    "return (1, 2)[3]": (OBSERVER.replace("logits, flops", "PARTIAL, flops"), "out of range", 7),
    "return None": (OBSERVER, "one example are float32[1, 18, 2]; this is None", None),
}


@pytest.mark.parametrize("line", TRACED)
def test_a_function_that_cannot_be_traced_is_refused(line, tmp_path, monkeypatch):
    content, part, number = TRACED[line]
    kind = "generator" if content is GENERATOR else "observer"
    monkeypatch.syspath_prepend(tmp_path)
    name = f"own_traced_{list(TRACED).index(line)}"
    file = write(tmp_path / f"{name}.py", content.format(line=line))
    size = (
        ("--config.generator.height=3", "--config.generator.width=3") if kind == "observer" else ()
    )
    arguments = (*size, f"--config.{kind}.name={name}", f"--workdir={tmp_path / 'w'}")
    done = run("train", "--config=life:tiny", *arguments)
    refused(done, f"{kind}.name='{name}': accepted a", part)
    assert number is None or f"({file}, line {number})" in done.err


LEAVES = """
from dataclasses import dataclass
import jax, jax.numpy as jnp, numpy as np
from epx.types import Example, Spec

@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Own:
    table_N: np.ndarray
    rule: int

    @property
    def spec(self):
        return Spec(vocab=2, length=4, size=None, version=1)

    def oracle_nats(self, example): ...

    def example(self, key, index):
        first = {first}
        tokens_T = jnp.full(4, first, jnp.int32)
        return Example(tokens_T, jnp.ones(4, bool))

def make():
    return Own(np.array([0, 1]), 3)
"""


def test_leaves_are_arrays_when_an_example_is_traced(tmp_path, monkeypatch):
    """As in compiled code: a table of numpy may be indexed, a number may not decide a branch."""
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path / "own_table.py", LEAVES.format(first="self.table_N[index % 2]"))
    write(tmp_path / "own_branch.py", LEAVES.format(first="1 if self.rule > 2 else 0"))
    config = configs.load("life:tiny", {"generator.name": "own_table", "observer.name": "counts"})
    assert setups.assemble(config).spec.length == 4
    with pytest.raises(ValueError, match=r"generator.name='own_branch': .* TracerBoolConversion"):
        setups.assemble(config | {"generator": {"name": "own_branch"}})


def test_what_is_shipped_is_not_traced_once_more(monkeypatch):
    monkeypatch.setattr(contracts, "_trace", lambda *_: pytest.fail("traced"))
    for name in ("transformer", "counts"):
        setups.assemble(configs.load("life:tiny", {"observer.name": name}))


def test_a_notebook_is_told_which_part_fails():
    generator = life.make(None, height=2, width=2)
    observer = counts.make(2, 8, order=1)
    for name, part in (("init", "init can be traced"), ("logits", "logits can be traced")):
        broken = observer._replace(**{name: lambda *_: [][1]})
        with pytest.raises(ValueError, match=rf"^observer='yours': .*{part}; it raised IndexError"):
            measure(generator, broken, steps=2, batch=2, eval_examples=2)


def test_a_refusal_of_a_sweep_file_is_said_as_it_is(tmp_path):
    """As of a study whose rates have not been chosen yet."""
    file = tmp_path / "own.py"
    file.write_text(
        "from configs.base import get_config\nfrom epx.types import refusal\n\n"
        "def sweep():\n    raise refusal('observer', 'x', 'observers with a rate')\n"
    )
    done = run("sweep", f"--sweep={file}", f"--workdir={tmp_path / 'w'}")
    assert done.code == 2
    assert done.err == "sweep: observer='x': accepted observers with a rate\n"
