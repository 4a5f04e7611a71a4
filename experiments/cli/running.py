"""What binaries that run JAX share: its start, and the errors of runs as one line."""

import contextlib
from collections.abc import Iterator

from epx.record import RecordError
from epx.run import RunError
from experiments.cli import app, host


@contextlib.contextmanager
def run_errors() -> Iterator[None]:
    """A run or a record that cannot go on ends the process with one line."""
    try:
        yield
    except (RecordError, RunError) as error:
        app.fail(str(error), 1)


def prepare_host() -> None:
    """Starts JAX as `host.prepare`, or says in one line why that cannot be."""
    try:
        host.prepare()
    except host.HostError as error:
        app.fail(str(error), 2)
