"""The command line of the binaries: a config file, dotted overrides, a few flags. Every mistake is
one line that names the key, the value and what would be accepted, and exit code 2."""

import contextlib
import importlib.util
import inspect
import logging as python_logging
import re
import signal
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from absl import app, flags, logging
from ml_collections import ConfigDict

from configs import base
from epx.report import symbols
from epx.run import config as components

CONFIGS = Path(base.__file__).parent
FLAGS = flags.FLAGS
EXAMPLE = "life"
HELP = ("--help", "-help", "-h")


class UsageError(ValueError):
    """A mistake on the command line; the message is for the user."""


def launch(
    main: Callable[..., int | None], doc: str, takes_config: bool = False, takes_words: bool = False
) -> None:
    """Runs a binary, after the flags are parsed: `main()`, `main(config)` where it takes one, or
    `main(words, overrides)` where it takes words: those beside the flags, and --config.KEY=VALUE.

    Exit codes: 0 done; 1 the run failed; 2 a mistake in the command or the config; 128 + the
    signal's number where a signal stopped it.
    """
    argv = sys.argv
    symbols.degrade(sys.stdout, sys.stderr)
    try:
        overrides, rest = _split(argv[1:]) if takes_config or takes_words else ({}, argv[1:])
        wants_help = any(arg in HELP for arg in rest)
        rest = [arg for arg in rest if arg not in HELP]
        words = _parse_flags([argv[0], *rest], takes_words)
        if takes_config and not (FLAGS.config or wants_help):
            raise UsageError(f"--config is missing; shipped are {', '.join(shipped())}")
        config = load(FLAGS.config or EXAMPLE, overrides) if takes_config else None
        if wants_help:
            print(_help(doc, config))
            sys.exit(0)
    except (ValueError, flags.Error) as error:
        fail(str(error), 2)
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().addFilter(_is_for_the_user)
    sys.unraisablehook = _unraisable
    arguments = [config] if takes_config else [words, overrides] if takes_words else []
    app.run(lambda _: _interruptible(main, arguments), [argv[0]], lambda argv: argv)


def _interruptible(main: Callable[..., int | None], arguments: list) -> int | None:
    """A run notices Ctrl-C itself; before it starts, and in whatever else takes long, this does."""
    try:
        return main(*arguments)
    except KeyboardInterrupt:
        fail("stopped; to go on, start the same command again", 128 + signal.SIGINT)


def _is_for_the_user(line: python_logging.LogRecord) -> bool:
    # Orbax tells every step of a save, and again what the run then says in one line.
    if any(name in line.pathname for name in ("orbax", "etils")):
        return False
    libraries = ("jax", "flax", "optax", "matplotlib")
    return line.levelno >= python_logging.WARNING or not any(
        f"/{name}/" in line.pathname for name in libraries
    )


def _unraisable(raised) -> None:
    # Writes that are still under way when a save fails find its event loop gone.
    if "Event loop is closed" not in str(raised.exc_value):
        sys.__unraisablehook__(raised)


def say(line: str) -> None:
    """A line on standard error."""
    print(line, file=sys.stderr, flush=True)


def program() -> str:
    """The name of the binary that runs."""
    path = Path(sys.argv[0])
    return path.parent.name if path.stem == "__main__" else path.stem


def fail(message: str, code: int) -> None:
    """Says why on standard error and exits."""
    say(f"{program()}: {message}")
    sys.exit(code)


@contextlib.contextmanager
def config_errors() -> Iterator[None]:
    """Around what is done before anything is compiled: a ValueError there is the config's."""
    try:
        yield
    except ValueError as error:
        fail(str(error), 2)


def shipped(function: str = "get_config") -> list[str]:
    """Names of the files in `configs/` that define a function: those of the worlds, or with
    `ensembles` those of the sweeps."""
    files = [file for file in CONFIGS.rglob("*.py") if file.stem != "base"]
    return sorted(file.stem for file in files if f"def {function}(" in file.read_text())


def load(reference: str, overrides: dict[str, str]) -> dict[str, Any]:
    """A config as sections of plain values, with every argument of its components.

    Args:
      reference: PATH[:SIZE], or NAME[:SIZE] of a shipped config.
      overrides: dotted keys and values as text.

    Raises:
      UsageError: no such config.
      ValueError: a key or value that is not accepted.
    """
    path, _, size = reference.partition(":")
    loaded = module(path, "config", "get_config").get_config(*([size] if size else []))
    config = {name: loaded[name].to_dict() for name in sorted(loaded, key=_rank)}
    for kind in components.FOLDERS:  # names first: a new name brings its own keys
        name = overrides.get(f"{kind}.name", config[kind]["name"])
        if name != config[kind]["name"]:
            config[kind] = {"name": name}
        config[kind] = components.complete(kind, config[kind])
    for dotted, text in overrides.items():
        section, _, key = dotted.partition(".")
        _check_key(dotted, section, config)
        named = (
            f" of {section}.name={config[section]['name']}" if section in components.FOLDERS else ""
        )
        _check_key(dotted, key, config[section], named)
        config[section][key] = _value(dotted, text, *_type(section, key, config, loaded))
    return config


