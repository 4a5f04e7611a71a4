"""Measures functions on all devices at once: compiled through the same layouts as a run, timed in
turns with a matrix product, whose rate is the machine's peak at that moment."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from epx.run.devices import compile_over, make_layout, place

PEAK = "peak_gflop_per_s"  # what a row calls the machine's speed while it was measured

# Side of the square matrices whose product is the peak, by platform.
_PEAK_SIZE = {"cpu": 1024}
_PEAK_SIZE_ELSEWHERE = 8192


class Timed(NamedTuple):
    """What a measurement found, medians.

    Attributes:
      seconds: of one call.
      peak: FLOP/s of the matrix product in the same moments, all devices together.
    """

    seconds: float
    peak: float


class Peak:
    """The matrix product of a dtype, one on each device."""

    def __init__(self, dtype: str = "float32") -> None:
        devices = len(jax.devices())
        size = _PEAK_SIZE.get(jax.default_backend(), _PEAK_SIZE_ELSEWHERE)
        spread = make_layout("jit", devices, members=devices, batch=devices)
        ones = jnp.ones((devices, size, size), dtype)
        self._matrices = place(spread, ones)
        self._product = compile_over(spread, lambda a: a @ a, ones)
        self._flops = 2.0 * devices * size**3

    def flops_per_s(self) -> float:
        """FLOP/s now: the median of a few products."""
        return self._flops / statistics.median(
            seconds(self._product, self._matrices) for _ in range(7)
        )


def seconds(function: Callable, *args: Any) -> float:
    """Seconds of one call, the result awaited."""
    began = time.perf_counter()
    jax.block_until_ready(function(*args))
    return time.perf_counter() - began


def timed(call: Callable[[], Any], peak: Peak, repeats: int = 3, patience: float = 5.0) -> Timed:
    """Times a call in turns with the peak, after one call that is not counted.

    Args:
      call: does the work once and returns what must be awaited.
      peak: measured before and after each call, as a machine's speed drifts by a tenth.
      repeats: calls that are counted.
      patience: a call that takes more seconds is counted once.
    """
    warm = seconds(call)
    found, before = [], peak.flops_per_s()
    for _ in range(1 if warm > patience else repeats):
        took, after = seconds(call), peak.flops_per_s()
        found.append(Timed(took, (before + after) / 2))
        before = after
    return Timed(*(statistics.median(values) for values in zip(*found)))


def comparison(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """A line for each number of a row that both have: then, now, and their ratio; of seconds and of
    rates also the ratio for a machine that is as fast now as it was then, where both rows say how
    fast it was."""
    then = {(row["section"], row["row"]): row for row in earlier["rows"]}
    lines = [f"{'':64}{'number':24}{'then':>12}{'now':>12}{'now/then':>10}{'same peak':>11}"]
    for row in now["rows"]:
        old = then.get((row["section"], row["row"]), {})
        faster = row.get(PEAK, 0.0) / old[PEAK] if old.get(PEAK) else 0.0
        for key in (key for key in row if key in old and key not in ("section", "row")):
            ratio = row[key] / old[key] if old[key] else 0.0
            name = f"{row['section']}: {row['row']}"
            line = f"{name:64}{key:24}{old[key]:12.4g}{row[key]:12.4g}{_ratio(ratio)}"
            same = ratio * _growth(key, faster) if key != PEAK else 0.0
            lines.append((line + f" {_ratio(same)}" * (same > 0)).rstrip())
    return "\n".join(lines)


def _growth(key: str, faster: float) -> float:
    """What a number is multiplied by to undo that the machine is so many times faster; 0 where that
    is not known, or the number does not depend on it."""
    if not faster:
        return 0.0
    if key.endswith("_per_s"):
        return 1 / faster
    return faster if "seconds" in key else 0.0


def _ratio(value: float) -> str:
    return f"{value:.3f}".rjust(10) if value else "-".rjust(10)
