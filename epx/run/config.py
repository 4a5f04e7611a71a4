"""Finds worlds, observers and codes by name, without a registry: a name is a module of the
package's folder or else the import path of the user's own. The arguments of its `make` are its
config keys, read from the signature."""

import difflib
import importlib
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDERS = {"generator": "epx.generators", "observer": "epx.observers", "code": "epx.codes"}

# What the program supplies to `make`; every other parameter is a config key.
SUPPLIED = {
    "generator": ("key",),
    "observer": ("vocab", "length", "dtype"),
    "code": ("observer", "batch"),
}


def names(kind: str) -> list[str]:
    """The modules with a `make` that exist for a kind (`generator`, `observer` or `code`)."""
    folder = importlib.import_module(FOLDERS[kind])
    files = [file for path in folder.__path__ for file in Path(path).glob("*.py")]
    return sorted(file.stem for file in files if "\ndef make(" in file.read_text())


def find(kind: str, name: str) -> ModuleType:
    """The module of that name.

    Raises:
      ValueError: no such module, or one without a `make`; names those that exist.
    """
    known = names(kind)
    if name in known:
        module = importlib.import_module(f"{FOLDERS[kind]}.{name}")
    elif _exists(name):
        module = importlib.import_module(name)
    else:
        raise ValueError(
            f"{kind}.name={name}: {suggest(name, known)}known are {', '.join(known)}, and your own "
            "modules on the import path"
        )
    if not callable(getattr(module, "make", None)):
        raise ValueError(f"{kind}.name={name}: the module has no function make")
    return module


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a parent is missing, or the name is no name
        return False


def arguments(kind: str, name: str) -> dict[str, inspect.Parameter]:
    """The config keys of a module: the parameters of its `make` that the program does not supply.

    Raises:
      ValueError: no such module, or a parameter without a default.
    """
    parameters = inspect.signature(find(kind, name).make).parameters
    keys = {key: p for key, p in parameters.items() if key not in SUPPLIED[kind]}
    for key, parameter in keys.items():
        if parameter.default is parameter.empty:
            raise ValueError(f"{kind}.name={name}: its make has no default for {key}")
    return keys


def complete(kind: str, section: dict[str, Any]) -> dict[str, Any]:
    """A section of a config with every argument of its module, defaults filled in.

    Raises:
      ValueError: an unknown name, or a key that is no argument of its `make`.
    """
    keys = arguments(kind, section["name"])
    for key in section:
        if key != "name" and key not in keys:
            raise ValueError(
                f"{kind}.{key}: no such key for {section['name']}; {suggest(key, keys)}"
                f"known are {', '.join(keys) or 'none'}"
            )
    return {"name": section["name"]} | {k: section.get(k, p.default) for k, p in keys.items()}


def make(kind: str, section: dict[str, Any], **supplied: Any) -> Any:
    """Calls `make` of the section's module with its keys and with what it takes of `supplied`."""
    section = complete(kind, section)
    function = find(kind, section.pop("name")).make
    taken = {k: v for k, v in supplied.items() if k in inspect.signature(function).parameters}
    return function(**taken, **section)


def suggest(word: str, known: Any) -> str:
    """'did you mean X? ' where a known word is near, otherwise nothing."""
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.5)
    return f"did you mean {' or '.join(near)}? " if near else ""
