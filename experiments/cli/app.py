"""The command line of the binaries: flags, overrides of a config, errors and exit codes.

Every mistake is one line that names the key, the value and the accepted values.
"""

import contextlib
import logging as python_logging
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import app, flags, logging

import epx
from epx.report import symbols
from epx.run.config.values import suggest
from experiments.cli import configs

FLAGS = flags.FLAGS
EXAMPLE = "life"
HELP = ("--help", "-help", "-h")


class UsageError(ValueError):
    """A mistake on the command line; the message is for the user."""


def launch(
    main: Callable[..., int | None], doc: str, takes_config: bool = False, takes_words: bool = False
) -> None:
    """Parse the flags and run a binary.

    It calls `main()`, `main(config)` with `takes_config`, or `main(words, overrides)` with
    `takes_words`: the arguments that are no flags, and the overrides of --config.KEY=VALUE.

    Exit codes: 0 done; 1 the run failed; 2 a mistake in the command or the config; 128 + the
    number of the signal that stopped it.
    """
    argv = sys.argv
    symbols.degrade(sys.stdout, sys.stderr)
    try:
        takes_overrides = takes_config or takes_words
        overrides, rest = _split(argv[1:]) if takes_overrides else ({}, argv[1:])
        if "--version" in rest:
            print(f"epx {epx.__version__}")
            sys.exit(0)
        wants_help = any(arg in HELP for arg in rest)
        rest = [arg for arg in rest if arg not in HELP]
        words = _parse_flags([argv[0], *rest], takes_words)
        if takes_config and not (FLAGS.config or wants_help):
            shipped = ", ".join(configs.shipped())
            raise UsageError(f"--config is missing; shipped are {shipped}")
        reference = FLAGS.config or EXAMPLE if takes_config else None
        config = configs.load(reference, overrides) if takes_config else None
        if wants_help:
            print(_flags_help(doc) + (configs.keys_help(config, reference) if config else ""))
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
    """Call main; Ctrl-C outside of a run ends the process with one line."""
    try:
        return main(*arguments)
    except KeyboardInterrupt:
        fail("stopped; to resume, start the same command again", 128 + signal.SIGINT)


def _is_for_the_user(line: python_logging.LogRecord) -> bool:
    # Orbax logs every part of a save, and errors that the run reports in one line.
    if any(name in line.pathname for name in ("orbax", "etils")):
        return False
    libraries = ("jax", "flax", "optax", "matplotlib")
    return line.levelno >= python_logging.WARNING or not any(
        f"/{name}/" in line.pathname for name in libraries
    )


def _unraisable(raised) -> None:
    # Writes that are unfinished when a save fails raise this error later.
    if "Event loop is closed" not in str(raised.exc_value):
        sys.__unraisablehook__(raised)


def program() -> str:
    """The name of the running binary."""
    path = Path(sys.argv[0])
    return path.parent.name if path.stem == "__main__" else path.stem


def say(line: str) -> None:
    """Write a line to standard error."""
    print(line, file=sys.stderr, flush=True)


def fail(message: str, code: int) -> None:
    """Write a message to standard error and exit."""
    say(f"{program()}: {message}")
    sys.exit(code)


@contextlib.contextmanager
def config_errors() -> Iterator[None]:
    """Turn a ValueError of the checks before compilation into one line and exit code 2."""
    try:
        yield
    except ValueError as error:
        fail(str(error), 2)


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
    """Parse the flags, which may be anywhere, and return the other words."""
    try:
        leftover = FLAGS(argv)[1:]
    except flags.IllegalFlagValueError as error:
        raise _refusal(error) from error
    except flags.UnrecognizedFlagError as error:
        names = [flag.name for flag in _own_flags()]
        fix = suggest(error.flagname, names)
        given = error.flagvalue or f"--{error.flagname}"  # absl calls the whole word a value
        raise UsageError(f"{given}: accepted flags {', '.join(names)}{fix}") from error
    for text in leftover:
        word, is_assignment, _ = text.partition("=")
        known = [*FLAGS, "config"]
        fix = f"; did you mean --{text}?" if word.split(".")[0] in known else ""
        if is_assignment or not takes_words:
            raise UsageError(f"unknown flag {text}{fix}")
    return leftover


def _refusal(error: flags.IllegalFlagValueError) -> UsageError:
    """The error of absl in the form of all others."""
    named = re.match(r"flag --(\w+)=", str(error))
    if not named or named[1] not in FLAGS:
        return UsageError(str(error))
    flag = FLAGS[named[1]]
    # absl's sentence ends the value at no fixed place, so it is taken from the command line.
    words = [word for arg in sys.argv for word in arg.split("=", 1)]
    places = [n for n, word in enumerate(words) if word.lstrip("-") == flag.name]
    if not places:  # from a file of flags
        return UsageError(str(error))
    given = (words[places[-1] + 1 :] or [""])[0]
    shown = given if given.isprintable() else repr(given)
    choices = ["true", "false"] if flag.boolean else getattr(flag.parser, "enum_values", [])
    accepted = ", ".join(choices) or flag.parser.syntactic_help
    return UsageError(f"--{flag.name}={shown}: accepted {accepted}")


def _own_flags() -> list[flags.Flag]:
    """The flags of the binary, without those of absl."""
    defined = FLAGS.flags_by_module_dict().get(sys.argv[0], [])
    return defined or FLAGS.get_key_flags_for_module(sys.argv[0])


def _flags_help(doc: str) -> str:
    lines = [f"  --{flag.name}={flag.value}  {flag.help}" for flag in _own_flags()]
    return "\n".join([doc.strip(), "\nFlags:", *lines, "  --version  print the version"])
