"""Conversion of integers to machine words, with checks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from epx.types import refusal


def as_words(
    name: str,
    value: Any,
    dtype: Any,
    shape: tuple[int, ...] | None = None,
    most: int | None = None,
) -> jax.Array:
    """The value as an array of unsigned words, converted from integers of any type.

    Args:
      name: of the argument, for the refusal.
      value: Python integers, a numpy array or a JAX array, traced or not. A traced array is checked
        for type and shape only; its numbers are taken modulo 2^bits.
      dtype: uint8, uint16 or uint32.
      shape: the required shape; None for any.
      most: the largest accepted number; None for the largest word.

    Raises:
      ValueError: not integers from 0 to `most`, or another shape.
    """
    limit = int(jnp.iinfo(dtype).max)
    most = limit if most is None else most
    of_shape = f", of shape {shape}" if shape else ", a single one" if shape == () else ""
    accepted = f"whole numbers from 0 to {most}{of_shape}"
    if isinstance(value, (list, tuple)) and any(isinstance(n, jax.core.Tracer) for n in value):
        value = jnp.stack([jnp.asarray(n) for n in value])
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    fits = shape is None or array.shape == shape
    if not fits or not np.issubdtype(array.dtype, np.integer):
        raise refusal(name, value, accepted)
    same_type = array.dtype == dtype
    traced = isinstance(array, jax.core.Tracer)
    if not traced and array.size and not (same_type and most == limit):
        numbers = np.asarray(array)
        if numbers.min() < 0 or numbers.max() > most:
            raise refusal(name, value, accepted)
    if traced or isinstance(array, jax.Array):
        return array.astype(dtype)
    return jnp.asarray(array.astype(dtype))
