"""A multilayer perceptron over a window: it sees the last W tokens at once, and no others.

The inputs of the last W tokens side by side, a layer that mixes them, and pre-norm residual layers.
Where the window reaches before the first token it has zeros. The head starts at zero: an untrained
network predicts uniformly.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from epx.observers.layers import sequential
from epx.observers.layers.basic import ACTIVATIONS, Dense, LayerNorm, fan_in, require_choices, zeros
from epx.types import Observer, require_whole

TINY = {"depth": 1, "width": 8, "window": 4}


class Window(nn.Module):
    """The mixing layer and those after it.

    The state has the inputs of the last W - 1 tokens, Bx(W-1)xD, oldest first.
    """

    depth: int
    window: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array, state: jax.Array) -> tuple[list[jax.Array], jax.Array]:
        _, T, D = shape = x_BxTxD.shape
        dense = partial(Dense, dtype=self.dtype)
        known_BxSxD = jnp.concatenate([state, x_BxTxD], axis=1)
        tokens = [known_BxSxD[:, n : n + T] for n in range(self.window)]
        seen_BxTxE = LayerNorm(name="norm_window")(jnp.concatenate(tokens, axis=-1))
        seen_NxE = seen_BxTxE.reshape(-1, self.window * D)
        x_NxD = dense(D, kernel_init=fan_in, name="mix")(seen_NxE).astype(jnp.float32)
        streams = [x_NxD.reshape(shape)]
        for i in range(self.depth):
            h_NxD = LayerNorm(name=f"norm_{i}")(x_NxD)
            h_NxF = dense(4 * D, kernel_init=fan_in, name=f"up_{i}")(h_NxD)
            h_NxF = ACTIVATIONS[self.activation](h_NxF)
            x_NxD += dense(D, kernel_init=zeros, name=f"down_{i}")(h_NxF) / self.depth
            streams.append(x_NxD.reshape(shape))
        return streams, known_BxSxD[:, T:]


def make(
    vocab: int,
    length: int,
    *,
    side: int = 0,
    depth: int = 2,
    width: int = 32,
    window: int = 16,
    activation: str = "gelu_tanh",
    dtype: str = "float32",
) -> Observer:
    """A perceptron of about (2V + T + R)D + WD^2 + 8LD^2 parameters.

    Args:
      vocab, length, side: tokens V, tokens of an example T, and numbers R of the vector read with
        each token, from the generator's spec.
      depth: number of layers after the mixing one, L.
      width: size of the residual stream, D.
      window: tokens seen by a prediction, W.
      activation: gelu_erf, gelu_tanh or relu.
      dtype: of activations and matrix products, float32 or bfloat16.

    Raises:
      ValueError: an argument outside these bounds, or a model too large for any device.
    """
    sequential.require_sizes(depth, width)
    require_whole("observer.window", window, 1, 2**12, "each token of it has weights of its own")
    require_choices(dtype, activation)
    body = Window(depth, window, activation, dtype)
    model = sequential.Sequential(vocab, length, side, width, dtype, body)
    body_flops = 2.0 * width**2 * (window + 8 * depth)
    return sequential.observer(model, partial(_initial, width, window), body_flops)


def _initial(width: int, window: int, batch: int) -> jax.Array:
    return jnp.zeros((batch, window - 1, width), jnp.float32)
