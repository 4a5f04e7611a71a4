"""What an observer predicts worse when a direction is taken out of its stream.

The direction of a pattern is that of the weights of a linear probe. After a layer the component of
the stream along it is set to its mean wherever a cell of the next frame is predicted, and the price
of the cells around a place is compared with that of the stream as it is. The probe and the mean are
fitted on other places than those of which the price is taken.
"""

import jax
import numpy as np

from epx.analysis.exact import patterns
from epx.analysis.measurement import LN2
from epx.learning import nll
from epx.run.probing import linear
from epx.run.probing.places import Places
from epx.run.probing.vectors import around
from epx.run.trained import Trained
from epx.types import PyTree, require

AT_ONCE = 128  # boards
OTHER, SHUFFLED, RANDOM = "of another pattern", "of shuffled labels", "random"


def directions(
    vectors_NxD: np.ndarray,
    label_N: np.ndarray,
    other_vectors_NxD: np.ndarray,
    other_label_N: np.ndarray,
) -> dict[str, np.ndarray]:
    """The unit direction of a pattern, and what it is compared with.

    Args:
      vectors_NxD, label_N: streams of a layer, and whether the pattern is there.
      other_vectors_NxD, other_label_N: the same of another pattern.
    """
    random = np.random.default_rng(0)
    found = {
        patterns.OWN_DIRECTION: linear.fit(vectors_NxD, label_N).weights_R,
        OTHER: linear.fit(other_vectors_NxD, other_label_N).weights_R,
        SHUFFLED: linear.fit(vectors_NxD, random.permutation(label_N)).weights_R,
        RANDOM: random.normal(size=vectors_NxD.shape[1]),
    }
    return {name: along / max(np.linalg.norm(along), 1e-12) for name, along in found.items()}


def bits_lost(
    trained: Trained,
    layer: int,
    directions: dict[str, np.ndarray],
    fitted: Places,
    places: Places,
) -> dict[str, np.ndarray]:
    """What the next frame costs more without a direction of the stream, by its name.

    Args:
      trained: an observer whose stream can be edited.
      layer: after which the stream is edited; 0 is before the first.
      directions: unit vectors of size D.
      fitted: places of which the mean component is taken.
      places: other ones, of which the price is taken.

    Returns:
      For each place the bits by which the price of the 3 x 3 cells around it rises, N.

    Raises:
      ValueError: an observer without edits.
    """
    observer = trained.setup.observer
    name = trained.setup.config["observer"]["name"]
    require("observer.name", name, observer.edited is not None, "transformer or looped")
    params, frame = trained.params(), places.boards_NxHxW[0].size
    along_KxD = np.array(list(directions.values()), np.float32)

    @jax.jit
    def components(params: PyTree, tokens_BxT: jax.Array) -> jax.Array:
        stream_BxTxD = observer.hidden(params, tokens_BxT, None)[layer]
        return (stream_BxTxD[:, frame:] @ along_KxD.T).sum((0, 1))

    @jax.jit
    def prices(params: PyTree, tokens_BxT: jax.Array, along_D: jax.Array, mean: jax.Array):
        stream_BxTxD = observer.hidden(params, tokens_BxT, None)[layer]
        change_BxTxD = (mean - stream_BxTxD @ along_D)[..., None] * along_D
        change_BxTxD = change_BxTxD.at[:, :frame].set(0.0)
        logits_BxTxV = observer.edited(params, tokens_BxT, None, layer, change_BxTxD)
        return nll.nats(logits_BxTxV, tokens_BxT)[:, frame:] / LN2

    parts = [slice(n, n + AT_ONCE) for n in range(0, len(fitted.place_N), AT_ONCE)]
    cells = fitted.tokens_NxT[:, frame:].size
    mean_K = sum(np.asarray(components(params, fitted.tokens_NxT[p])) for p in parts) / cells
    cell_NxC = around(places, 3)

    def of_boxes(along_D: np.ndarray, mean: float) -> np.ndarray:
        parts = [slice(n, n + AT_ONCE) for n in range(0, len(places.place_N), AT_ONCE)]
        bits = [prices(params, places.tokens_NxT[p], along_D, mean) for p in parts]
        return np.take_along_axis(np.concatenate(bits), cell_NxC, axis=1).sum(1)

    whole_N = of_boxes(np.zeros_like(along_KxD[0]), 0.0)
    edited = zip(directions, along_KxD, mean_K)
    return {name: of_boxes(along_D, mean) - whole_N for name, along_D, mean in edited}
