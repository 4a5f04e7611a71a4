"""What families with a state of fixed size share: inputs, head, and the functions of an observer.

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

from epx.observers.layers.basic import (
    Dense,
    Head,
    LayerNorm,
    fan_in,
    learning_rate_scales,
    previous_tokens,
    previous_vectors,
    require_parameters,
    require_side,
    small_normal,
    vector_before,
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


class Sequential(nn.Module):
    """Inputs, a body with a state, and a head that starts at zero.

    The input of a position is the embedding of the token before it (the zero vector at position 0)
    plus that of the position. Where tokens come with vectors of side information, a linear map of
    the vector of the token before is added.

    Attributes:
      vocab, length, side, width, dtype: as the arguments of a family's `make`.
      body: a module, (x_BxTxD, state) -> (the residual stream after each layer, each BxTxD, and
        the state after the last position).
    """

    vocab: int
    length: int
    side: int
    width: int
    dtype: str
    body: nn.Module

    @nn.compact
    def __call__(
        self,
        previous_BxT: jax.Array,
        vectors_BxTxR: jax.Array | None,
        positions_T: jax.Array,
        state: PyTree,
    ) -> tuple[jax.Array, PyTree, tuple[jax.Array, ...]]:
        """logits_BxTxV (float32) of consecutive positions, the state after the last one, and the
        residual stream before the first layer and after each, BxTxD.

        `previous_BxT` are the tokens before each position, ignored at position 0, and
        `vectors_BxTxR` their side information, or None.
        """
        embedding_VxD = self.param("embedding", small_normal, (self.vocab, self.width))
        positions_SxD = self.param("positions", small_normal, (self.length, self.width))
        x_BxTxD = jnp.where(positions_T[:, None] > 0, embedding_VxD[previous_BxT], 0.0)
        x_BxTxD += positions_SxD[positions_T]
        if self.side:
            vectors_NxR = vectors_BxTxR.reshape(-1, self.side)
            mapped_NxD = Dense(self.width, kernel_init=fan_in, name="side")(vectors_NxR)
            x_BxTxD += mapped_NxD.reshape(x_BxTxD.shape)
        streams, state = self.body(x_BxTxD, state)
        head = Head(self.vocab, dtype=self.dtype, name="head")
        logits_BxTxV = head(LayerNorm(name="norm")(streams[-1]))
        return logits_BxTxV, state, (x_BxTxD, *streams)


def observer(
    model: Sequential, initial: Callable[[int], PyTree], body_flops_per_token: float
) -> Observer:
    """The functions of an observer whose model has a state of fixed size.

    Args:
      model: with its body.
      initial: batch -> the state before position 0.
      body_flops_per_token: of the body's products; learning costs twice as much as predicting.

    Raises:
      ValueError: a model too large for any device.
    """
    shapes = jax.eval_shape(partial(_init, model, initial), jax.random.key(0))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    require_parameters("observer.width", model.width, count)
    per_token = body_flops_per_token + 2.0 * (model.vocab + model.side) * model.width
    return Observer(
        init=partial(_init, model, initial),
        logits=partial(_logits, model, initial),
        flops=lambda length: (per_token * length, 2 * per_token * length),
        scales=learning_rate_scales,
        start=partial(_start, model, initial),
        step=partial(_step, model),
        hidden=partial(_hidden, model, initial),
    )


def require_sizes(depth: int, width: int) -> None:
    """Refuse a number of layers or a width outside of their bounds."""
    reason = "more layers do not compile in reasonable time"
    require_whole("observer.depth", depth, 1, MAX_DEPTH, reason)
    require_whole("observer.width", width, 1, 2**14, "wider models do not fit into memory")


def _init(model: Sequential, initial: Callable, key: jax.Array) -> PyTree:
    token = jnp.zeros((1, 1), jnp.int32)
    vectors = jnp.zeros((1, 1, model.side))
    return model.init(key, token, vectors, token[0], initial(1))["params"]


def _read(
    model: Sequential,
    initial: Callable,
    params: PyTree,
    tokens_BxT: jax.Array,
    side: jax.Array | None,
) -> tuple[jax.Array, PyTree, tuple[jax.Array, ...]]:
    """What the model returns for all positions; it has read the tokens before the last one."""
    require_side(side, model.side)
    B, T = tokens_BxT.shape
    accepted = f"at most {model.length}, the length that this observer was made for"
    require("length", T, model.length >= T, accepted)
    vectors_BxTxR = None if side is None else previous_vectors(side[:, :T])
    positions_T = jnp.arange(T, dtype=jnp.int32)
    arguments = previous_tokens(tokens_BxT), vectors_BxTxR, positions_T, initial(B)
    return model.apply({"params": params}, *arguments)


def _logits(
    model: Sequential,
    initial: Callable,
    params: PyTree,
    tokens_BxT: jax.Array,
    side: jax.Array | None = None,
) -> jax.Array:
    return _read(model, initial, params, tokens_BxT, side)[0]


def _hidden(
    model: Sequential,
    initial: Callable,
    params: PyTree,
    tokens_BxT: jax.Array,
    side: jax.Array | None = None,
) -> tuple[jax.Array, ...]:
    return _read(model, initial, params, tokens_BxT, side)[2]


def _start(
    model: Sequential,
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
    model: Sequential,
    params: PyTree,
    cache: Cache,
    tokens_B: jax.Array,
    side: jax.Array | None = None,
) -> tuple[Cache, jax.Array]:
    require_side(side, model.side)
    vectors_Bx1xR = vector_before(side, cache.position)
    arguments = tokens_B[:, None], vectors_Bx1xR, cache.position[None], cache.state
    logits_Bx1xV, state, _ = model.apply({"params": params}, *arguments)
    return Cache(cache.position + 1, state), logits_Bx1xV[:, 0]
