"""The binaries, run in this process: one of their own would load JAX anew, for seconds each."""

import contextlib
import io
import runpy
import sys
import warnings
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from absl import flags, logging

from experiments.cli import app, host  # noqa: F401  (app: flags of absl stay)

ROOT = Path(__file__).parents[1]


class Done(NamedTuple):
    """How a binary ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


def nothing(process=None) -> None:
    """In place of `host.prepare`: the tests have started JAX."""


def run(name: str, *arguments: object, prepare=nothing, path: Path | None = None) -> Done:
    """Runs `python -m experiments.NAME`. Whatever it raises beside SystemExit fails the test.

    Args:
      name: of the binary.
      arguments: of the command line.
      prepare: in place of `host.prepare`, which starts JAX.
      path: folder of the user's own modules, which are forgotten afterwards.
    """
    out, err, code = io.StringIO(), io.StringIO(), 0
    handler = logging.get_absl_handler().python_handler
    with (
        mock.patch.object(sys, "argv", [name, *map(str, arguments)]),
        mock.patch.object(sys, "unraisablehook", sys.unraisablehook),
        mock.patch.object(host, "prepare", prepare),
        mock.patch.object(handler, "stream", err),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _modules_of(path),
        _own_flags(),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
        try:
            runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
        except SystemExit as stopped:
            code = stopped.code or 0
    return Done(code, out.getvalue(), err.getvalue())


def refused(done: Done, *named: str, code: int = 2) -> str:
    """The one line of a binary that refused its command, in which all of `named` stand."""
    assert done.code == code and done.out == "", done
    assert len(done.err.splitlines()) == 1 and len(done.err) < 800, done.err
    assert done.err.count(": accepted ") <= 1, done.err
    for part in named:
        assert part in done.err, done.err
    return done.err


@contextlib.contextmanager
def _modules_of(path: Path | None):
    before = set(sys.modules)
    with mock.patch.object(sys, "path", [*([str(path)] if path else []), *sys.path]):
        yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if path and Path(file).is_relative_to(path):
            del sys.modules[name]


@contextlib.contextmanager
def _own_flags():
    """Puts the flags of binaries that a test has imported aside, as several share names."""
    aside = _remove_flags()
    try:
        yield
    finally:
        _remove_flags()
        for module, defined in aside.items():
            flags.FLAGS.flags_by_module_dict()[module] = defined
            for flag in defined:
                flags.FLAGS[flag.name] = flag


def _remove_flags() -> dict[str, list[flags.Flag]]:
    """Removes the flags that binaries have defined; returns them by module."""
    values = flags.FLAGS
    values.unparse_flags()
    by_module = values.flags_by_module_dict()
    folder = str(ROOT / "experiments")
    names = [n for n in by_module if n.startswith(("experiments.", folder))]
    removed = {name: by_module.pop(name) for name in names}
    values.remove_flag_values([flag.name for defined in removed.values() for flag in defined])
    return removed
