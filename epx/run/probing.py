"""What an observer of Life holds of a pattern: vectors with a label, for a probe to learn.

A place is a cell of the first frame in whose 3 x 3 box at least three cells are alive, and its
label is whether a pattern is there. Gliders are rare, so that as many places with the pattern as
without are kept. Of each place there are several vectors: the residual streams of the trained and
of the untrained observer where they predict that cell of the next frame, the cells around the
place, and the place alone. A probe is an ordinary observer that reads a vector and predicts its
label; the description length of the labels under the blocks code says how much of the pattern a
vector shows, and how plainly (Voita and Titov 2020, arXiv 2003.12298).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx import record, streams
from epx.analysis.exact import patterns
from epx.analysis.measurement import LN2
from epx.learning import nll
from epx.run.trained import Trained
from epx.types import PyTree, refusal, require

BOARDS = 256  # drawn at once
MOST_BOARDS = 2**20
LEAST_ALIVE = 3
WINDOWS = (3, 5, 7, 9)
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
        found = _places(generator, tokens_NxT, pattern, labelling)
        for label in (True, False):
            chosen = np.flatnonzero(found.label_N == label)
            if not label:  # as many as there are with the pattern, from the same boards
                wanted = min(len(chosen), int(found.label_N.sum()))
                chosen = random.choice(chosen, wanted, replace=False)
            kept[label].append(Places(*(array[chosen] for array in found)))
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


def _places(generator, tokens_NxT: np.ndarray, pattern: str, labelling: str) -> Places:
    """All places of these boards."""
    height, width = generator.height, generator.width
    boards = tokens_NxT[:, : height * width].reshape(-1, height, width) != 0
    marked = patterns.find(boards, pattern)
    around = sum(np.roll(boards, shift, (1, 2)).astype(int) for shift in _box(3))
    is_place = around >= LEAST_ALIVE
    if labelling == "part":
        near = np.any([np.roll(marked, shift, (1, 2)) for shift in _box(3)], axis=0)
        marked, is_place = near & boards, is_place & boards
    board, *cell = np.nonzero(is_place)
    place_N = np.ravel_multi_index(tuple(cell), (height, width))
    return Places(tokens_NxT[board], boards[board], place_N, marked[board, cell[0], cell[1]])


def _box(side: int) -> list[tuple[int, int]]:
    reach = range(-(side // 2), side // 2 + 1)
    return [(row, column) for row in reach for column in reach]


def _joined(parts: list[Places], count: int) -> Places:
    return Places(*(np.concatenate(arrays)[:count] for arrays in zip(*parts)))


def vectors(trained: Trained, places: Places) -> dict[str, np.ndarray]:
    """The vectors of each place, NxR float32, by what they show."""
    observer = trained.setup.observer
    has_hidden = observer.hidden is not None
    name = trained.setup.config["observer"]["name"]
    require("observer.name", name, has_hidden, "observers with hidden states")
    frame = places.boards_NxHxW[0].size
    position_N = frame + places.place_N
    result = {
        f"layer {layer}": found
        for layer, found in enumerate(_streams(trained, trained.params(), places, position_N))
    }
    untrained = observer.init(streams.stream(trained.hyper.seed, "init"))
    result["untrained"] = _streams(trained, untrained, places, position_N)[-1]
    for side in WINDOWS:
        result[f"{side} x {side} cells"] = _window(places, side)
    result["place"] = np.eye(frame, dtype=np.float32)[places.place_N]
    return result


def _streams(
    trained: Trained, params: PyTree, places: Places, position_N: np.ndarray
) -> list[np.ndarray]:
    """The residual stream of each layer at one position of each example, NxD."""

    @jax.jit
    def at(params: PyTree, tokens_BxT: jax.Array, position_B: jax.Array) -> tuple[jax.Array, ...]:
        row_B = jnp.arange(len(position_B))
        layers = trained.setup.observer.hidden(params, tokens_BxT, None)
        return tuple(x_BxTxD[row_B, position_B] for x_BxTxD in layers)

    parts = []
    for first in range(0, len(position_N), BOARDS):
        part = slice(first, first + BOARDS)
        parts.append(jax.device_get(at(params, places.tokens_NxT[part], position_N[part])))
    return [np.concatenate(layer) for layer in zip(*parts)]


def _window(places: Places, side: int) -> np.ndarray:
    """The cells around each place, row by row, as numbers."""
    height, width = places.boards_NxHxW.shape[1:]
    row_N, column_N = np.divmod(places.place_N, width)
    cells = [
        places.boards_NxHxW[np.arange(len(row_N)), (row_N + y) % height, (column_N + x) % width]
        for y, x in _box(side)
    ]
    return np.stack(cells, axis=1).astype(np.float32)


def without_direction(
    trained: Trained, places: Places, layer: int, directions: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What a prediction loses without a direction of the stream, by the direction's name.

    After `layer` layers the component along the direction is taken out of the stream at the place,
    where the cell of the next frame is predicted.

    Args:
      trained: an observer whose stream can be edited.
      places: of which the next frame's cell is predicted.
      layer: 0 is before the first.
      directions: vectors of size D, of any length.

    Returns:
      For each place the bits by which the price of its cell rises, N.

    Raises:
      ValueError: an observer without edits.
    """
    observer = trained.setup.observer
    name = trained.setup.config["observer"]["name"]
    require("observer.name", name, observer.edited is not None, "transformer or looped")
    params, frame = trained.params(), places.boards_NxHxW[0].size
    position_N = frame + places.place_N

    @jax.jit
    def prices(params: PyTree, tokens_BxT: jax.Array, position_B: jax.Array, unit_D: jax.Array):
        row_B = jnp.arange(len(position_B))
        stream_BxTxD = observer.hidden(params, tokens_BxT, None)[layer]
        part_B = stream_BxTxD[row_B, position_B] @ unit_D
        change_BxTxD = (
            jnp.zeros_like(stream_BxTxD).at[row_B, position_B].set(-part_B[:, None] * unit_D)
        )
        logits_BxTxV = observer.edited(params, tokens_BxT, None, layer, change_BxTxD)
        return nll.nats(logits_BxTxV, tokens_BxT)[row_B, position_B] / LN2

    def all_prices(direction_D: np.ndarray) -> np.ndarray:
        unit_D = (direction_D / max(np.linalg.norm(direction_D), 1e-12)).astype(np.float32)
        parts = [slice(n, n + BOARDS) for n in range(0, len(position_N), BOARDS)]
        return np.concatenate(
            [prices(params, places.tokens_NxT[p], position_N[p], unit_D) for p in parts]
        )

    whole_N = all_prices(np.zeros_like(next(iter(directions.values()))))
    return {name: all_prices(vector) - whole_N for name, vector in directions.items()}


