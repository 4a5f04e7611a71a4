"""A multilayer perceptron over a window: it sees the last W tokens at once, and no others.

The inputs of the last W tokens side by side, a layer that mixes them, and pre-norm residual layers.
Where the window reaches before the first token it has zeros. The head starts at zero: an untrained
network predicts uniformly.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from epx.observers import _sequential
from epx.observers._layers import ACTIVATIONS, DTYPES, Dense, Head, LayerNorm, fan_in, zeros
from epx.types import Observer, require, require_whole

TINY = {"depth": 1, "width": 8, "window": 4}


class Perceptron(nn.Module):
    """The model; its fields are the arguments of `make`.

    Its state has the inputs of the last W - 1 tokens, Bx(W-1)xD, oldest first.
    """

    vocab: int
    length: int
    side: int
    depth: int
    width: int
    window: int
    activation: str
    dtype: str

    @nn.compact
    def __call__(
        self,
        previous_BxT: jax.Array,
        vectors_BxTxR: jax.Array | None,
        positions_T: jax.Array,
        state: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        (B, T), D, W = previous_BxT.shape, self.width, self.window
        dense = partial(Dense, dtype=self.dtype)
        inputs = _sequential.Inputs(self.vocab, self.length, self.side, D, name="inputs")
        known_BxSxD = jnp.concatenate([state, inputs(previous_BxT, vectors_BxTxR, positions_T)], 1)
        windows = [known_BxSxD[:, n : n + T] for n in range(W)]
        seen_NxE = LayerNorm(name="norm_window")(jnp.concatenate(windows, -1)).reshape(-1, W * D)
        x_NxD = dense(D, kernel_init=fan_in, name="mix")(seen_NxE).astype(jnp.float32)
        for i in range(self.depth):
            h_NxD = LayerNorm(name=f"norm_{i}")(x_NxD)
            h_NxF = dense(4 * D, kernel_init=fan_in, name=f"up_{i}")(h_NxD)
            h_NxF = ACTIVATIONS[self.activation](h_NxF)
            x_NxD += dense(D, kernel_init=zeros, name=f"down_{i}")(h_NxF) / self.depth
        head = Head(self.vocab, dtype=self.dtype, name="head")
        logits_NxV = head(LayerNorm(name="norm")(x_NxD))
        return logits_NxV.reshape(B, T, self.vocab), known_BxSxD[:, T:]


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
      vocab: number of tokens, V, from the generator's spec.
      length: tokens in an example, T, from the generator's spec; the size of the position table.
      side: length R of the vectors read with the tokens, from the generator's spec; 0: none.
      depth: number of layers after the mixing one, L.
      width: size of the residual stream, D.
      window: tokens seen by a prediction, W.
      activation: gelu_erf, gelu_tanh or relu.
      dtype: of activations and matrix products, float32 or bfloat16.

    Raises:
      ValueError: an argument outside these bounds, or a model too large for any device.
    """
    _sequential.require_sizes(depth, width)
    require_whole("observer.window", window, 1, 2**12, "each token of it has weights of its own")
    require("observer.activation", activation, activation in ACTIVATIONS, ", ".join(ACTIVATIONS))
    require("observer.dtype", dtype, dtype in DTYPES, ", ".join(DTYPES))
    model = Perceptron(vocab, length, side, depth, width, window, activation, dtype)
    per_token = 2.0 * (width**2 * (window + 8 * depth) + (vocab + side) * width)
    return _sequential.observer(model, partial(_initial, width, window), per_token)


def _initial(width: int, window: int, batch: int) -> jax.Array:
    return jnp.zeros((batch, window - 1, width), jnp.float32)
