"""Config and sweep files: search, loading, and the help on their keys."""

import importlib.machinery
import importlib.util
import inspect
import os
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

import docstring_parser
from ml_collections import ConfigDict

from configs import base
from epx import files
from epx.run.config.components import FOLDERS, find, place
from epx.run.config.keys import Config, key_type, resolve
from epx.run.config.values import suggest
from epx.types import Refusal, refusal, require

CONFIGS = Path(base.__file__).parent
# What a file of the user's own must define.
_EXPECTED = {
    "get_config": "a file with get_config(size), which returns what base.get_config returns",
    "sweep": "a file with sweep(), which returns a list of dicts of overrides, one a run",
}


def shipped(function: str = "get_config") -> list[str]:
    """Names of the files below `configs/` that define a function.

    `get_config` gives the files of the generators, `sweep` those of the sweeps.
    """
    files = [file for file in CONFIGS.rglob("[!_]*.py") if file.stem != "base"]
    studies = [file for file in files if "\ndef sweep(" in file.read_text()]
    if function == "sweep":
        return sorted(file.stem for file in studies)
    return sorted(file.stem for file in files if _defines(file, function) and file not in studies)


def figures() -> list[str]:
    """Modules of the files below `configs/` that have claims, those of the paper first."""
    files = sorted(CONFIGS.rglob("*.py"))
    claiming = [file for file in files if "\nCLAIMS = " in file.read_text()]
    names = [file.relative_to(CONFIGS).with_suffix("").parts for file in claiming]
    return [".".join((CONFIGS.name, *parts)) for parts in names]


def _defines(file: Path, function: str) -> bool:
    return f"\ndef {function}(" in file.read_text()


def load(reference: str, overrides: dict[str, str]) -> Config:
    """Load a config as sections of plain values, with all arguments of its components.

    Args:
      reference: PATH[:SIZE], or NAME[:SIZE] of a shipped config.
      overrides: dotted keys and values as text.

    Raises:
      ValueError: there is no such config, the file is not a config, or a key or value is not
        accepted.
    """
    path, _, size = reference.partition(":")
    loaded = module(path, "config", "get_config")
    return resolve(call(loaded, "config", "get_config", *([size] if size else [])), overrides)


def call(loaded: ModuleType, flag: str, function: str, *arguments: Any) -> Any:
    """Call a config file's `get_config(size)` or a sweep file's `sweep()`; return plain values.

    Raises:
      ValueError: the function raises, or returns a value of another form.
    """
    file, expected = loaded.__file__, _EXPECTED[function]
    make = getattr(loaded, function)
    try:
        inspect.signature(make).bind(*arguments)
    except (TypeError, ValueError) as error:
        raise refusal(f"--{flag}", file, f"{expected}; calling it: {error}") from error
    try:
        value = make(*arguments)
        value = value.to_dict() if isinstance(value, ConfigDict) else value
    except (base.SizeError, Refusal):  # says itself what would be accepted
        raise
    except (Exception, SystemExit) as error:  # the user's function may raise anything
        reason = place(error, file)
        raise refusal(f"--{flag}", file, f"{expected}; it raised {reason}") from error
    wrong = _wrong_config(value) if function == "get_config" else _wrong_sweep(value)
    require(f"--{flag}", file, not wrong, f"{expected}; this one {wrong}")
    if function == "sweep":
        legal = bool(value) or callable(getattr(loaded, "draw", None))
        require(f"--{flag}", file, legal, f"{expected}; this one returns an empty list")
        return list(value)
    return {section: dict(value[section]) for section in sorted(value, key=_rank)}


def _wrong_config(value: Any) -> str:
    """What is wrong with the value of a get_config, or nothing."""
    if not isinstance(value, dict):
        return f"returns {type(value).__name__}"
    sections = [*base.SECTIONS, *value]
    missing = [section for section in sections if not isinstance(value.get(section), dict)]
    return f"has no section {missing[0]}" if missing else ""


