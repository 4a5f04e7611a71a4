"""Samples of an observer, drawn token by token."""

import jax
import jax.numpy as jnp
from jax import lax

from epx.types import Observer, PyTree


def complete(
    observer: Observer,
    params: PyTree,
    keys_B: jax.Array,
    tokens_BxT: jax.Array,
    given_mask_BxT: jax.Array,
    side: PyTree = None,
    given: int = 0,
) -> jax.Array:
    """Keep the given tokens and sample the others in order, each from all tokens before it.

    Args:
      observer: with `start` and `step`.
      params: its parameters.
      keys_B: a key for each example; a sample does not depend on the rest of the batch.
      tokens_BxT: int32; tokens that are not given are ignored.
      given_mask_BxT: bool, marks the given tokens.
      side: side information of the examples.
      given: leading tokens given in all examples; they are read in one pass.

    Returns:
      int32 tokens of shape BxT.

    Raises:
      TypeError: an observer without `start` and `step`.
    """

    def emit(carry, column):
        cache, previous_B = carry
        t, token_B, given_mask_B = column
        cache, logits_BxV = observer.step(params, cache, previous_B, side)
        drawn_B = jax.vmap(lambda key, logits: _draw(key, t, logits))(keys_B, logits_BxV)
        token_B = jnp.where(given_mask_B, token_B, drawn_B)
        return (cache, token_B), token_B

    prompt_BxT = tokens_BxT[:, :given]
    last_B = prompt_BxT[:, -1] if given else jnp.zeros(len(tokens_BxT), jnp.int32)
    start = observer.start(params, prompt_BxT, side), last_B
    columns = jnp.arange(tokens_BxT.shape[1]), tokens_BxT.T, given_mask_BxT.T
    columns = jax.tree.map(lambda column: column[given:], columns)
    return jnp.concatenate([prompt_BxT, lax.scan(emit, start, columns)[1].T], axis=1)


def _draw(key: jax.Array, t: jax.Array, logits_V: jax.Array) -> jax.Array:
    return jax.random.categorical(jax.random.fold_in(key, t), logits_V).astype(jnp.int32)
