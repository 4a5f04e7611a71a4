"""Decimal digits of numbers."""

import jax
import jax.numpy as jnp


def digits(number: jax.Array, width: int) -> jax.Array:
    """Decimal digits, int32 of shape (width,), the most significant first."""
    return number // _powers(width) % 10


def number(digits_T: jax.Array) -> jax.Array:
    """The number of these digits, the most significant first."""
    return (digits_T * _powers(len(digits_T))).sum(dtype=jnp.int32)


def _powers(width: int) -> jax.Array:
    return 10 ** jnp.arange(width - 1, -1, -1, dtype=jnp.int32)
