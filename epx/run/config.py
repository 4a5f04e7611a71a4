"""The keys of a config: names as modules, and texts as values.

A name is a module of a folder of the package, or the import path of the user's module; there is no
registry. Its config keys are the arguments of its `make`, read from the signature. KEYS has all
other keys. Needs no JAX.
"""

import difflib
import functools
import importlib
import inspect
import json
import math
import traceback
import types
import typing
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from epx.types import Refusal, Spec, refusal, require

Config = dict[str, dict[str, Any]]  # sections of plain values
Overrides = dict[str, Any]  # dotted keys and their values

FOLDERS = {"generator": "epx.generators", "observer": "epx.observers", "code": "epx.codes"}

# Arguments of `make` that the program supplies; all others are config keys.
SUPPLIED = {
    "generator": ("key",),
    "observer": ("vocab", "length", "dtype"),
    "code": ("observer", "batch"),
}

# The parts that the value of `make` has at least.
MADE: dict[str, dict[str, Any]] = {
    "generator": {"spec": Spec, "example": Callable, "oracle_nats": Callable},
    "observer": {"init": Callable, "logits": Callable, "flops": Callable},
    "code": {"init": Callable, "step": Callable},
}

# The keys of the other sections and their types. `configs/base.py` has units and meanings.
KEYS: dict[str, Any] = {
    "optim.lr": float,
    "optim.warmup_steps": float,
    "optim.b1": float,
    "optim.b2": float,
    "optim.eps": float,
    "optim.clip_norm": float,
    "optim.ema_steps": float,
    "run.seed": int,
    "run.seeds": int,
    "run.steps": int,
    "run.batch": int,
    "run.microbatch": int | None,
    "run.chunk": int,
    "run.parallel": str,
    "run.devices": int | None,
    "run.dtype": str,
    "run.repeats": int,
    "run.examples": int | None,
    "run.require_accelerator": bool,
    "eval.every": int | None,
    "eval.examples": int,
    "eval.test_tokens": float | None,
    "checkpoint.every": int | None,
    "checkpoint.keep": int | None,
}
# Sections without fixed keys: names in tables, and how a learning rate was chosen.
FREE_SECTIONS = ("label", "tuning")
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


@functools.cache
def names(kind: str) -> list[str]:
    """The modules with a `make` for a kind: `generator`, `observer` or `code`."""
    folder = importlib.import_module(FOLDERS[kind])
    files = [file for path in folder.__path__ for file in Path(path).glob("*.py")]
    return sorted(
        file.stem
        for file in files
        if not file.stem.startswith("_") and "\ndef make(" in file.read_text()
    )


def find(kind: str, name: str) -> ModuleType:
    """The module of a name.

    Raises:
      ValueError: there is no such module, it cannot be imported, or it has no `make`.
    """
    shipped = names(kind)
    if name in shipped:
        return importlib.import_module(f"{FOLDERS[kind]}.{name}")
    key, needed = f"{kind}.name", f"a module with a function make, as those of {FOLDERS[kind]}"
    near = suggest(str(name), shipped)
    known = f"{', '.join(shipped)}{near}, or a module of your own on the import path"
    legal = isinstance(name, str) and all(part.isidentifier() for part in name.split("."))
    require(key, name, legal, known)
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        # What is missing may be the module itself, or one that it imports.
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{name}.".startswith(f"{missing}."):
            raise refusal(key, name, known) from None
        raise refusal(key, name, f"{needed}; importing it raised {place(error)}") from error
    require(key, name, callable(getattr(module, "make", None)), f"{needed}; this one has none")
    return module


