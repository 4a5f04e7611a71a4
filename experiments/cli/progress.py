"""Progress of a run: a bar on a terminal, else a line every SECONDS_BETWEEN_LINES seconds.

SIGTERM and SIGINT stop a run after its chunk, when its state is saved.
"""

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from rich import progress as rich_progress

from epx.analysis.measurement import LN2
from epx.run import processes
from epx.run.loop import Progress
from epx.sweeps import local

SECONDS_BETWEEN_LINES = 10.0
# Less work than this forecasts no time: the first part may be a counter, which costs almost none.
LEAST_PART = 0.01

Show = Callable[[float, str], None]


def follow(chunks: Iterator[Progress], show: Show) -> int:
    """Follow a run to its end, or until a signal stops it.

    Args:
      chunks: the run, from `loop.train`.
      show: takes the part done, 0 to 1, and a text.

    Returns:
      0, or the number of the signal that stopped it; the state is then saved.
    """
    with stop_signals() as received, contextlib.closing(chunks):
        for chunk in chunks:
            show(chunk.step / chunk.steps, describe(chunk))
            # All processes of a run stop after the same chunk, whichever has the signal.
            if processes.any_of(bool(received)):
                received.append(signal.SIGTERM)
                break
    # A signal during the last chunk counts as well, although the run is then complete.
    return received[0] if received else 0


def follow_sweep(steps: Iterator[local.Step], show: Show, failed: list[str]) -> int:
    """Follow a sweep to its end, as `follow` does with a run.

    Appends a line to `failed` for each ensemble without a member of finite loss.
    """
    with stop_signals() as received, contextlib.closing(steps):
        for step in steps:
            if step.failed:
                failed.append(f"{step.ensemble.name}: {step.failed}")
            elif step.waits:
                show(step.part, f"{step.ensemble.name} and what is left run in other processes")
            else:
                show(step.part, f"{step.ensemble.name}: {describe(step.progress)}")
            if received:
                break
    return received[0] if received else 0


def describe(chunk: Progress) -> str:
    """The progress of a run as text."""
    bits_M = chunk.nats_per_tok_M / LN2
    finite_M = bits_M[np.isfinite(bits_M)]
    loss = f", {finite_M.mean():.3f} bits per coded token" if finite_M.size else ""
    seconds = chunk.compile_seconds
    compiled = f", compiled in {seconds:.1f} s" if seconds > 0.1 else ""
    return f"step {chunk.step} of {chunk.steps}{loss}{compiled}"


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT, which then do not end the process."""
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
    """Yield a function that shows the part done and a text."""
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
        rich_progress.TextColumn(label),
        rich_progress.BarColumn(),
        rich_progress.TextColumn("{task.percentage:3.0f} %"),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TextColumn("left"),
        rich_progress.TimeRemainingColumn(),
        rich_progress.TextColumn("{task.fields[text]}"),
    )
    with rich_progress.Progress(*columns) as bar:
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
        left = "starting"
        if gained >= LEAST_PART:
            left = f"{(now - began) * (1 - part) / gained:.0f} s left"
        print(f"{label} {100 * part:3.0f} % | {now - began:.0f} s | {left} | {text}",
              file=sys.stderr, flush=True)  # fmt: skip

    return show
