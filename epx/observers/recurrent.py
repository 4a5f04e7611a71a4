"""A recurrent network: layers of gated recurrent units, each read token by token.

Pre-norm residual layers of GRU cells (Cho et al. 2014, arXiv 1406.1078), whose state is all that an
observer keeps of the past. The full forward pass scans the cells over time, so that it is the same
program as the cached step. The head starts at zero: an untrained network predicts uniformly.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from epx.observers import _sequential
from epx.observers._layers import DTYPES, Head, LayerNorm
from epx.types import Observer, require

TINY = {"depth": 1, "width": 8}

State = tuple[jax.Array, ...]


class Recurrent(nn.Module):
    """The model; its fields are the arguments of `make`. Its state has one array BxD a layer."""

    vocab: int
    length: int
    side: int
    depth: int
    width: int
    dtype: str

    @nn.compact
    def __call__(
        self,
        previous_BxT: jax.Array,
        vectors_BxTxR: jax.Array | None,
        positions_T: jax.Array,
        state: State,
    ) -> tuple[jax.Array, State]:
        inputs = _sequential.Inputs(self.vocab, self.length, self.side, self.width, name="inputs")
        x_BxTxD = inputs(previous_BxT, vectors_BxTxR, positions_T)
        over_time = nn.scan(
            nn.GRUCell,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=1,
            out_axes=1,
        )
        later = []
        for i, hidden_BxD in enumerate(state):
            cell = over_time(self.width, dtype=self.dtype, name=f"cell_{i}")
            hidden_BxD, h_BxTxD = cell(hidden_BxD, LayerNorm(name=f"norm_{i}")(x_BxTxD))
            x_BxTxD += h_BxTxD / self.depth
            later.append(hidden_BxD)
        head = Head(self.vocab, dtype=self.dtype, name="head")
        return head(LayerNorm(name="norm")(x_BxTxD)), tuple(later)


def make(
    vocab: int,
    length: int,
    *,
    side: int = 0,
    depth: int = 1,
    width: int = 32,
    dtype: str = "float32",
) -> Observer:
    """A GRU of about (2V + T + R)D + 6LD^2 parameters.

    Args:
      vocab: number of tokens, V, from the generator's spec.
      length: tokens in an example, T, from the generator's spec; the size of the position table.
      side: length R of the vectors read with the tokens, from the generator's spec; 0: none.
      depth: number of layers, L.
      width: size of the state of a layer, D.
      dtype: of activations and matrix products, float32 or bfloat16.

    Raises:
      ValueError: an argument outside these bounds, or a model too large for any device.
    """
    _sequential.require_sizes(depth, width)
    require("observer.dtype", dtype, dtype in DTYPES, ", ".join(DTYPES))
    model = Recurrent(vocab, length, side, depth, width, dtype)
    # Six products of a state with D x D matrices for a layer, and the head.
    per_token = 2.0 * (6 * depth * width**2 + (vocab + side) * width)
    return _sequential.observer(model, partial(_initial, depth, width, dtype), per_token)


def _initial(depth: int, width: int, dtype: str, batch: int) -> State:
    return (jnp.zeros((batch, width), dtype),) * depth