def _wrong_sweep(value: Any) -> str:
    """What is wrong with the value of a sweep, or nothing."""
    if not isinstance(value, list | tuple):
        return f"returns {type(value).__name__}"
    for row in value:
        if not isinstance(row, dict) or not all(isinstance(key, str) for key in row):
            return f"has the run {row!r:.80}"
    return ""


def _rank(section: str) -> int:
    return base.SECTIONS.index(section) if section in base.SECTIONS else len(base.SECTIONS)


def module(path: str, flag: str, function: str) -> ModuleType:
    """Import the Python file of a flag: a path, or the name of a file below `configs/`.

    Raises:
      ValueError: there is no such file, it cannot be imported, or it lacks the function.
    """
    known, expected = shipped(function), _EXPECTED[function]
    near = suggest(Path(path).stem, known)
    accepted = f"{', '.join(known)}{near}, or {expected}"
    file = str(files.existing(f"--{flag}", _find(path), accepted))
    name = f"{flag}_{Path(file).stem}"
    loader = importlib.machinery.SourceFileLoader(name, file)
    spec = importlib.util.spec_from_loader(name, loader, origin=file)
    loaded = importlib.util.module_from_spec(spec)
    loaded.__file__ = file
    try:
        loader.exec_module(loaded)
    except (Exception, SystemExit) as error:  # the user's file may raise anything
        reason = place(error, file)
        raise refusal(f"--{flag}", file, f"{expected}; loading it raised {reason}") from error
    defined = callable(getattr(loaded, function, None))
    require(f"--{flag}", file, defined, f"{expected}; this one defines none")
    return loaded


def _find(path: str) -> str:
    """The file of a name, or of a path that may begin below `configs/`; else the path itself.

    A name may have its folders before it, or the first of them: `studies/atlas`.
    """
    named = []
    for file in sorted(CONFIGS.rglob("*.py")):
        name = file.relative_to(CONFIGS).with_suffix("")
        if path in (file.stem, name.as_posix(), f"{name.parts[0]}/{file.stem}"):
            named.append(file)
    if named:
        return str(named[0])
    shipped_file = CONFIGS.parent / path
    below = path.startswith(f"{CONFIGS.name}/") and os.path.exists(shipped_file)
    return str(shipped_file) if below and not os.path.exists(path) else path


def keys_help(config: Config, reference: str) -> str:
    """The keys of a config with their types, values and meanings."""
    lines = [f"\n\nKeys, with the values of --config={reference}:"]
    for section, keys in config.items():
        meanings = _meanings(section, keys)
        for key, value in keys.items():
            kind = _type_name(key_type(config, section, key))
            meaning = meanings.get(key, "")
            lines.append(f"  --config.{section}.{key}={value}  ({kind}) {meaning}")
    lines.append(f"\nShipped configs: {', '.join(shipped())}; sizes: {', '.join(base.SIZES)}")
    return "\n".join(lines)


def _type_name(kind: Any) -> str:
    plain = [k for k in (typing.get_args(kind) or (kind,)) if isinstance(k, type)]
    names = [k.__name__.replace("NoneType", "none") for k in plain]
    return " or ".join(names) or "text"


def _meanings(section: str, keys: dict[str, Any]) -> dict[str, str]:
    """The meaning of each key: for components from the docstring of `make`, else base.MEANING."""
    if section not in FOLDERS:
        return {key: base.MEANING.get(f"{section}.{key}", "") for key in keys}
    doc = inspect.getdoc(find(section, keys["name"]).make) or ""
    meanings = {"name": base.MEANING[f"{section}.name"]}
    for parameter in docstring_parser.parse(doc, docstring_parser.DocstringStyle.GOOGLE).params:
        text = " ".join((parameter.description or "").split())
        meanings |= {name.strip(): text for name in parameter.arg_name.split(",")}
    return meanings
