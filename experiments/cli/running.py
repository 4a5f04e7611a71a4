"""Shared by binaries that run JAX: its start, and errors of runs as one line."""

import contextlib
from collections.abc import Iterator

from epx.record import RecordError
from epx.run import RunError
from experiments.cli import app, host


@contextlib.contextmanager
def run_errors() -> Iterator[None]:
    """Turn an error of a run or a record into one line and exit code 1."""
    try:
        yield
    except (RecordError, RunError) as error:
        app.fail(str(error), 1)


def prepare_host(process: host.Process | None = None) -> None:
    """Start JAX by `host.prepare`, or exit with one line if it cannot start."""
    try:
        host.prepare(process)
    except host.HostError as error:
        app.fail(str(error), 2)
