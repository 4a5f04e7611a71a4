"""Linear languages: F_2 as numpy and enumeration know it."""

import collections
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.sequences import linear
from epx.streams import example_key
from tests.params import parametrize

KEY = jax.random.key(3)


inverse_of = jax.jit(linear.inverse)


def _invertible(rng, size):
    """A random matrix over F_2 whose determinant over the integers is odd."""
    while True:
        matrix = rng.integers(0, 2, (size, size))
        if round(np.linalg.det(matrix)) % 2:
            return matrix


def _example(generator, index=0):
    return generator.example(example_key(KEY, index), index)


@parametrize("size", range(1, 11), gate=(1, 2, 5, 10))
def test_inverse_against_the_adjugate(size):
    """Over F_2 an odd determinant is 1, and the inverse is the adjugate, here by numpy."""
    rng = np.random.default_rng(size)
    for _ in range(20):
        matrix = _invertible(rng, size)
        adjugate = np.linalg.inv(matrix) * np.linalg.det(matrix)
        inverse = np.asarray(inverse_of(jnp.asarray(matrix)))
        np.testing.assert_array_equal(inverse, np.rint(adjugate).astype(int) % 2)


def test_inverse_is_the_identity_with_its_matrix_and_may_be_traced():
    rng = np.random.default_rng(0)
    matrices = np.stack([_invertible(rng, 12) for _ in range(8)]).astype(np.uint8)
    inverses = np.asarray(jax.jit(jax.vmap(linear.inverse))(matrices))
    assert inverses.dtype == np.uint8
    for matrix, inverse in zip(matrices.astype(int), inverses.astype(int)):
        np.testing.assert_array_equal(matrix @ inverse % 2, np.eye(12))
        np.testing.assert_array_equal(inverse @ matrix % 2, np.eye(12))


