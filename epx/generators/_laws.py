"""Laws of tokens as log probabilities, float32 with a last axis V."""

import math

import jax
import jax.numpy as jnp


def certain(tokens_T: jax.Array, vocab: int) -> jax.Array:
    """The law TxV of tokens that are known: 0 for the token and -inf for all others."""
    return jnp.where(tokens_T[:, None] == jnp.arange(vocab), 0.0, -jnp.inf).astype(jnp.float32)


def uniform(count: int, vocab: int) -> jax.Array:
    """The uniform law of the first `count` of `vocab` tokens, of shape V."""
    return jnp.where(jnp.arange(vocab) < count, -math.log(count), -jnp.inf).astype(jnp.float32)
