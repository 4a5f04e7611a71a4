"""Follows a run: a bar with the time left on a terminal, a plain line now and then elsewhere; on
SIGTERM or SIGINT it lets the chunk end and the state be saved."""

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from epx.analysis.measurement import LN2
from epx.run import loop

SECONDS_BETWEEN_LINES = 10.0

Show = Callable[[float, str], None]


def follow(
    chunks: Iterator[loop.Progress], show: Show, start: float = 0.0, end: float = 1.0
) -> int:
    """Drives a run to its end.

    Args:
      chunks: the run, from `loop.train`.
      show: takes the part done, 0 to 1, and a text.
      start, end: the part of the whole that this run is.

    Returns:
      0, or the number of the signal that stopped it; the state is then saved.
    """
    with stop_signals() as received, contextlib.closing(chunks):
        for chunk in chunks:
            bits_M = chunk.nats_per_tok_M / LN2
            well_M = bits_M[np.isfinite(bits_M)]
            loss = f", {well_M.mean():.3f} bits per coded token" if well_M.size else ""
            spent = chunk.compile_seconds
            compiled = f", compiled in {spent:.1f} s" if spent > 0.1 else ""
            part = start + (end - start) * chunk.step / chunk.steps
            show(part, f"step {chunk.step} of {chunk.steps}{loss}{compiled}")
            if received:
                break
    # A signal that came behind the last chunk has the whole run behind it.
    return received[0] if received else 0


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collects SIGTERM and SIGINT instead of dying of them."""
    received: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def display(label: str, quiet: bool = False) -> Iterator[Show]:
    """Yields a function that shows the part done and a text."""
    if quiet:
        yield lambda part, text: None
    elif sys.stderr.isatty():
        with _bar(label) as show:
            yield show
    else:
        yield _lines(label)


@contextlib.contextmanager
def _bar(label: str) -> Iterator[Show]:
    columns = (
        TextColumn(label),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(label, total=1.0, text="")
        yield lambda part, text: bar.update(task, completed=part, text=text)


def _lines(label: str) -> Show:
    began, last, first_part = time.monotonic(), -np.inf, None

    def show(part: float, text: str) -> None:
        nonlocal last, first_part
        now = time.monotonic()
        first_part = part if first_part is None else first_part
        if now - last < SECONDS_BETWEEN_LINES and part < 1:
            return
        last = now
        gained = part - first_part
        left = f"{(now - began) * (1 - part) / gained:.0f} s left" if gained > 0 else "starting"
        print(f"{label} {100 * part:3.0f} % | {now - began:.0f} s | {left} | {text}",
              file=sys.stderr, flush=True)  # fmt: skip

    return show