def place(error: BaseException, file: str | None = None) -> str:
    """An exception in one line, with the line of the user's file that led to it.

    Args:
      error: as it was caught, in the function that called or imported the user's code.
      file: of the user; None is the first one that was entered.
    """
    frames = traceback.extract_tb(error.__traceback__)[1:]
    frames = [frame for frame in frames if "importlib" not in frame.filename]
    if file is None and frames:
        file = frames[0].filename
    lines = [frame.lineno for frame in frames if frame.filename == file]
    message = str(error)
    if isinstance(error, SyntaxError) and error.filename:
        file, lines, message = error.filename, [error.lineno], error.msg
    line = f", line {lines[-1]}" if lines else ""
    where = f" ({file}{line})" if file else ""
    first, *_ = message.splitlines() or ["no reason"]
    return f"{type(error).__name__}: {first:.200}{where}"


def arguments(kind: str, name: str) -> dict[str, inspect.Parameter]:
    """The config keys of a module: parameters of its `make`, without the supplied ones.

    Raises:
      ValueError: as `find`, or a parameter has no default.
    """
    function = find(kind, name).make
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise refusal(f"{kind}.name", name, f"a make with a readable signature: {error}") from error
    keys = {key: p for key, p in parameters.items() if key not in SUPPLIED[kind]}
    for key, parameter in keys.items():
        has_default = parameter.default is not parameter.empty
        accepted = f"a make whose parameters have defaults; {key} has none"
        require(f"{kind}.name", name, has_default, accepted)
    return keys


def complete(kind: str, section: dict[str, Any]) -> dict[str, Any]:
    """A section with all arguments of its module, defaults included.

    Raises:
      ValueError: an unknown name, or a key that is no argument of `make`.
    """
    name = section.get("name", "")
    keys = arguments(kind, name)
    for key, value in section.items():
        if key != "name":
            _check_key(f"{kind}.{key}", value, keys, f" with {kind}.name={name}")
    return {"name": name} | {k: section.get(k, p.default) for k, p in keys.items()}


def resolve(config: Config, overrides: Overrides) -> Config:
    """A copy of a config with the overrides applied and all arguments of its components.

    Args:
      config: sections of plain values; arguments of components may be left out.
      overrides: dotted keys and values; a text is converted to the key's type. A new name replaces
        the keys of its section by its defaults.

    Raises:
      ValueError: a key that does not exist, or a value of another type.
    """
    config = {section: dict(values) for section, values in config.items()}
    for kind in FOLDERS:
        section = config.setdefault(kind, {})
        name = overrides.get(f"{kind}.name", section.get("name", ""))
        same = name == section.get("name")
        config[kind] = complete(kind, section if same else {"name": name})
    for dotted, value in overrides.items():
        section, _, key = dotted.partition(".")
        if section in FREE_SECTIONS:
            config.setdefault(section, {})[key] = value
            continue
        if section not in config:
            raise refusal(dotted, value, f"keys of the sections {', '.join(config)}")
        known = config[section]
        named = f" with {section}.name={known['name']}" if section in FOLDERS else ""
        _check_key(dotted, value, known, named)
        known[key] = convert(dotted, value, key_type(config, section, key))
    for section in FREE_SECTIONS:
        for key, value in config.get(section, {}).items():
            try:
                json.dumps(value, allow_nan=False)  # the record holds it
            except (TypeError, ValueError) as error:
                accepted = "a text, a number or a list of them"
                raise refusal(f"{section}.{key}", value, accepted) from error
    return config


def check_types(config: Config) -> Config:
    """A copy of a resolved config whose values have the types of their keys.

    Raises:
      ValueError: a section or a key is missing, or a value has another type.
    """
    given = {f"{section}.{key}" for section, values in config.items() for key in values}
    missing = sorted(KEYS.keys() - given)
    require("config", missing, not missing, "a config with all keys of configs/base.py")
    sections = [*FOLDERS, *dict.fromkeys(key.partition(".")[0] for key in KEYS), *FREE_SECTIONS]
    checked = {}
    for section, values in config.items():
        require(section, values, section in sections, f"the sections {', '.join(sections)}")
        checked[section] = dict(values)
        known = [key.partition(".")[2] for key in KEYS if key.startswith(f"{section}.")]
        for key, value in values.items():
            if known:
                _check_key(f"{section}.{key}", value, known, f" in the section {section}")
            kind = key_type(config, section, key)
            checked[section][key] = convert(f"{section}.{key}", value, kind)
    return checked