def _type(section: str, key: str, config: dict[str, Any], loaded: ConfigDict) -> tuple[type, bool]:
    """The type of a key and whether it may be None: of an argument as it is annotated, or else that
    of its default."""
    if section not in components.FOLDERS or key == "name":
        return loaded[section].get_type(key), config[section][key] is None
    parameter = components.arguments(section, config[section]["name"])[key]
    wanted = typing.get_args(parameter.annotation) or (parameter.annotation,)
    known = [kind for kind in wanted if kind in (bool, int, float, str)]
    optional = type(None) in wanted or parameter.default is None
    if known:
        return known[0], optional
    return (str if parameter.default is None else type(parameter.default)), optional


def _rank(section: str) -> int:
    return base.SECTIONS.index(section) if section in base.SECTIONS else len(base.SECTIONS)


def _check_key(dotted: str, word: str, known: dict[str, Any], named: str = "") -> None:
    if word not in known:
        raise ValueError(
            f"{dotted}: no such key{named}; {components.suggest(word, known)}known are "
            f"{', '.join(known)}"
        )


def module(path: str, flag: str, function: str) -> ModuleType:
    """The Python file of a flag: a path, or the name of one in `configs/`, from any folder.

    Raises:
      UsageError: no such file, or it does not define the function.
    """
    file = Path(path)
    if file.name.removesuffix(".py") == path:  # a bare name, wherever one is
        file = next(iter(sorted(CONFIGS.rglob(f"{path}.py"))), file)
    elif not file.exists() and file.parts[0] == CONFIGS.name:
        file = CONFIGS.parent / file
    known = shipped(function)
    if not file.is_file():
        near = components.suggest(Path(path).stem, known)
        raise UsageError(f"--{flag}={path}: no such file; {near}shipped are {', '.join(known)}")
    spec = importlib.util.spec_from_file_location(f"{flag}_{file.stem}", file)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    if not hasattr(loaded, function):
        raise UsageError(f"--{flag}={path}: has no {function}; shipped are {', '.join(known)}")
    return loaded


def _value(dotted: str, text: str, kind: type, optional: bool) -> Any:
    """The text as a value of a type; whole floats are integers, so 1e3 is 1000."""
    if optional and text.lower() == "none":
        return None
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if kind is int:
            number = int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
            if number != int(number):
                raise ValueError
            return int(number)
        return kind(text)
    except (ValueError, KeyError, OverflowError):
        wanted = {int: "an integer", float: "a number", bool: "true or false"}.get(kind, kind)
        raise ValueError(f"{dotted}={text}: must be {wanted}") from None


def _split(args: list[str]) -> tuple[dict[str, str], list[str]]:
    """Overrides `--config.key=value` and the other arguments."""
    overrides, rest = {}, []
    for arg in args:
        match = re.fullmatch(r"--?config\.([\w.]+)(?:=(.*))?", arg, re.S)
        if not match:
            rest.append(arg)
        elif match[2] is None:
            raise UsageError(f"{arg}: give the value as {arg}=VALUE")
        else:
            overrides[match[1]] = match[2]
    return overrides, rest


def _parse_flags(argv: list[str], takes_words: bool) -> list[str]:
    """The words beside the flags, which may stand in any order."""
    leftover = FLAGS(argv)[1:]
    for text in leftover:
        word, is_assignment, _ = text.partition("=")
        fix = f"; did you mean --{text}?" if word.split(".")[0] in [*FLAGS, "config"] else ""
        if is_assignment or not takes_words:
            raise UsageError(f"{text} is no flag{fix}")
    return leftover


def _help(doc: str, config: dict[str, Any] | None) -> str:
    parts = [doc.strip(), "\nFlags:"]
    own = FLAGS.flags_by_module_dict().get(sys.argv[0], []) or FLAGS.get_key_flags_for_module(
        sys.argv[0]
    )
    parts += [f"  --{flag.name}={flag.value}  {flag.help}" for flag in own]
    if config is not None:
        parts.append(f"\nKeys, here with the values of --config={FLAGS.config or EXAMPLE}:")
        for section, keys in config.items():
            meanings = _meanings(section, keys)
            for key, value in keys.items():
                kind = _type(section, key, config, base.get_config())[0].__name__
                parts.append(
                    f"  --config.{section}.{key}={value}  ({kind}) {meanings.get(key, '')}"
                )
        parts.append(f"\nShipped configs: {', '.join(shipped())}; sizes: {', '.join(base.SIZES)}")
    return "\n".join(parts)


def _meanings(section: str, keys: dict[str, Any]) -> dict[str, str]:
    if section not in components.FOLDERS:
        return {key: base.MEANING.get(f"{section}.{key}", "") for key in keys}
    text = inspect.getdoc(components.find(section, keys["name"]).make) or ""
    entries = re.findall(r"^  ([\w, ]+): (.*(?:\n {4,}.*)*)", text, re.M)
    found = {
        n.strip(): " ".join(words.split()) for names, words in entries for n in names.split(",")
    }
    return found | {"name": base.MEANING[f"{section}.name"]}
