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
    known: int = 0,
) -> jax.Array:
    """Keeps the tokens that are given and samples the others, in order.

    Args:
      observer: with `start` and `step`.
      params: its parameters.
      keys_B: a key for each example; what is drawn does not depend on the rest of the batch.
      tokens_BxT: int32; those that are not given do not matter.
      given_BxT: bool.
      side: side information of the examples.
      known: leading tokens that are given in all examples, which are read in one pass.

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

    known_BxT = tokens_BxT[:, :known]
    last_B = known_BxT[:, -1] if known else jnp.zeros(len(tokens_BxT), jnp.int32)
    start = observer.start(params, known_BxT, side), last_B
    columns = jnp.arange(tokens_BxT.shape[1]), tokens_BxT.T, given_BxT.T
    columns = jax.tree.map(lambda column: column[known:], columns)
    return jnp.concatenate([known_BxT, lax.scan(emit, start, columns)[1].T], axis=1)


def _draw(key: jax.Array, t: jax.Array, logits_V: jax.Array) -> jax.Array:
    return jax.random.categorical(jax.random.fold_in(key, t), logits_V).astype(jnp.int32)
