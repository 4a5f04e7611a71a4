"""The decoder-only transformer of the paper's synthetic tasks (arXiv 2601.03220).

Pre-norm LayerNorm with a learned gain and no bias, learned absolute positions, LayerNorm of queries
and keys by head, attention logits scaled by 8/d_h, an MLP four times as wide, residual branches
divided by depth, an untied head. The output projections of every branch and the head start at zero,
so that an untrained model predicts uniformly and its first charge is exactly ln V per token.
"""

from epx.observers.layers import decoder
from epx.types import Observer

TINY = {"depth": 2, "width": 8, "head_dim": 4}


def make(
    vocab: int,
    length: int,
    *,
    side: int = 0,
    depth: int = 2,
    width: int = 32,
    head_dim: int = 64,
    activation: str = "gelu_tanh",
    dtype: str = "float32",
) -> Observer:
    """A transformer of 2VD + TD + RD + L(12D^2 + 2D + 2d_h) + D parameters.

    Args:
      vocab, length, side: tokens V, tokens of an example T, and numbers R of the vector read with
        each token, from the generator's spec.
      depth: number of layers, L.
      width: size of the residual stream, D.
      head_dim: size of a head; d_h = min(head_dim, width) must divide the width.
      activation: of the MLP: gelu_erf (the paper's), gelu_tanh (faster on a CPU) or relu.
      dtype: of activations and matrix products, float32 or bfloat16. Parameters, statistics of
        LayerNorm, softmax, the residual stream and the returned logits are float32.

    Raises:
      ValueError: an argument outside these bounds, or a model too large for any device.
    """
    return decoder.observer(vocab, length, side, depth, 1, width, head_dim, activation, dtype)
