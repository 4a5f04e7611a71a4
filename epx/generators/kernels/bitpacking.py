"""Rings of cells packed into machine words, so that one operation updates up to 32 cells.

All words of a ring hold the same number of cells; the lowest bit of a word is its first cell.
"""

import jax
import jax.numpy as jnp

from epx.generators.kernels.words import as_words
from epx.types import refusal, require_whole

MAX_WIDTH = 2**31 - 1  # the largest int32 index


def bits(width: int) -> int:
    """Cells in a word: the largest divisor of `width` up to 32.

    Widths up to 32 and multiples of 32 are fastest.
    """
    require_whole("width", width, 1, MAX_WIDTH)
    return max(size for size in range(1, 33) if width % size == 0)


def used(width: int) -> jax.Array:
    """The bits of a word that are cells, as uint32."""
    return jnp.uint32((1 << bits(width)) - 1)


def pack(cells_W: jax.Array) -> jax.Array:
    """The cells of the last axis (0s and 1s, or booleans) as W / bits words, uint32.

    Raises:
      ValueError: other numbers, or no cells.
    """
    if getattr(cells_W, "dtype", None) != jnp.bool_:
        cells_W = as_words("cells_W", cells_W, jnp.uint32, most=1)
    if cells_W.ndim == 0:
        raise refusal("cells_W", cells_W, "an array of at least one axis")
    size = bits(cells_W.shape[-1])
    cells = cells_W.reshape(*cells_W.shape[:-1], -1, size).astype(jnp.uint32)
    return (cells << jnp.arange(size, dtype=jnp.uint32)).sum(-1, dtype=jnp.uint32)


def unpack(words: jax.Array, width: int) -> jax.Array:
    """The cells of words made by `pack`, uint32."""
    words = as_words("words", words, jnp.uint32)
    places = jnp.arange(bits(width), dtype=jnp.uint32)
    return ((words[..., None] >> places) & 1).reshape(*words.shape[:-1], width)


def neighbours(words: jax.Array, width: int) -> tuple[jax.Array, jax.Array]:
    """The cell before and the cell after each cell on the ring, packed like the cells."""
    words = as_words("words", words, jnp.uint32)
    last = bits(width) - 1
    left = ((words << 1) | (jnp.roll(words, 1, axis=-1) >> last)) & used(width)
    right = (words >> 1) | ((jnp.roll(words, -1, axis=-1) << last) & used(width))
    return left, right
