"""Who may import whom, read from the sources: the layers of the README's map."""

import ast
import re
import sys
from pathlib import Path

import pytest

import epx
from epx.types import refusal

ROOT = Path(__file__).parents[1]
# Folders (and the modules of epx/ itself) by floor: each imports from lower floors and from itself.
FLOORS = [
    {"types"},
    {"streams", "files"},
    {"observers", "learning", "data", "record"},
    {"generators", "codes", "policies", "analysis"},
    {"run", "coders", "report"},
    {"sweeps"},
]
# Folders without JAX, and what they take beside the standard library and numpy.
WITHOUT_JAX = {
    "data": {"chess", "platformdirs", "PIL"},
    "analysis": {"scipy", "zstandard"},
    "report": {"fsspec", "matplotlib", "tabulate"},
    "record": set(),
    "files": set(),
}
# One file each may import these.
ONLY_IN = {
    "flax": "observers/",
    "orbax": "run/checkpoint.py",
    "chess": "data/chess/",
    "mctx": "generators/games/_search.py",
    "constriction": "coders/arithmetic.py",
    "fsspec": "report/export.py",
    "zstandard": "analysis/compressors.py",
    "ray": "sweeps/ray.py",
    "submitit": "sweeps/slurm.py",
}
NO_SIBLINGS = ("generators", "observers", "codes", "policies")
# Folders below those, of what siblings share.
SHARED = {"kernels", "layers"}


def imported(file):
    """Absolute names of the modules that a file imports, at any depth of its code."""
    names = set()
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []  # what is imported for annotations alone
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def modules():
    return sorted(file for file in (ROOT / "epx").rglob("*.py") if file.name != "__init__.py")


def with_binaries():
    return [*modules(), *sorted((ROOT / "experiments").rglob("*.py"))]


def folder(file):
    return file.relative_to(ROOT / "epx").parts[0].removesuffix(".py")


def floor(name):
    return next((n for n, names in enumerate(FLOORS) if name in names), None)


def ids(file):
    return str(file.relative_to(ROOT))


def test_every_folder_has_a_floor():
    assert {folder(file) for file in modules()} <= set.union(*FLOORS)


@pytest.mark.parametrize("file", modules(), ids=ids)
def test_imports_point_down(file):
    own = folder(file)
    for name in imported(file):
        parts = name.split(".")
        if parts[0] != "epx" or len(parts) < 2 or floor(parts[1]) is None:
            continue
        other = parts[1]
        assert other == own or floor(other) < floor(own), f"{file} imports epx.{other} from above"
        if own in NO_SIBLINGS and other == own and len(parts) > 2:
            inner = parts[3 if (ROOT / "epx" / own / parts[2]).is_dir() else 2 :]
            shared = not inner or inner[0].startswith("_") or inner[0] == file.stem
            message = f"{file}: siblings never import each other"
            assert shared or parts[2] in SHARED, message


@pytest.mark.parametrize("file", modules(), ids=ids)
def test_outside_packages_have_one_home(file):
    outside = {name.split(".")[0] for name in imported(file)}
    for package, home in ONLY_IN.items():
        assert package not in outside or f"epx/{home}" in str(file), f"{package} in {file}"
    if folder(file) in WITHOUT_JAX:
        known = {"numpy", "epx"} | sys.stdlib_module_names | WITHOUT_JAX[folder(file)]
        assert outside <= known, f"{file} imports {outside - known}"
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


def test_every_refusal_of_a_value_has_one_form():
    """`types.refusal` writes key, value and what is accepted; nothing else raises a ValueError."""
    for file in with_binaries():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                assert getattr(node.exc.func, "id", "") != "ValueError", f"{file}:{node.lineno}"
    message = str(refusal("run.steps", 0, "1 to 10"))
    assert message == "run.steps=0: accepted 1 to 10"


def refusals():
    """Each call that may refuse a value: where it stands, its key, and what it says is accepted."""
    for file in with_binaries():
        tree = ast.parse(file.read_text())
        scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "id", None)
            if name in ("refusal", "require", "require_whole"):
                inner = [scope for scope in scopes if node in ast.walk(scope)][-1]
                accepted = [] if name == "require_whole" else beginnings(node.args[-1], inner)
                yield f"{ids(file)}:{node.lineno}", node.args[0], accepted


def beginnings(node, scope):
    """The words with which a text may begin, as far as they stand in the function."""
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return beginnings(node.values[0], scope)
    if isinstance(node, ast.FormattedValue):
        return beginnings(node.value, scope)
    if isinstance(node, ast.BinOp):
        return beginnings(node.left, scope)
    if isinstance(node, ast.Name):
        assigned = [n for n in ast.walk(scope) if isinstance(n, ast.Assign)]
        values = [n.value for n in assigned if node.id in [getattr(t, "id", 0) for t in n.targets]]
        return [text for value in values for text in beginnings(value, scope)]
    return []  # a parameter, a call, such as of join, or a constant of the module


NO_KIND = re.compile(
    r"[A-Z]|(must|should|is|are|not|no|only|cannot|invalid|valid|a valid|please)\b"
)


def test_every_refusal_names_a_key_and_what_is_accepted():
    found = list(refusals())
    assert len(found) > 150 and sum(len(accepted) for *_, accepted in found) > 120
    for where, key, accepted in found:
        if isinstance(key, ast.Constant):
            assert re.fullmatch(r"(--)?[\w.]+", key.value), f"{where}: the key {key.value!r}"
        else:
            parts = key.values if isinstance(key, ast.JoinedStr) else [key]
            texts = [part.value for part in parts if isinstance(part, ast.Constant)]
            variable = isinstance(key, ast.JoinedStr | ast.Name | ast.Attribute)
            assert variable and all(re.fullmatch(r"[\w.-]+", text) for text in texts), where
        for text in accepted:
            assert text and not NO_KIND.match(text), f"{where}: accepted {text!r}"


def test_the_version_is_the_same_everywhere():
    root = Path(__file__).parents[1]
    (packaged,) = re.findall(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(), re.M)
    (cited,) = re.findall(r"^version: (.+)$", (root / "CITATION.cff").read_text(), re.M)
    assert packaged == cited == epx.__version__
