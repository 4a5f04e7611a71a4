"""Decoding for observers that read an example as a whole: each step predicts all of it anew."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from epx.types import PyTree

Logits = Callable[[PyTree, jax.Array, PyTree], jax.Array]


class Cache(NamedTuple):
    """The state of decoding token by token: the next position, and all tokens before it, BxT."""

    position: jax.Array
    tokens_BxT: jax.Array


def start(length: int, params: PyTree, tokens_BxT: jax.Array, side: PyTree = None) -> Cache:
    """The state after the given tokens of examples of `length` tokens."""
    del params, side
    given = tokens_BxT.shape[1]
    return Cache(jnp.int32(given), jnp.pad(tokens_BxT, ((0, 0), (0, length - given))))


def step(
    logits: Logits, params: PyTree, cache: Cache, tokens_B: jax.Array, side: PyTree = None
) -> tuple[Cache, jax.Array]:
    """The prediction of one position, after the token before it."""
    before = jnp.maximum(cache.position - 1, 0)
    tokens_BxT = cache.tokens_BxT.at[:, before].set(tokens_B)
    logits_BxTxV = logits(params, tokens_BxT, side)
    return Cache(cache.position + 1, tokens_BxT), logits_BxTxV[:, cache.position]
