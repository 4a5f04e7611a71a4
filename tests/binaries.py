"""Binaries for tests: run within this process, on the JAX that has started here."""

import contextlib
import io
import logging
import runpy
import sys
import warnings
from typing import NamedTuple
from unittest import mock

from absl import app  # noqa: F401 - its own flags are there before any is saved
from absl.testing import flagsaver

from experiments.cli import host


class Done(NamedTuple):
    """How a binary ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


def run(name: str, *arguments: object) -> Done:
    """Runs `python -m experiments.NAME`. Whatever it raises beside SystemExit fails the test."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        flagsaver.flagsaver(),  # removes the flags that it defines, as others define them too
        _logging_as_it_was(),
        mock.patch.object(sys, "argv", [f"experiments/{name}.py", *map(str, arguments)]),
        mock.patch.object(sys, "unraisablehook", sys.unraisablehook),
        mock.patch.object(host, "prepare", lambda: None),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(action="ignore", category=RuntimeWarning),  # imported before
    ):
        try:
            runpy.run_module(f"experiments.{name}", run_name="__main__", alter_sys=True)
        except SystemExit as stopped:
            code = stopped.code or 0
    return Done(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _logging_as_it_was():
    root, absl = logging.getLogger(), logging.getLogger("absl")
    handlers, levels = root.handlers[:], (root.level, absl.level)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        absl.setLevel(levels[1])


def refused(done: Done, *parts: object) -> None:
    """Asserts that a binary refused its command in one line, in which all of the parts stand."""
    assert done.code == 2 and done.out == "", done
    assert len(done.err.splitlines()) == 1 and len(done.err) < 800, done.err
    assert done.err.count(": accepted ") <= 1, done.err
    for part in parts:
        assert str(part) in done.err, done.err
