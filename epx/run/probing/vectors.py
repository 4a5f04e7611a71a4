"""What a probe reads at a place: the residual streams of an observer, the cells, the place alone.

A stream is read where the observer predicts the cell of the place in the next frame. By then it has
read the cells of that frame up to there; what the stream is compared with has them too.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from epx import record, streams
from epx.run.probing.places import BOARDS, Places, box
from epx.run.trained import Trained
from epx.types import Observer, PyTree, require

WINDOWS = (3, 5, 7, 9)
LAYER, UNTRAINED = "layer {}", "untrained, layer {}"
CELLS, CELLS_AND_NEXT = "{0} x {0} cells", "{0} x {0} cells and next ones"
PLACE = "place"


def vectors(trained: Trained, places: Places) -> dict[str, np.ndarray]:
    """The vectors of each place, NxR float32, by what they show.

    Raises:
      ValueError: an observer without hidden states.
    """
    observer = trained.setup.observer
    name = trained.setup.config["observer"]["name"]
    require("observer.name", name, observer.hidden is not None, "observers with hidden states")
    key = streams.stream(trained.hyper.seed, "init")
    read = {LAYER: trained.params(), UNTRAINED: randomised(observer, key)}
    result = {
        name.format(layer): found
        for name, params in read.items()
        for layer, found in enumerate(at_places(trained, params, places))
    }
    result |= {CELLS.format(side): _window(places, side) for side in WINDOWS}
    result |= {
        CELLS_AND_NEXT.format(side): np.hstack([_window(places, side), _next(places, side)])
        for side in WINDOWS
    }
    return result | {PLACE: np.eye(_frame(places), dtype=np.float32)[places.place_N]}


def randomised(observer: Observer, key: jax.Array) -> PyTree:
    """Untrained weights in which the matrices that start at zero are drawn like the others.

    With zeros a layer adds nothing: all streams of an untrained transformer are its first one.
    """
    leaves, tree = jax.tree.flatten(observer.init(key))
    keys = jax.random.split(jax.random.fold_in(key, 1), len(leaves))

    def drawn(key: jax.Array, leaf: jax.Array) -> jax.Array:
        if leaf.ndim < 2 or leaf.any():
            return leaf
        return jax.random.normal(key, leaf.shape, leaf.dtype) / np.sqrt(leaf.shape[-2])

    return jax.tree.unflatten(tree, map(drawn, keys, leaves))


def at_places(trained: Trained, params: PyTree, places: Places) -> list[np.ndarray]:
    """The residual stream of each layer where the cells of the places are predicted, NxD."""

    @jax.jit
    def at(params: PyTree, tokens_BxT: jax.Array, position_B: jax.Array) -> tuple[jax.Array, ...]:
        row_B = jnp.arange(len(position_B))
        layers = trained.setup.observer.hidden(params, tokens_BxT, None)
        return tuple(x_BxTxD[row_B, position_B] for x_BxTxD in layers)

    position_N, parts = _frame(places) + places.place_N, []
    for first in range(0, len(position_N), BOARDS):
        part = slice(first, first + BOARDS)
        parts.append(jax.device_get(at(params, places.tokens_NxT[part], position_N[part])))
    return [np.concatenate(layer) for layer in zip(*parts)]


def around(places: Places, side: int) -> np.ndarray:
    """The numbers of the cells of a square around each place, NxC, row by row."""
    height, width = places.boards_NxHxW.shape[1:]
    row_N, column_N = np.divmod(places.place_N, width)
    cells = [(row_N + y) % height * width + (column_N + x) % width for y, x in box(side)]
    return np.stack(cells, axis=1)


def _frame(places: Places) -> int:
    """Cells of a frame."""
    return places.boards_NxHxW[0].size


def _window(places: Places, side: int) -> np.ndarray:
    """The cells around each place, as numbers."""
    frames_NxF = places.boards_NxHxW.reshape(len(places.place_N), -1)
    return np.take_along_axis(frames_NxF, around(places, side), axis=1).astype(np.float32)


def _next(places: Places, side: int) -> np.ndarray:
    """Those of the next frame that have been read: 1 alive, -1 dead; 0 for the others."""
    frame, cell_NxC = _frame(places), around(places, side)
    alive_NxC = np.take_along_axis(places.tokens_NxT, frame + cell_NxC, axis=1)
    is_read_NxC = cell_NxC < places.place_N[:, None]
    return np.where(is_read_NxC, 2 * alive_NxC - 1, 0).astype(np.float32)


def write(path: Path, vectors_NxR: np.ndarray, label_N: np.ndarray) -> None:
    """Write a file of examples for the generator `tokens`: a token with the vector, and the label.

    Each number of a vector has mean 0 and variance 1 over the examples, or is 0.
    """
    scaled = standardised(vectors_NxR)
    tokens_Nx2 = np.stack([np.zeros(len(label_N), int), label_N.astype(int)], axis=1)
    side = np.stack([scaled, np.zeros_like(scaled)], axis=1).astype(np.float32)
    coded = np.tile([False, True], (len(label_N), 1))
    record.write_arrays(path, {"tokens": tokens_Nx2, "coded": coded, "side": side})


def standardised(vectors_NxR: np.ndarray) -> np.ndarray:
    """Each number with mean 0 and variance 1 over the vectors; one that does not vary is 0."""
    mean_R, deviation_R = vectors_NxR.mean(0), vectors_NxR.std(0)
    varies_R = deviation_R > 1e-6
    return np.where(varies_R, (vectors_NxR - mean_R) / np.where(varies_R, deviation_R, 1.0), 0.0)