SMALL = [
    (bits, nonzeros)
    for bits in range(2, 5)
    for nonzeros in range(bits * (bits - 1) // 2 + 1)
    if nonzeros % (2 * bits) != bits
]


LARGE = [(5, 10), (16, 12), (64, 150)]


@parametrize("bits, nonzeros", [*SMALL, *LARGE], gate=[*SMALL[::4], *LARGE])
def test_the_matrix_is_invertible_and_has_its_ones(bits, nonzeros):
    """Every number that is accepted has an invertible matrix, even for the smallest."""
    matrix = np.asarray(linear.make(KEY, bits=bits, nonzeros=nonzeros).matrix_NxN)
    assert (np.diag(matrix) == 1).all() and set(np.unique(matrix)) <= {0, 1}
    ones = (matrix - np.eye(bits, dtype=int)).sum(1)
    assert ones.sum() == nonzeros and ones.max() - ones.min() <= 1
    inverse = np.asarray(inverse_of(jnp.asarray(matrix)))
    np.testing.assert_array_equal(matrix @ inverse % 2, np.eye(bits))


@parametrize("bits", (2, 3, 4), gate=(2, 3))
def test_refused_numbers_of_ones_have_no_invertible_matrix(bits):
    """And what is accepted has one: seen in all matrices with as many ones in every row, give or
    take one."""
    for nonzeros in range(bits * (bits - 1) // 2 + 1):
        rows = [
            [
                (*ones[:row], 1, *ones[row:])
                for ones in itertools.product(range(2), repeat=bits - 1)
                if sum(ones) in (nonzeros // bits, -(-nonzeros // bits))
            ]
            for row in range(bits)
        ]
        matrices = [np.array(m) for m in itertools.product(*rows)]
        matrices = [m for m in matrices if m.sum() == bits + nonzeros]
        exists = any(round(np.linalg.det(m)) % 2 for m in matrices)
        if exists:
            linear.make(KEY, bits=bits, nonzeros=nonzeros)
        else:
            with pytest.raises(ValueError, match="but odd multiples"):
                linear.make(KEY, bits=bits, nonzeros=nonzeros)


def test_members_draw_matrices_of_their_own():
    first, again, other = (linear.make(jax.random.key(seed)).matrix_NxN for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_places_of_the_ones_are_uniform():
    """Over many matrices, every place off the diagonal holds a one equally often."""
    count, bits, nonzeros = 600, 6, 4
    keys = jax.random.split(KEY, count)
    mean = np.mean([linear.make(key, bits=bits, nonzeros=nonzeros).matrix_NxN for key in keys], 0)
    expected = nonzeros / (bits * (bits - 1))
    error = math.sqrt(expected * (1 - expected) / count)
    assert np.abs(mean[~np.eye(bits, dtype=bool)] - expected).max() < 4.5 * error


@pytest.mark.parametrize("bits", [2, 16])
def test_both_orders_hold_the_same_bits(bits):
    forward, reverse = (
        linear.make(KEY, bits=bits, nonzeros=bits // 2, order=order)
        for order in ("forward", "reverse")
    )
    matrix = np.asarray(forward.matrix_NxN)
    inverse = np.asarray(linear.inverse(forward.matrix_NxN))
    for index in range(20):
        x, y = np.split(np.asarray(_example(forward, index).tokens_T), 2)
        np.testing.assert_array_equal(y, matrix @ x % 2)
        y_first, x_last = np.split(np.asarray(_example(reverse, index).tokens_T), 2)
        np.testing.assert_array_equal(x_last, inverse @ y_first % 2)
        np.testing.assert_array_equal(x_last, x)


@pytest.mark.parametrize("order", ["forward", "reverse"])
def test_oracle_equals_an_enumeration(order):
    """All 16 examples of four bits: each token's probability given the tokens before it."""
    generator = linear.make(KEY, bits=4, nonzeros=3, order=order)
    matrix = np.asarray(generator.matrix_NxN)
    strings = []
    for x in itertools.product((0, 1), repeat=4):
        y = tuple(matrix @ x % 2)
        strings.append(x + y if order == "forward" else y + x)
    counts = collections.Counter(string[:n] for string in strings for n in range(9))
    for index in range(10):
        example = _example(generator, index)
        string = tuple(np.asarray(example.tokens_T).tolist())
        law = [math.log(counts[string[:n]] / counts[string[: n + 1]]) for n in range(8)]
        np.testing.assert_allclose(generator.oracle_nats(example), law, rtol=1e-6)
    labels = linear.make(KEY, bits=4, nonzeros=3, order=order, coded="labels")
    example = _example(labels)
    assert example.coded_T.tolist() == [False] * 4 + [True] * 4
    assert not labels.oracle_nats(example).any()


def test_the_inverse_is_denser_than_the_matrix():
    """The reason for the arrow: ones off the diagonal of 20 matrices and of their inverses."""

    def ones(bits, nonzeros):
        keys = jax.random.split(KEY, 20)
        generators = [linear.make(key, bits=bits, nonzeros=nonzeros) for key in keys]
        matrices = jnp.stack([generator.matrix_NxN for generator in generators])
        return float(jax.jit(jax.vmap(linear.inverse))(matrices).sum() / 20 - bits)

    assert ones(16, 0) == 0
    assert ones(16, 12) > 2 * 12
    assert ones(30, 40) > 5 * 40


def test_symbols_are_digits():
    assert linear.make(KEY).symbols(jnp.array([0, 1, 1])) == ["0", "1", "1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bits": 1}, ["generator.bits=1", "from 2 to 256"]),
        ({"bits": 4, "nonzeros": 7}, ["generator.nonzeros=7", "from 0 to 6: with bits=4"]),
        (
            {"bits": 9, "nonzeros": 27},
            ["generator.nonzeros=27", "0 to 36 but odd multiples of bits=9"],
        ),
        ({"order": "back"}, ["generator.order='back'", "forward, reverse"]),
        ({"coded": "half"}, ["generator.coded='half'", "labels, all"]),
    ],
)
def test_linear_refuses_illegal_arguments(arguments, words):
    with pytest.raises(ValueError) as error:
        linear.make(KEY, **arguments)
    assert all(word in str(error.value) for word in words), error.value
