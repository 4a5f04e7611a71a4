"""A causal convolutional network: layers that look back 1, 2, 4, ... tokens.

Pre-norm residual layers of two taps, one at the token itself and one `dilation` tokens earlier,
after van den Oord et al. 2016 (WaveNet, arXiv 1609.03499). With L layers a prediction sees the last
2^L tokens, and no others. The head starts at zero: an untrained network predicts uniformly.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from epx.observers.layers import sequential
from epx.observers.layers.basic import ACTIVATIONS, Dense, LayerNorm, fan_in, require_choices, zeros
from epx.types import Observer, require

TINY = {"depth": 4, "width": 8}

State = tuple[jax.Array, ...]
MAX_DEPTH = 20  # 2^20 tokens, the longest example


class Taps(nn.Module):
    """Dilated layers.

    The state has for each layer the inputs of the last `dilation` tokens, BxdxD, oldest first.
    """

    depth: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array, state: State) -> tuple[list[jax.Array], State]:
        _, T, D = shape = x_BxTxD.shape
        dense = partial(Dense, dtype=self.dtype)
        streams, later = [], []
        for i, past_BxdxD in enumerate(state):
            h_BxTxD = LayerNorm(name=f"norm_{i}")(x_BxTxD)
            known_BxSxD = jnp.concatenate([past_BxdxD, h_BxTxD], axis=1)
            # The second tap: `dilation` tokens before each position.
            taps_BxTxE = jnp.concatenate([h_BxTxD, known_BxSxD[:, :T]], axis=-1)
            h_NxF = dense(4 * D, kernel_init=fan_in, name=f"up_{i}")(taps_BxTxE.reshape(-1, 2 * D))
            h_NxF = ACTIVATIONS[self.activation](h_NxF)
            h_NxD = dense(D, kernel_init=zeros, name=f"down_{i}")(h_NxF)
            x_BxTxD += h_NxD.reshape(shape) / self.depth
            streams.append(x_BxTxD)
            later.append(known_BxSxD[:, T:])
        return streams, tuple(later)


def make(
    vocab: int,
    length: int,
    *,
    side: int = 0,
    depth: int = 6,
    width: int = 32,
    activation: str = "gelu_tanh",
    dtype: str = "float32",
) -> Observer:
    """A convolutional network of about (2V + T + R)D + 12LD^2 parameters.

    Args:
      vocab, length, side: tokens V, tokens of an example T, and numbers R of the vector read with
        each token, from the generator's spec.
      depth: number of layers, L; a prediction sees 2^L tokens.
      width: size of the residual stream, D.
      activation: gelu_erf, gelu_tanh or relu.
      dtype: of activations and matrix products, float32 or bfloat16.

    Raises:
      ValueError: an argument outside these bounds, or a model too large for any device.
    """
    sequential.require_sizes(depth, width)
    accepted = f"1 to {MAX_DEPTH} layers, as each doubles the tokens that are seen"
    require("observer.depth", depth, depth <= MAX_DEPTH, accepted)
    require_choices(dtype, activation)
    body = Taps(depth, activation, dtype)
    model = sequential.Sequential(vocab, length, side, width, dtype, body)
    body_flops = 24.0 * depth * width**2
    return sequential.observer(model, partial(_initial, depth, width), body_flops)


def _initial(depth: int, width: int, batch: int) -> State:
    return tuple(jnp.zeros((batch, 2**i, width), jnp.float32) for i in range(depth))
