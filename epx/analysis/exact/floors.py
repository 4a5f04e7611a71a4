"""Exact facts of automata and Markov chains: what the best predictor could reach. Needs no JAX.

The states of an automaton are enumerated where the ring has few cells, and drawn otherwise; drawn
values have a standard error. Rings are written cell 0 first, as in `generators/eca.py`.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from epx.types import require_whole

LN2 = math.log(2.0)
# Rings that are enumerated: 2^16 states of 16 cells.
ENUMERATED_CELLS = 16
CONTEXT = 7
GENERATORS = ("eca", "markov")


class Fact(NamedTuple):
    """A number and its standard error, 0 where all states were enumerated."""

    value: float
    error: float


class Facts(NamedTuple):
    """Facts of an automaton's task, X to Y (arXiv 2601.03220; no table there gives them).

    Attributes:
      ones: share of cells of Y that are 1.
      next_cell_bits: entropy of a cell of Y given the 7 cells before it, bits: what a predictor
        reaches that ignores X.
      copied: share of examples with Y = X.
      agreement: share of cells of Y equal to those of X.
    """

    ones: Fact
    next_cell_bits: Fact
    copied: Fact
    agreement: Fact


def evolve(states_NxW: np.ndarray, rule: int, steps: int) -> np.ndarray:
    """Rings after some steps of a rule, as uint8 0s and 1s.

    Eight rings share a byte, so that a step is a few operations on whole columns.
    """
    count = len(states_NxW)
    cells_WxB = np.packbits(np.asarray(states_NxW, np.uint8).T, axis=1)
    for _ in range(steps):
        left, right = np.roll(cells_WxB, 1, axis=0), np.roll(cells_WxB, -1, axis=0)
        cells_WxB = _select(left, _outcomes(cells_WxB, right, rule >> 4),
                            _outcomes(cells_WxB, right, rule & 15))  # fmt: skip
    return np.unpackbits(cells_WxB, axis=1, count=count).T


def _outcomes(centre: np.ndarray, right: np.ndarray, four_bits: int) -> np.ndarray:
    """The new cells for one value of the left cell, by the four bits of the rule for it."""
    # Bit 2 c + r of the four is the outcome for the centre c and the right cell r.
    bits = [np.uint8(-(four_bits >> n & 1) & 0xFF) for n in range(4)]
    return _select(centre, _select(right, bits[3], bits[2]), _select(right, bits[1], bits[0]))


def _select(mask: np.ndarray, if_one: np.ndarray, if_zero: np.ndarray) -> np.ndarray:
    return if_zero ^ (mask & (if_one ^ if_zero))


def rings(width: int, samples: int, seed: int) -> tuple[np.ndarray, bool]:
    """All rings of a width, or random ones; and whether they are all."""
    if width <= ENUMERATED_CELLS:
        return (np.arange(2**width)[:, None] >> np.arange(width) & 1).astype(np.uint8), True
    drawn = np.random.default_rng(seed).integers(0, 2, (samples, width), np.uint8)
    return drawn, False


def automaton(
    rule: int, width: int, steps: int, burnin: int = 0, samples: int = 4000, seed: int = 0
) -> Facts:
    """The facts of an automaton whose X is a uniform ring after a burn-in.

    Args:
      rule, width, steps, burnin: as in `generators/eca.py`.
      samples: rings that are drawn if the width is above 16.
      seed: of the drawn rings.
    """
    drawn, is_all = rings(width, samples, seed)
    x_NxW = evolve(drawn, rule, burnin)
    y_NxW = evolve(x_NxW, rule, steps)
    same_NxW = x_NxW == y_NxW
    return Facts(
        _mean(y_NxW.mean(1), is_all),
        _next_cell_bits(y_NxW, is_all),
        _mean(same_NxW.all(1), is_all),
        _mean(same_NxW.mean(1), is_all),
    )


def hidden_bits(
    rule: int, width: int, steps: int, hidden: int, samples: int = 1000, seed: int = 0
) -> Fact:
    """H(Y | visible cells of X) in bits, where the first `hidden` cells of a uniform X are hidden.

    All 2^hidden completions of each visible part are evolved: with visible cells alone, few or
    drawn, the entropy of Y is that of the completions that lead to different rings.

    Raises:
      ValueError: more than 12 hidden cells, of which the completions do not fit into memory.
    """
    require_whole("hidden", hidden, 0, min(12, width - 1), "all their completions are in memory")
    visible, is_all = rings(width - hidden, samples, seed)
    completions = (np.arange(2**hidden)[:, None] >> np.arange(hidden) & 1).astype(np.uint8)
    x_CxNxW = np.concatenate(
        [
            np.broadcast_to(completions[:, None], (2**hidden, len(visible), hidden)),
            np.broadcast_to(visible, (2**hidden, *visible.shape)),
        ],
        axis=-1,
    )
    y_CxNxW = evolve(x_CxNxW.reshape(-1, width), rule, steps).reshape(x_CxNxW.shape)
    codes_NxC = np.packbits(y_CxNxW, axis=-1).transpose(1, 0, 2)
    return _mean(np.array([_entropy_bits(rows) for rows in codes_NxC]), is_all)


def markov_bits(states: int, hidden: int, length: int, samples: int = 3000, seed: int = 0) -> Fact:
    """Bits of a sequence after its first state, for the exact predictor of hidden and visible rows.

    Rows are flat Dirichlet. A visible row is known; a hidden one is predicted by the rule of
    succession, (n + 1) / (N + V), which is the Bayes predictor under that prior.
    """
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(states), (samples, states))
    ends = p.cumsum(-1)
    stationary = np.linalg.matrix_power(p, 256)[:, 0]
    everyone = np.arange(samples)
    now = _draw(stationary.cumsum(-1), rng)
    counts = np.zeros((samples, states, states))
    bits = np.zeros(samples)
    for _ in range(length - 1):
        following = _draw(ends[everyone, now], rng)
        known = p[everyone, now, following]
        seen = counts[everyone, now]
        learned = (seen[everyone, following] + 1) / (seen.sum(-1) + states)
        # Which rows are hidden does not matter to their law: the first ones.
        bits -= np.log2(np.where(now < hidden, learned, known))
        counts[everyone, now, following] += 1
        now = following
    return _mean(bits, is_all=False)


def of_generator(section: dict[str, Any]) -> dict[str, Fact]:
    """Facts by name of a generator of GENERATORS, from the section of its config."""
    if section["name"] == "markov":
        arguments = section["states"], section["hidden"], section["length"]
        return {"floor of an example, bit": markov_bits(*arguments)}
    task = {key: section[key] for key in ("rule", "width", "steps")}
    facts = automaton(**task, burnin=section["burnin"])
    # After a burn-in X is not uniform, and the hidden cells are not independent of the others.
    left = {}
    if section["hidden"] and not section["burnin"]:
        left["hidden cells leave, bit"] = hidden_bits(**task, hidden=section["hidden"])
    return {
        "1s among the last cells": facts.ones,
        f"bit per cell, given {CONTEXT} before": facts.next_cell_bits,
        "last states equal to X": facts.copied,
        "last cells equal to X": facts.agreement,
        **left,
    }


def _draw(ends_NxV: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.random(len(ends_NxV))[:, None] >= ends_NxV[:, :-1]
    return drawn.sum(-1)


def _mean(values_N: np.ndarray, is_all: bool) -> Fact:
    values = np.asarray(values_N, float)
    error = 0.0 if is_all else values.std(ddof=1) / math.sqrt(len(values))
    return Fact(float(values.mean()), float(error))


def _next_cell_bits(y_NxW: np.ndarray, is_all: bool) -> Fact:
    """Conditional entropy of a cell given the 7 cells before it, over all cells that have them.

    The ring is read as the observer reads it, from cell 0 on. The error is that of tenths of the
    rings.
    """
    if y_NxW.shape[1] <= CONTEXT:
        return Fact(math.nan, math.nan)
    if is_all:
        return Fact(_block_bits(y_NxW), 0.0)
    parts = [_block_bits(part) for part in np.array_split(y_NxW, 10)]
    return Fact(_block_bits(y_NxW), float(np.std(parts, ddof=1) / math.sqrt(len(parts))))


def _block_bits(y_NxW: np.ndarray) -> float:
    windows = np.lib.stride_tricks.sliding_window_view(y_NxW, CONTEXT + 1, axis=1)
    numbers = (windows @ (1 << np.arange(CONTEXT, -1, -1))).reshape(-1)
    pairs = np.bincount(numbers, minlength=2 ** (CONTEXT + 1)).reshape(-1, 2)
    shares = pairs / pairs.sum()
    contexts = shares.sum(1, keepdims=True)
    ratio = np.divide(shares, contexts, out=np.ones_like(shares), where=shares > 0)
    return float(-(shares * np.log2(ratio)).sum())


def _entropy_bits(rows: np.ndarray) -> float:
    """The entropy of equally likely rows, in which equal ones count together."""
    _, counts = np.unique(rows, axis=0, return_counts=True)
    p = counts / counts.sum()
    return float(-(p * np.log2(p)).sum())
