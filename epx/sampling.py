"""What an observer believes, drawn from it: tokens sampled one after the other, each given all the
tokens before it."""

import jax
import jax.numpy as jnp
from jax import lax

from epx.types import Observer, PyTree


def complete(
    observer: Observer,
    params: PyTree,
    keys_B: jax.Array,
    tokens_BxT: jax.Array,
    given_BxT: jax.Array,
    side: PyTree = None,
) -> jax.Array:
    """Keeps the tokens that are given and samples the others, in order.

    Args:
      observer: with `start` and `step`.
      params: its parameters.
      keys_B: a key for each example; what is drawn does not depend on the rest of the batch.
      tokens_BxT: int32; those that are not given do not matter.
      given_BxT: bool.
      side: side information of the examples.

    Returns:
      int32 tokens of shape BxT.

    Raises:
      TypeError: an observer without them.
    """

    def emit(carry, column):
        cache, previous_B = carry
        t, token_B, given_B = column
        cache, logits_BxV = observer.step(params, cache, previous_B, side)
        drawn_B = jax.vmap(lambda key, logits: _draw(key, t, logits))(keys_B, logits_BxV)
        token_B = jnp.where(given_B, token_B, drawn_B)
        return (cache, token_B), token_B

    batch, length = tokens_BxT.shape
    start = observer.start(params, batch), jnp.zeros(batch, jnp.int32)
    columns = jnp.arange(length), tokens_BxT.T, given_BxT.T
    return lax.scan(emit, start, columns)[1].T


def _draw(key: jax.Array, t: jax.Array, logits_V: jax.Array) -> jax.Array:
    return jax.random.categorical(jax.random.fold_in(key, t), logits_V).astype(jnp.int32)
