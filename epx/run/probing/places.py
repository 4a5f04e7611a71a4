"""Places with a pattern of Life and places without.

A place is a cell of the first frame in whose 3 x 3 box at least three cells are alive, and its
label is whether a pattern is there. Gliders are rare, so that as many places with the pattern as
without are kept. No two places with the same label are on one board: neither could tell the label
of the other.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx import streams
from epx.analysis.exact import patterns
from epx.run.trained import Trained
from epx.types import refusal, require

BOARDS = 256  # drawn at once
MOST_BOARDS = 2**20
LEAST_ALIVE = 3
LABELS = ("centre", "part")


class Places(NamedTuple):
    """Places on boards, N of them, and whether the pattern is there.

    Attributes:
      tokens_NxT: the example of each.
      boards_NxHxW: its first frame, bool.
      place_N: the cell of the frame, row by row.
      label_N: bool.
    """

    tokens_NxT: np.ndarray
    boards_NxHxW: np.ndarray
    place_N: np.ndarray
    label_N: np.ndarray

    def at(self, chosen: np.ndarray | slice) -> "Places":
        """Some of the places: a slice, their numbers, or a mask."""
        return Places(*(array[chosen] for array in self))


def collect(trained: Trained, pattern: str, labelling: str, count: int) -> Places:
    """As many places with a pattern as without, `count` in all, in a random order.

    Args:
      trained: an observer of Life with patches of one cell.
      pattern: of `patterns.PATTERNS`.
      labelling: `centre`: the pattern is centred at the place; `part`: the place is one of its live
        cells, and places are live cells only.
      count: an even number.

    Raises:
      ValueError: another generator, an unknown pattern or labelling, or a pattern too rare.
    """
    generator = trained.generator
    cells = hasattr(generator, "frames") and generator.patch == 1
    require("generator", trained.setup.config["generator"], cells, "life with patches of one cell")
    accepted = ", ".join(patterns.PATTERNS)
    require("pattern", pattern, pattern in patterns.PATTERNS, accepted)
    require("labelling", labelling, labelling in LABELS, " or ".join(LABELS))
    kept: dict[bool, list[Places]] = {True: [], False: []}
    half, random = count // 2, np.random.default_rng(0)
    for drawn, tokens_NxT in enumerate(_examples(trained)):
        found, board_N = _places(generator, tokens_NxT, pattern, labelling)
        for label in (True, False):
            chosen = random.permutation(np.flatnonzero(found.label_N == label))
            _, first = np.unique(board_N[chosen], return_index=True)
            chosen = chosen[first]
            if not label:  # as many as there are with the pattern, from the same boards
                wanted = min(len(chosen), len(kept[True][-1].label_N))
                chosen = random.choice(chosen, wanted, replace=False)
            kept[label].append(found.at(chosen))
        if all(sum(len(p.label_N) for p in parts) >= half for parts in kept.values()):
            break
        if drawn * BOARDS > MOST_BOARDS:
            accepted = f"patterns of which {MOST_BOARDS} boards have {half}"
            raise refusal("pattern", pattern, accepted)
    halves = [_joined(parts, half) for parts in kept.values()]
    order = random.permutation(2 * half)
    return Places(*(np.concatenate(arrays)[order] for arrays in zip(*halves)))


def _examples(trained: Trained) -> Iterator[np.ndarray]:
    """The tokens of examples that neither training nor evaluation has, BOARDS at a time."""
    key = streams.stream(trained.hyper.seed, "probe")

    @jax.jit
    def draw(first: jax.Array) -> jax.Array:
        index_B = first + jnp.arange(BOARDS, dtype=jnp.uint32)
        make = jax.vmap(lambda i: trained.generator.example(streams.example_key(key, i), i))
        return make(index_B).tokens_T

    for n in range(MOST_BOARDS // BOARDS + 2):
        yield np.asarray(draw(jnp.uint32(n * BOARDS)))


def _places(
    generator, tokens_NxT: np.ndarray, pattern: str, labelling: str
) -> tuple[Places, np.ndarray]:
    """All places of these boards, and the number of the board of each."""
    height, width = generator.height, generator.width
    boards = tokens_NxT[:, : height * width].reshape(-1, height, width) != 0
    marked = patterns.find(boards, pattern)
    around = sum(np.roll(boards, shift, (1, 2)).astype(int) for shift in box(3))
    is_place = around >= LEAST_ALIVE
    if labelling == "part":
        near = np.any([np.roll(marked, shift, (1, 2)) for shift in box(3)], axis=0)
        marked, is_place = near & boards, is_place & boards
    board, *cell = np.nonzero(is_place)
    place_N = np.ravel_multi_index(tuple(cell), (height, width))
    label_N = marked[board, cell[0], cell[1]]
    return Places(tokens_NxT[board], boards[board], place_N, label_N), board


def box(side: int) -> list[tuple[int, int]]:
    """Rows and columns of the cells of a square, counted from its centre."""
    reach = range(-(side // 2), side // 2 + 1)
    return [(row, column) for row in reach for column in reach]


def _joined(parts: list[Places], count: int) -> Places:
    return Places(*(np.concatenate(arrays)[:count] for arrays in zip(*parts)))
