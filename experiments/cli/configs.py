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
from epx.run.config import FOLDERS, Config, Overrides, find, key_type, place, resolve, suggest

CONFIGS = Path(base.__file__).parent
_LONGEST_PATH = 4096


class UsageError(ValueError):
    """A mistake on the command line; the message is for the user."""


def shipped(function: str = "get_config") -> list[str]:
    """Names of the files below `configs/` that define a function.

    `get_config` gives the files of the generators, `sweep` those of the sweeps.
    """
    files = [file for file in CONFIGS.rglob("*.py") if file.stem != "base"]
    studies = [file for file in files if "\ndef sweep(" in file.read_text()]
    if function == "sweep":
        return sorted(file.stem for file in studies)
    return sorted(file.stem for file in files if _defines(file, function) and file not in studies)


def _defines(file: Path, function: str) -> bool:
    return f"\ndef {function}(" in file.read_text()


def load(reference: str, overrides: dict[str, str]) -> Config:
    """Load a config as sections of plain values, with all arguments of its components.

    Args:
      reference: PATH[:SIZE], or NAME[:SIZE] of a shipped config.
      overrides: dotted keys and values as text.

    Raises:
      UsageError: there is no such config, or the file is not a config.
      ValueError: a key or value that is not accepted.
    """
    path, _, size = reference.partition(":")
    loaded = module(path, "config", "get_config")
    return resolve(call(loaded, "config", "get_config", *([size] if size else [])), overrides)


def call(loaded: ModuleType, flag: str, function: str, *arguments: Any) -> Any:
    """Call a config file's `get_config(size)` or a sweep file's `sweep()`; return plain values.

    Raises:
      UsageError: the function raises, or returns a value of another form.
    """
    where = f"--{flag}={loaded.__file__}: {function}"
    if not callable(getattr(loaded, function)):
        raise UsageError(f"{where} is not a function")
    try:
        inspect.signature(getattr(loaded, function)).bind(*arguments)
    except (TypeError, ValueError) as error:
        expected = "get_config(size='cpu')" if function == "get_config" else f"{function}()"
        raise UsageError(f"{where}: expected is {expected}: {error}") from error
    try:
        value = getattr(loaded, function)(*arguments)
    except ValueError as error:
        if str(error).startswith("config size"):
            raise UsageError(str(error)) from error
        raise UsageError(f"{where} raised {place(error)}") from error
    except (Exception, SystemExit) as error:  # the user's function may raise anything
        raise UsageError(f"{where} raised {place(error)}") from error
    return _plain_config(value, where) if function == "get_config" else _plain_sweep(value, where)


def _plain_config(value: Any, where: str) -> Config:
    if isinstance(value, ConfigDict):
        value = value.to_dict()
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise UsageError(f"{where} returned {kind}: expected is what base.get_config returns")
    for section in base.SECTIONS:
        if not isinstance(value.get(section), dict):
            raise UsageError(f"{where}: no section {section}; start from base.get_config")
    return {section: dict(value[section]) for section in sorted(value, key=_rank)}


def _plain_sweep(value: Any, where: str) -> list[Overrides]:
    rows = list(value) if isinstance(value, (list, tuple)) else None
    if not rows or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{where}: expected is a list of dicts of overrides, one per run")
    return rows


def _rank(section: str) -> int:
    return base.SECTIONS.index(section) if section in base.SECTIONS else len(base.SECTIONS)


def module(path: str, flag: str, function: str) -> ModuleType:
    """Import the Python file of a flag: a path, or the name of a file below `configs/`.

    Raises:
      UsageError: there is no such file, it cannot be imported, or it lacks the function.
    """
    names, shown = shipped(function), f"--{flag}={path[:80]}"
    if len(path) > _LONGEST_PATH or any(len(os.fsencode(p)) > 255 for p in Path(path).parts):
        raise UsageError(f"{shown}...: the path is too long; shipped are {', '.join(names)}")
    file = Path(path)
    if file.name.removesuffix(".py") == path:  # a name without folder and ending
        file = next(iter(sorted(CONFIGS.rglob(f"{path}.py"))), file)
    elif not file.exists() and file.parts[:1] == (CONFIGS.name,):
        file = CONFIGS.parent / file
    if not file.is_file():
        hint = suggest(Path(path).stem, names)
        raise UsageError(f"{shown}: no such file; {hint}shipped are {', '.join(names)}")
    spec = importlib.util.spec_from_loader(
        f"{flag}_{file.stem}",
        importlib.machinery.SourceFileLoader(f"{flag}_{file.stem}", str(file)),
        origin=str(file),
    )
    loaded = importlib.util.module_from_spec(spec)
    loaded.__file__ = str(file)
    try:
        spec.loader.exec_module(loaded)
    except (Exception, SystemExit) as error:  # the user's file may raise anything
        raise UsageError(f"{shown}: cannot be loaded: {place(error)}") from error
    if not hasattr(loaded, function):
        raise UsageError(f"{shown}: defines no {function}; shipped are {', '.join(names)}")
    return loaded


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
