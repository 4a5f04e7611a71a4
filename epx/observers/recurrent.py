"""A recurrent network: layers of gated recurrent units, each read token by token.

Pre-norm residual layers of GRU cells (Cho et al. 2014, arXiv 1406.1078), whose state is all that an
observer keeps of the past. The full forward pass scans the cells over time, so that it is the same
program as the cached step. The head starts at zero: an untrained network predicts uniformly.
"""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from epx.observers.layers import sequential
from epx.observers.layers.basic import LayerNorm, require_choices
from epx.types import Observer

TINY = {"depth": 1, "width": 8}

State = tuple[jax.Array, ...]


class Cells(nn.Module):
    """Layers of GRU cells; the state has one array BxD for each."""

    depth: int
    width: int
    dtype: str

    @nn.compact
    def __call__(self, x_BxTxD: jax.Array, state: State) -> tuple[list[jax.Array], State]:
        over_time = nn.scan(
            nn.GRUCell,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=1,
            out_axes=1,
        )
        streams, later = [], []
        for i, hidden_BxD in enumerate(state):
            cell = over_time(self.width, dtype=self.dtype, name=f"cell_{i}")
            hidden_BxD, h_BxTxD = cell(hidden_BxD, LayerNorm(name=f"norm_{i}")(x_BxTxD))
            x_BxTxD += h_BxTxD / self.depth
            streams.append(x_BxTxD)
            later.append(hidden_BxD)
        return streams, tuple(later)


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
      vocab, length, side: tokens V, tokens of an example T, and numbers R of the vector read with
        each token, from the generator's spec.
      depth: number of layers, L.
      width: size of the state of a layer, D.
      dtype: of activations and matrix products, float32 or bfloat16.

    Raises:
      ValueError: an argument outside these bounds, or a model too large for any device.
    """
    sequential.require_sizes(depth, width)
    require_choices(dtype)
    body = Cells(depth, width, dtype)
    model = sequential.Sequential(vocab, length, side, width, dtype, body)
    # Six products of a state with D x D matrices for a layer.
    body_flops = 12.0 * depth * width**2
    return sequential.observer(model, partial(_initial, depth, width, dtype), body_flops)


def _initial(depth: int, width: int, dtype: str, batch: int) -> State:
    return (jnp.zeros((batch, width), dtype),) * depth
