"""Rings of cells packed into machine words, so that one operation steps up to 32 cells: equal words
of as many bits as divide the ring, the low bit of a word its first cell."""

import jax
import jax.numpy as jnp


def bits(width: int) -> int:
    """Cells in a word: the largest divisor of `width` up to 32. Widths up to 32 and multiples of 32
    are the fastest."""
    return max(size for size in range(1, 33) if width % size == 0)


def used(width: int) -> jax.Array:
    """The bits of a word that are cells, as uint32."""
    return jnp.uint32((1 << bits(width)) - 1)


def pack(cells_W: jax.Array) -> jax.Array:
    """uint32 words, of shape W / bits, of the 0s and 1s in the last axis; any leading axes."""
    size = bits(cells_W.shape[-1])
    cells = cells_W.reshape(*cells_W.shape[:-1], -1, size).astype(jnp.uint32)
    return (cells << jnp.arange(size, dtype=jnp.uint32)).sum(-1, dtype=jnp.uint32)


def unpack(words: jax.Array, width: int) -> jax.Array:
    """The cells that `pack` made into words, uint32."""
    places = jnp.arange(bits(width), dtype=jnp.uint32)
    return ((words[..., None] >> places) & 1).reshape(*words.shape[:-1], width)


def neighbours(words: jax.Array, width: int) -> tuple[jax.Array, jax.Array]:
    """For every cell the one before it and the one after it on the ring, packed like the cells."""
    last = bits(width) - 1
    left = ((words << 1) | (jnp.roll(words, 1, axis=-1) >> last)) & used(width)
    right = (words >> 1) | ((jnp.roll(words, -1, axis=-1) << last) & used(width))
    return left, right
