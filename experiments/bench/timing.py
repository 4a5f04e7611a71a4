"""Timing of functions on all devices, compiled for the layouts of a run.

Calls alternate with a matrix product, whose rate is the peak of the machine at that time.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from tabulate import tabulate

from epx.run.devices import compile_over, make_layout, place

PEAK = "peak_gflop_per_s"  # the column of the peak at the time of a row

# Side of the square matrices of the product, by platform.
_PEAK_SIZE = {"cpu": 1024}
_PEAK_SIZE_ELSEWHERE = 8192


class Timed(NamedTuple):
    """Medians of a measurement.

    Attributes:
      seconds: of one call.
      peak: FLOP/s of the matrix product at the same time, summed over devices.
    """

    seconds: float
    peak: float


class Peak:
    """A matrix product of a dtype on each device."""

    def __init__(self, dtype: str = "float32") -> None:
        devices = len(jax.devices())
        size = _PEAK_SIZE.get(jax.default_backend(), _PEAK_SIZE_ELSEWHERE)
        layout = make_layout("jit", devices, members=devices, batch=devices, length=1)
        ones = jnp.ones((devices, size, size), dtype)
        self._matrices = place(layout, ones)
        self._product = compile_over(layout, lambda a: a @ a, ones)
        self._flops = 2.0 * devices * size**3

    def flops_per_s(self) -> float:
        """The current FLOP/s: the median of a few products."""
        return self._flops / statistics.median(
            seconds(self._product, self._matrices) for _ in range(7)
        )


def seconds(function: Callable, *args: Any) -> float:
    """Seconds of one call, until its result is ready."""
    began = time.perf_counter()
    jax.block_until_ready(function(*args))
    return time.perf_counter() - began


def timed(call: Callable[[], Any], peak: Peak, repeats: int = 3, patience: float = 5.0) -> Timed:
    """Time a call, alternating with the peak, after one uncounted call.

    Args:
      call: does the work once and returns arrays to wait for.
      peak: measured before and after each call, because a machine's speed drifts by a tenth.
      repeats: counted calls.
      patience: seconds; a longer call is repeated only once.
    """
    warm = seconds(call)
    calls, before = [], peak.flops_per_s()
    for _ in range(1 if warm > patience else repeats):
        duration, after = seconds(call), peak.flops_per_s()
        calls.append(Timed(duration, (before + after) / 2))
        before = after
    return Timed(*(statistics.median(values) for values in zip(*calls)))


def comparison(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """A line for each number that both benches have: then, now, and their ratio.

    Seconds and rates also have the ratio at equal peaks, if both rows have a peak.
    """
    then = {(row["section"], row["row"]): row for row in earlier["rows"]}
    rows = []
    for row in now["rows"]:
        old = then.get((row["section"], row["row"]), {})
        faster = row.get(PEAK, 0.0) / old[PEAK] if old.get(PEAK) else 0.0
        for key in (key for key in row if key in old and key not in ("section", "row")):
            ratio = row[key] / old[key] if old[key] else 0.0
            same = ratio * _growth(key, faster) if key != PEAK else 0.0
            values = f"{old[key]:.4g}", f"{row[key]:.4g}", _ratio(ratio), _ratio(same)
            rows.append((f"{row['section']}: {row['row']}", key, *values))
    heads = ("measured", "number", "then", "now", "now/then", "same peak")
    return tabulate(rows, heads, "plain", disable_numparse=True)


def _growth(key: str, faster: float) -> float:
    """The factor that corrects a number for a machine `faster` times as fast.

    0 if that is unknown or the number does not depend on it.
    """
    if not faster:
        return 0.0
    if key.endswith("_per_s"):
        return 1 / faster
    return faster if "seconds" in key else 0.0


def _ratio(value: float) -> str:
    return f"{value:.3f}" if value else "-"
