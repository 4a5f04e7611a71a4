"""What families with a state of fixed size share: their inputs, and the functions of an observer.

A model is called with the tokens before some consecutive positions and the state before the first
of them, and returns logits and the state after the last one. A full forward pass and the cached
step are then the same program on many positions and on one.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from epx.observers._layers import (
    Dense,
    fan_in,
    learning_rate_scales,
    previous_tokens,
    previous_vectors,
    require_parameters,
    require_side,
    small_normal,
)
from epx.types import Observer, PyTree, require, require_whole

MAX_DEPTH = 64


class Cache(NamedTuple):
    """The state of decoding token by token.

    Attributes:
      position: int32, the next position to predict.
      state: of the model, before that position.
    """

    position: jax.Array
    state: PyTree


class Inputs(nn.Module):
    """The input of each position, BxTxD float32: embeddings of the token before and of the place.

    The token before position 0 is the zero vector. Where tokens come with vectors of side
    information, a linear map of the vector of the token before is added.
    """

    vocab: int
    length: int
    side: int
    width: int

    @nn.compact
    def __call__(
        self, previous_BxT: jax.Array, vectors_BxTxR: jax.Array | None, positions_T: jax.Array
    ) -> jax.Array:
        embedding_VxD = self.param("embedding", small_normal, (self.vocab, self.width))
        positions_SxD = self.param("positions", small_normal, (self.length, self.width))
        x_BxTxD = jnp.where(positions_T[:, None] > 0, embedding_VxD[previous_BxT], 0.0)
        x_BxTxD += positions_SxD[positions_T]
        if self.side:
            vectors_NxR = vectors_BxTxR.reshape(-1, self.side)
            mapped_NxD = Dense(self.width, kernel_init=fan_in, name="side")(vectors_NxR)
            x_BxTxD += mapped_NxD.reshape(x_BxTxD.shape)
        return x_BxTxD


def observer(
    model: nn.Module, initial: Callable[[int], PyTree], forward_flops_per_token: float
) -> Observer:
    """The functions of an observer whose model has a state of fixed size.

    Args:
      model: `(previous_BxT, vectors_BxTxR, positions_T, state) -> (logits_BxTxV, state)`; its
        fields include `length` and `side`.
      initial: batch -> the state before position 0.
      forward_flops_per_token: of the model's products; learning costs twice as much.

    Raises:
      ValueError: a model too large for any device.
    """
    shapes = jax.eval_shape(partial(_init, model, initial), jax.random.key(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    require_parameters("observer.width", model.width, count)
    return Observer(
        init=partial(_init, model, initial),
        logits=partial(_logits, model, initial),
        flops=lambda length: (
            forward_flops_per_token * length,
            2 * forward_flops_per_token * length,
        ),
        scales=learning_rate_scales,
        start=partial(_start, model, initial),
        step=partial(_step, model),
    )


def require_sizes(depth: int, width: int) -> None:
    """Refuse a number of layers or a width outside of their bounds."""
    reason = "more layers do not compile in reasonable time"
    require_whole("observer.depth", depth, 1, MAX_DEPTH, reason)
    require_whole("observer.width", width, 1, 2**14, "wider models do not fit into memory")


def _init(model: nn.Module, initial: Callable, key: jax.Array) -> PyTree:
    token = jnp.zeros((1, 1), jnp.int32)
    vectors = jnp.zeros((1, 1, model.side))
    return model.init(key, token, vectors, token[0], initial(1))["params"]


def _read(
    model: nn.Module,
    initial: Callable,
    params: PyTree,
    tokens_BxT: jax.Array,
    side: jax.Array | None,
) -> tuple[jax.Array, PyTree]:
    """Logits of all positions, and the state after reading the token before the last one."""
    B, T = tokens_BxT.shape
    accepted = f"at most {model.length}, the length that this observer was made for"
    require("length", T, model.length >= T, accepted)
    vectors_BxTxR = None if side is None else previous_vectors(side[:, :T])
    positions_T = jnp.arange(T, dtype=jnp.int32)
    arguments = previous_tokens(tokens_BxT), vectors_BxTxR, positions_T, initial(B)
    return model.apply({"params": params}, *arguments)


def _logits(
    model: nn.Module,
    initial: Callable,
    params: PyTree,
    tokens_BxT: jax.Array,
    side: jax.Array | None = None,
) -> jax.Array:
    require_side(side, model.side)
    return _read(model, initial, params, tokens_BxT, side)[0]


def _start(
    model: nn.Module,
    initial: Callable,
    params: PyTree,
    tokens_BxT: jax.Array,
    side: jax.Array | None = None,
) -> Cache:
    require_side(side, model.side)
    B, T = tokens_BxT.shape
    state = _read(model, initial, params, tokens_BxT, side)[1] if T else initial(B)
    return Cache(jnp.int32(T), state)


def _step(
    model: nn.Module,
    params: PyTree,
    cache: Cache,
    tokens_B: jax.Array,
    side: jax.Array | None = None,
) -> tuple[Cache, jax.Array]:
    require_side(side, model.side)
    vectors_Bx1xR = None
    if side is not None:
        read = lax.dynamic_slice_in_dim(side, cache.position - 1, 1, axis=1)
        vectors_Bx1xR = jnp.where(cache.position > 0, read, 0.0)
    arguments = tokens_B[:, None], vectors_Bx1xR, cache.position[None], cache.state
    logits_Bx1xV, state = model.apply({"params": params}, *arguments)
    return Cache(cache.position + 1, state), logits_Bx1xV[:, 0]
