"""Packed rings against plain arrays: numpy's roll is the outside truth."""

import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.kernels import bitpacking

WIDTHS = [1, 2, 3, 16, 31, 32, 33, 37, 64, 96, 100]


def cells(*shape):
    return np.random.default_rng(0).integers(0, 2, shape, dtype=np.uint32)


@pytest.mark.parametrize("width", WIDTHS)
def test_words_hold_the_cells_lowest_bit_first(width):
    rows = cells(5, width)
    words = np.asarray(bitpacking.pack(jnp.asarray(rows)))
    size = bitpacking.bits(width)
    assert words.shape == (5, width // size)
    expected = [sum(int(bit) << n for n, bit in enumerate(row[:size])) for row in rows]
    assert words[:, 0].tolist() == expected
    np.testing.assert_array_equal(bitpacking.unpack(jnp.asarray(words), width), rows)


def test_words_are_as_long_as_divides_the_ring():
    assert [bitpacking.bits(width) for width in WIDTHS] == [1, 2, 3, 16, 31, 32, 11, 1, 32, 32, 25]


@pytest.mark.parametrize("width", WIDTHS)
def test_neighbours_are_those_on_the_ring(width):
    rows = cells(5, width)
    words = bitpacking.pack(jnp.asarray(rows))
    left, right = bitpacking.neighbours(words, width)
    np.testing.assert_array_equal(bitpacking.unpack(left, width), np.roll(rows, 1, axis=1))
    np.testing.assert_array_equal(bitpacking.unpack(right, width), np.roll(rows, -1, axis=1))
    # No bit above the cells: words can be compared and counted.
    assert not (np.asarray(left | right) & ~np.asarray(bitpacking.used(width))).any()
