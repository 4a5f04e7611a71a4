"""A transformer that applies the same layers several times: deep computation by few weights.

It is the model of `transformer.py` with `depth` layers of weights that are applied `loops` times,
one round after another; residual branches are divided by depth x loops. Its compute grows with the
loops and its parameters do not, so that 6ND is far below its exact FLOPs.
"""

from epx.observers.layers import decoder
from epx.types import Observer

TINY = {"depth": 1, "loops": 2, "width": 8, "head_dim": 4}


def make(
    vocab: int,
    length: int,
    *,
    side: int = 0,
    depth: int = 1,
    loops: int = 4,
    width: int = 32,
    head_dim: int = 64,
    activation: str = "gelu_tanh",
    dtype: str = "float32",
) -> Observer:
    """A weight-tied transformer with the parameters of one that has `depth` layers.

    Args:
      vocab, length, side: tokens V, tokens of an example T, and numbers R of the vector read with
        each token, from the generator's spec.
      depth: layers of weights, L.
      loops: rounds in which all layers are applied, 1 or more.
      width: size of the residual stream, D.
      head_dim: size of a head; d_h = min(head_dim, width) must divide the width.
      activation: of the MLP: gelu_erf (the paper's), gelu_tanh (faster on a CPU) or relu.
      dtype: as in `transformer.make`.

    Raises:
      ValueError: an argument outside these bounds, or a model too large for any device.
    """
    return decoder.observer(vocab, length, side, depth, loops, width, head_dim, activation, dtype)
