"""Where the ensembles of a sweep stand, as text."""

import time
from collections.abc import Mapping, Sequence

from tabulate import tabulate

from epx.sweeps.status import DONE, FAILED, RUNNING, Status


def table(rows: Sequence[Status], flops: Mapping[str, float], now: float = 0.0) -> str:
    """A line for each ensemble, and one for the whole.

    Args:
      rows: the ensembles.
      flops: compute of the whole of each ensemble, by name; empty leaves compute out.
      now: seconds since the epoch; 0 is the time of the call.
    """
    now = now or time.time()
    body = []
    for row in rows:
        line = [row.name, row.members, row.state, f"{row.step} of {row.steps}", _left(row)]
        if flops:
            line.append(f"{flops[row.name] * (1 - row.step / row.steps):.1e}")
        body.append([*line, _where(row, now)])
    heads = ["ensemble", "members", "state", "steps", "left", *["FLOP left"] * bool(flops), ""]
    states = [row.state for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    members = sum(row.members for row in rows)
    summary = f"{len(rows)} ensembles, {members} runs: {counts}"
    if flops:
        summary += f"; {_forecast(rows, flops)}"
    text = tabulate(body, heads, "simple", disable_numparse=True)
    return "\n".join([*(line.rstrip() for line in text.split("\n")), summary])


def _left(row: Status) -> str:
    """Time that is left at the speed so far; empty where it is not known."""
    if row.state in (DONE, FAILED) or not row.step:
        return ""
    return duration(row.seconds / row.step * (row.steps - row.step))


def _where(row: Status, now: float) -> str:
    if row.state == FAILED:
        return row.reason
    if row.state == RUNNING:
        return f"{row.owner}, for {duration(now - row.since)}"
    return ""


def _forecast(rows: Sequence[Status], flops: Mapping[str, float]) -> str:
    """The compute and the time of what is left, at the speed of what has run."""
    done = sum(flops[row.name] * row.step / row.steps for row in rows)
    left = sum(flops[row.name] * (1 - row.step / row.steps) for row in rows)
    seconds = sum(row.seconds for row in rows)
    if not left:
        return "nothing is left"
    if not done or not seconds:
        return f"{left:.1e} FLOP left; a forecast needs the first chunks of an ensemble"
    return f"{left:.1e} FLOP left, {duration(left / done * seconds)} for one worker"


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days, whichever is below a hundred.

    >>> duration(7.2), duration(600), duration(1e5)
    ('7 s', '10 min', '28 h')
    """
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if seconds < 100 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"
