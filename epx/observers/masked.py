"""A mask around any observer: tokens that are known not to occur get no probability.

Where a generator's vectors mark the tokens that may occur (`Spec.masked`), such as legal moves, an
observer does not read them. It predicts all tokens, and the probabilities of those that may occur
are normalised. One that knows nothing then chooses uniformly among them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from epx.types import Observer, PyTree, require

EXCLUDED = -1e30  # a logit; finite, so that gradients are


class Cache(NamedTuple):
    """The next position, and the cache of the observer inside."""

    position: jax.Array
    inner: PyTree


def around(observer: Observer) -> Observer:
    """An observer with a mask, which the side information is.

    Args:
      observer: learns by gradient, or knows the law; made for examples without side information.

    Raises:
      ValueError: an exact counter, whose prices have no mask.
    """
    if observer.knows is not None:
        return observer
    accepted = "an observer that learns by gradient: tokens of this generator are masked"
    require("observer", "an exact counter", observer.update is None, accepted)

    def logits(params: PyTree, tokens_BxT: jax.Array, side: jax.Array) -> jax.Array:
        return masked(observer.logits(params, tokens_BxT, None), side[:, : tokens_BxT.shape[1]])

    def start(params: PyTree, tokens_BxT: jax.Array, side: jax.Array) -> Cache:
        inner = observer.start(params, tokens_BxT, None)
        return Cache(jnp.int32(tokens_BxT.shape[1]), inner)

    def step(params: PyTree, cache: Cache, tokens_B: jax.Array, side: jax.Array):
        inner, logits_BxV = observer.step(params, cache.inner, tokens_B, None)
        marks_BxR = jax.lax.dynamic_index_in_dim(side, cache.position, axis=1, keepdims=False)
        return Cache(cache.position + 1, inner), masked(logits_BxV, marks_BxR)

    def hidden(params: PyTree, tokens_BxT: jax.Array, side: jax.Array):
        return observer.hidden(params, tokens_BxT, None)

    def edited(params: PyTree, tokens_BxT: jax.Array, side: jax.Array, *change):
        return masked(observer.edited(params, tokens_BxT, None, *change), side)

    return observer._replace(
        logits=logits,
        start=observer.start and start,
        step=observer.step and step,
        hidden=observer.hidden and hidden,
        edited=observer.edited and edited,
    )


def masked(logits: jax.Array, marks: jax.Array) -> jax.Array:
    """Logits without those of excluded tokens.

    Args:
      logits: with a last axis V.
      marks: the same axes, but for the last, R: above 0 for each of the last R tokens that may
        occur. Where there is none, all V may.
    """
    others = jnp.zeros((*marks.shape[:-1], logits.shape[-1] - marks.shape[-1]), bool)
    may = jnp.concatenate([others, marks > 0], axis=-1)
    return jnp.where(may | ~may.any(-1, keepdims=True), logits, EXCLUDED)
