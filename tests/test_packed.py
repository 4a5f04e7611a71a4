"""Packed rings against plain arrays: numpy's roll is the outside truth."""

import jax.numpy as jnp
import numpy as np
import pytest

from epx import packed

WIDTHS = [1, 2, 3, 16, 31, 32, 33, 37, 64, 96, 100]


def cells(*shape):
    return np.random.default_rng(0).integers(0, 2, shape, dtype=np.uint32)


@pytest.mark.parametrize("width", WIDTHS)
def test_words_hold_the_cells_lowest_bit_first(width):
    rows = cells(5, width)
    words = np.asarray(packed.pack(jnp.asarray(rows)))
    size = packed.bits(width)
    assert words.shape == (5, width // size)
    expected = [sum(int(bit) << n for n, bit in enumerate(row[:size])) for row in rows]
    assert words[:, 0].tolist() == expected
    np.testing.assert_array_equal(packed.unpack(jnp.asarray(words), width), rows)


def test_words_are_as_long_as_divides_the_ring():
    assert [packed.bits(width) for width in WIDTHS] == [1, 2, 3, 16, 31, 32, 11, 1, 32, 32, 25]


@pytest.mark.parametrize("width", WIDTHS)
def test_neighbours_are_those_on_the_ring(width):
    rows = cells(5, width)
    words = packed.pack(jnp.asarray(rows))
    left, right = packed.neighbours(words, width)
    np.testing.assert_array_equal(packed.unpack(left, width), np.roll(rows, 1, axis=1))
    np.testing.assert_array_equal(packed.unpack(right, width), np.roll(rows, -1, axis=1))
    # No bit above the cells: words can be compared and counted.
    assert not (np.asarray(left | right) & ~np.asarray(packed.used(width))).any()
