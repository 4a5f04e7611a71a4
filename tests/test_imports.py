"""Who may import whom, read from the sources: the layers of the README's map."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEVELS = [
    {"types"},
    {
        "streams",
        "nll",
        "optim",
        "flops",
        "ciphers",
        "keystreams",
        "packed",
        "generators",
        "observers",
    },
    {"codes", "devices", "evaluation", "plan", "describe", "sampling"},
    {"checkpoint", "run"},
    {"components", "sweeps"},
]
APART = {
    "caches", "corpora", "recipes", "handbook", "debian", "books", "parts", "games", "rules",
    "record", "ledger", "measurement", "frontier", "scaling", "toys", "tables", "formats", "plots",
    "envelope", "baselines",
}  # fmt: skip
NUMPY_ONLY = {"numpy", "matplotlib"}
BESIDE = {"rules": {"chess"}, "scaling": {"scipy"}, "toys": {"scipy"}}


def imported(file):
    """Absolute names of the modules that a file imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def modules():
    return sorted(file for file in (ROOT / "epx").rglob("*.py") if file.name != "__init__.py")


def layer(file):
    return file.relative_to(ROOT / "epx").parts[0].removesuffix(".py")


def level(name):
    return next((n for n, names in enumerate(LEVELS) if name in names), None)


def test_every_module_has_a_place():
    known = APART.union(*LEVELS)
    assert {layer(file) for file in modules()} <= known


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_down(file):
    mine = layer(file)
    for name in imported(file):
        parts = name.split(".")
        if parts[0] != "epx" or len(parts) < 2:
            continue
        other = parts[1]
        if mine in APART:
            assert other in APART, f"{file}: a numpy-only module imports epx.{other}"
        elif other not in APART and level(other) is not None:
            assert level(other) <= level(mine), f"{file} imports epx.{other} from above"
        if mine in ("generators", "observers") and other == mine and len(parts) > 2:
            assert parts[2] == file.stem, f"{file}: siblings never import each other"


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(ROOT)))
def test_who_needs_what(file):
    outside = {name.split(".")[0] for name in imported(file)}
    assert "flax" not in outside or layer(file) == "observers"
    if layer(file) in APART:
        known = NUMPY_ONLY | sys.stdlib_module_names | {"epx"}
        assert outside <= known | BESIDE.get(layer(file), set()), file
    assert not outside & {"experiments", "configs"}, f"{file} reaches up into the binaries"


def test_report_needs_no_jax():
    """Everything that report.py reaches, followed through the sources."""
    seen, queue = set(), ["experiments.report"]
    while queue:
        name = queue.pop()
        file = ROOT / (name.replace(".", "/") + ".py")
        if name in seen or not file.exists():
            continue
        seen.add(name)
        queue += imported(file)
    reached = {top for name in seen for top in imported(ROOT / (name.replace(".", "/") + ".py"))}
    assert not [name for name in reached if re.match(r"(jax|flax|optax|orbax)\b", name)]


def test_no_print_assert_or_bare_except_in_the_library():
    for file in modules():
        for node in ast.walk(ast.parse(file.read_text())):
            assert not isinstance(node, ast.Assert), f"{file}:{node.lineno} assert"
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{file}:{node.lineno} bare except"
            if isinstance(node, ast.Call):
                assert getattr(node.func, "id", "") != "print", f"{file}:{node.lineno} print"