def directions(vectors_NxD: np.ndarray, label_N: np.ndarray) -> dict[str, np.ndarray]:
    """The direction from places without a pattern to those with it, and what it is compared with.

    The same for labels in random order, and a random direction; both are drawn once.
    """
    random = np.random.default_rng(0)
    shuffled_N = random.permutation(label_N)
    return {
        patterns.OWN_DIRECTION: vectors_NxD[label_N].mean(0) - vectors_NxD[~label_N].mean(0),
        "of shuffled labels": vectors_NxD[shuffled_N].mean(0) - vectors_NxD[~shuffled_N].mean(0),
        "random": random.normal(size=vectors_NxD.shape[1]),
    }


def write(path: Path, vectors_NxR: np.ndarray, label_N: np.ndarray) -> None:
    """Write a file of examples for the generator `tokens`: a token with the vector, and the label.

    Each number of a vector has mean 0 and variance 1 over the examples, or is 0.
    """
    scaled = vectors_NxR - vectors_NxR.mean(0)
    deviation = scaled.std(0)
    scaled = np.where(deviation > 1e-6, scaled / np.maximum(deviation, 1e-6), 0.0)
    tokens_Nx2 = np.stack([np.zeros(len(label_N), int), label_N.astype(int)], axis=1)
    side = np.stack([scaled, np.zeros_like(scaled)], axis=1).astype(np.float32)
    coded = np.tile([False, True], (len(label_N), 1))
    record.write_arrays(path, {"tokens": tokens_Nx2, "coded": coded, "side": side})