def key_type(config: Config, section: str, key: str) -> Any:
    """The type of a key: its annotation in `make`, or the type of its default; None if unknown."""
    if section not in FOLDERS:
        return KEYS.get(f"{section}.{key}")
    if key == "name":
        return str
    parameter = arguments(section, config[section]["name"])[key]
    if parameter.annotation not in (parameter.empty, Any) and not isinstance(
        parameter.annotation, str
    ):
        return parameter.annotation
    return None if parameter.default is None else type(parameter.default)


def convert(key: str, value: Any, kind: Any) -> Any:
    """Convert a value, or its text, to the type of its key; 1e3 is the integer 1000.

    Raises:
      ValueError: it has no value of that type.
    """
    union = isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union
    kinds = typing.get_args(kind) if union else (kind,)
    optional = type(None) in kinds
    plain = [k for k in kinds if k in _WORDS]
    if optional and (value is None or (isinstance(value, str) and value.lower() == "none")):
        return None
    if not plain:
        return value  # a section without fixed keys, or a type that only `make` checks
    for plain_kind in plain:
        converted = _convert(value, plain_kind)
        if converted is not None:
            return converted
    accepted = " or ".join(_WORDS[k] for k in plain) + (" or none" if optional else "")
    raise refusal(key, value, accepted)


def _convert(value: Any, kind: type) -> Any:
    """The value as a plain type, or None if it cannot be converted."""
    if kind is bool:
        texts = {"true": True, "1": True, "false": False, "0": False}
        return texts.get(value.lower()) if isinstance(value, str) else _instance(value, bool)
    if kind is str:
        return value if isinstance(value, str) else None
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                return None
    if not isinstance(value, (int, float)) and not hasattr(value, "__float__"):
        return None
    if kind is float:
        try:
            return value if isinstance(value, float) else float(value)
        except OverflowError:
            return math.inf
    whole = isinstance(value, int) or (math.isfinite(value) and float(value).is_integer())
    return int(value) if whole else None


def _instance(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else None


def make(kind: str, section: dict[str, Any], **supplied: Any) -> Any:
    """Call `make` of a section's module with its keys and the supplied arguments it has.

    Raises:
      ValueError: a value that it does not accept, or an exception in the user's module.
    """
    config = {kind: complete(kind, section)}
    name = config[kind]["name"]
    keys = {
        key: convert(f"{kind}.{key}", value, key_type(config, kind, key))
        for key, value in config[kind].items()
        if key != "name"
    }
    function = find(kind, name).make
    taken = {k: v for k, v in supplied.items() if k in inspect.signature(function).parameters}
    if name in names(kind):
        return function(**taken, **keys)
    try:
        made = function(**taken, **keys)
    except Refusal:
        raise
    except Exception as error:  # the user's make may raise anything
        accepted = f"a module whose make returns; it raised {place(error)}"
        raise refusal(f"{kind}.name", name, accepted) from error
    parts = MADE[kind]
    has_all = all(isinstance(getattr(made, part, None), wanted) for part, wanted in parts.items())
    accepted = f"a module whose make returns what has {', '.join(parts)}; this is {made!r:.80}"
    require(f"{kind}.name", name, has_all, accepted)
    return made


def suggest(word: str, known: Iterable[str]) -> str:
    """' (did you mean X?)' if a known word is similar, else ''."""
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _check_key(dotted: str, value: Any, known: Iterable[str], condition: str) -> None:
    key = dotted.partition(".")[2]
    if key not in known:
        keys = f"keys {', '.join(known) or 'none'}{suggest(key, known)}"
        raise refusal(dotted, value, f"{keys}{condition}")
