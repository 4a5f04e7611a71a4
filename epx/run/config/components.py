"""Generators, observers and codes by their names.

A name is a module below a folder of the package, or the import path of one of the user; there is no
registry. Its config keys are the arguments of its `make`, read from the signature. Needs no JAX.
"""

import functools
import importlib
import inspect
import shlex
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from epx.run.config import values
from epx.types import Generator, Refusal, Spec, refusal, require

FOLDERS = {
    "generator": "epx.generators",
    "observer": "epx.observers",
    "code": "epx.codes",
    "policy": "epx.policies",
}
# Where a config has no name.
DEFAULTS = {"policy": "fixed"}

# Arguments of `make` that the program supplies; all others are config keys.
SUPPLIED = {
    "generator": ("key", "make_parts", "learner_of"),
    "observer": ("vocab", "length", "side", "dtype", "generator"),
    "code": ("observer", "batch", "length", "side"),
    "policy": ("prior_MxP", "chunk"),
}

# The parts that the value of `make` has at least.
MADE: dict[str, dict[str, Any]] = {
    "generator": {"spec": Spec, "example": Callable, "oracle_nats": Callable},
    "observer": {"init": Callable, "logits": Callable, "flops": Callable},
    "code": {"init": Callable, "step": Callable},
    "policy": {"__call__": Callable},
}


@functools.cache
def modules(kind: str) -> dict[str, str]:
    """The modules with a `make` for a kind: `generator`, `observer`, `code` or `policy`.

    Returns:
      Their import paths by their names; the folders between do not belong to a name.
    """
    package = FOLDERS[kind]
    return {
        file.stem: ".".join((package, *file.relative_to(path).with_suffix("").parts))
        for path in importlib.import_module(package).__path__
        for file in sorted(Path(path).rglob("[!_]*.py"))
        if "\ndef make(" in file.read_text()
    }


def names(kind: str) -> list[str]:
    """The names of the modules of a kind."""
    return sorted(modules(kind))


def find(kind: str, name: str) -> ModuleType:
    """The module of a name.

    Raises:
      ValueError: there is no such module, it cannot be imported, or it has no `make`.
    """
    shipped = names(kind)
    if name in shipped:
        return importlib.import_module(modules(kind)[name])
    key, needed = f"{kind}.name", f"a module with a function make, as those of {FOLDERS[kind]}"
    near = values.suggest(str(name), shipped)
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
        parameters = _parameters(function)
    except (TypeError, ValueError) as error:
        raise refusal(f"{kind}.name", name, f"a make with a readable signature: {error}") from error
    keys = {key: p for key, p in parameters.items() if key not in SUPPLIED[kind]}
    for key, parameter in keys.items():
        has_default = parameter.default is not parameter.empty
        accepted = f"a make whose parameters have defaults; {key} has none"
        require(f"{kind}.name", name, has_default, accepted)
    return keys


@functools.lru_cache(maxsize=128)
def _parameters(function: Callable) -> Mapping[str, inspect.Parameter]:
    """Reading a signature takes 50 microseconds, and a sweep asks thousands of times."""
    return inspect.signature(function).parameters


def complete(kind: str, section: dict[str, Any]) -> dict[str, Any]:
    """A section with all arguments of its module, defaults included.

    Raises:
      ValueError: an unknown name, or a key that is no argument of `make`.
    """
    name = section.get("name", DEFAULTS.get(kind, ""))
    keys = arguments(kind, name)
    for key, value in section.items():
        if key != "name":
            values.check_key(f"{kind}.{key}", value, keys, f" with {kind}.name={name}")
    return {"name": name} | {k: section.get(k, p.default) for k, p in keys.items()}


def type_of(parameter: inspect.Parameter) -> Any:
    """The type of a parameter: its annotation, or the type of its default; None if unknown."""
    if parameter.annotation not in (parameter.empty, Any) and not isinstance(
        parameter.annotation, str
    ):
        return parameter.annotation
    return None if parameter.default is None else type(parameter.default)


def make(kind: str, section: dict[str, Any], **supplied: Any) -> Any:
    """Call `make` of a section's module with its keys and the supplied arguments it has.

    Raises:
      ValueError: a value that it does not accept, or an exception in the user's module.
    """
    section = complete(kind, section)
    name = section["name"]
    keys = {
        key: values.convert(f"{kind}.{key}", section[key], type_of(parameter))
        for key, parameter in arguments(kind, name).items()
    }
    function = find(kind, name).make
    if kind == "generator":
        others = {name: value for name, value in supplied.items() if name != "key"}
        supplied = supplied | {"make_parts": functools.partial(make_parts, **others)}
    taken = {k: v for k, v in supplied.items() if k in _parameters(function)}
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


def make_parts(key_of: Callable, config_key: str, text: str, **supplied: Any) -> list[Generator]:
    """The generators of a text, for one that is made of others (`epx.types.MakeParts`).

    Raises:
      ValueError: the text has another form, or a part is not accepted; named by the config key.
    """
    accepted = 'parts such as "eca rule=54 width=16; iid vocab=2": a name and arguments'
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";")
    lexer.whitespace_split, lexer.commenters = True, ""
    parts: list[list[str]] = [[]]
    try:
        for word in lexer:
            if set(word) == {";"}:
                parts.append([])
            else:
                parts[-1].append(word)
    except ValueError as error:  # a quotation without an end
        raise refusal(config_key, text, f"{accepted}; {error}") from error
    if len(parts) > 1 and not parts[-1]:
        parts.pop()
    made = []
    for words in parts:
        pairs = [word.partition("=") for word in words[1:]]
        require(config_key, text, bool(words) and all(sep for _, sep, _ in pairs), accepted)
        section = {name: value for name, _, value in pairs} | {"name": words[0]}
        draw = values.convert(f"{config_key}.draw", section.pop("draw", 0), int)
        require(f"{config_key}.draw", draw, 0 <= draw < 2**32, "whole numbers of 32 bits")
        try:
            made.append(make("generator", section, **supplied | {"key": key_of(draw)}))
        except Refusal as error:
            accepted = f"parts that are accepted themselves; {error}"
            raise refusal(config_key, " ".join(words), accepted) from error
    return made
