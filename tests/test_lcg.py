"""Linear congruential generators: Python's own integers, and periods known since Knuth."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators import lcg

KEY = jax.random.key(5)


def slow_tokens(seed: int, multiplier: int, increment: int, low_bit: int, bits: int, length: int):
    tokens, state = [], seed
    for _ in range(length):
        state = (multiplier * state + increment) % 2**32
        tokens.append(state // 2**low_bit % 2**bits)
    return tokens


@pytest.mark.parametrize(
    "arguments",
    [
        dict(multiplier=1664525, increment=1013904223, low_bit=16, bits=1, length=40),
        dict(multiplier=1664525, increment=1013904223, low_bit=24, bits=8, length=40),
        dict(multiplier=2**32 - 5, increment=2**32 - 1, low_bit=0, bits=8, length=40),
        dict(multiplier=69069, increment=0, low_bit=31, bits=1, length=40),
    ],
)
def test_agrees_with_python_integers(arguments):
    world = lcg.make(KEY, **arguments)
    for example in range(5):
        key = jax.random.key(example)
        seed = int(jax.random.bits(key, (), jnp.uint32))
        assert world.example(key, 0).tokens_T.tolist() == slow_tokens(seed, **arguments)


@pytest.mark.parametrize("low_bit", [0, 1, 2, 5, 8])
def test_bit_k_has_period_2_to_the_k_plus_1(low_bit):
    period = 2 ** (low_bit + 1)
    bits = np.asarray(lcg.make(KEY, low_bit=low_bit, length=4 * period).example(KEY, 0).tokens_T)
    np.testing.assert_array_equal(bits[period:], bits[:-period])
    # Half a period later the bit is the opposite, so no shorter period divides it.
    np.testing.assert_array_equal(bits[period // 2 :], 1 - bits[: -period // 2])


@pytest.mark.parametrize("low_bit, bits", [(0, 1), (3, 2), (8, 1), (0, 8), (12, 4), (16, 2)])
def test_a_long_example_costs_the_bits_of_its_seed(low_bit, bits):
    world = lcg.make(
        KEY, low_bit=low_bit, bits=bits, length=2 ** (low_bit + 1) if low_bit < 6 else 96
    )
    nats_T = world.oracle_nats(world.example(KEY, 0))
    assert nats_T.dtype == jnp.float32
    assert float(nats_T.sum()) == pytest.approx((low_bit + bits) * math.log(2), rel=1e-5)
    assert float(nats_T[0]) == pytest.approx(bits * math.log(2), rel=1e-5)


@pytest.mark.parametrize("multiplier, increment", [(5, 3), (6, 4), (4, 0)])
def test_oracle_counts_the_seeds_that_agree(multiplier, increment):
    law = dict(multiplier=multiplier, increment=increment, low_bit=3, bits=2, length=7)
    world = lcg.make(KEY, **law)
    tokens = world.example(KEY, 0).tokens_T.tolist()
    stories = [slow_tokens(seed, **law) for seed in range(2**5)]
    agreeing = [sum(story[:t] == tokens[:t] for story in stories) for t in range(8)]
    expected = [math.log(before / now) for before, now in itertools.pairwise(agreeing)]
    np.testing.assert_allclose(world.oracle_nats(world.example(KEY, 0)), expected, atol=1e-6)


def test_oracle_says_where_it_cannot_enumerate():
    example = lcg.make(KEY, low_bit=17).example(KEY, 0)
    assert lcg.make(KEY, low_bit=17).oracle_nats(example) is not None
    assert lcg.make(KEY, low_bit=18).oracle_nats(example) is None


def test_members_may_show_different_bits():
    worlds = [lcg.make(KEY, low_bit=low_bit) for low_bit in (0, 12, 31)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *worlds)
    together = jax.vmap(lambda world: world.example(KEY, 0).tokens_T)(stacked)
    for world, tokens_T in zip(worlds, together):
        np.testing.assert_array_equal(tokens_T, world.example(KEY, 0).tokens_T)


@pytest.mark.parametrize(
    "wrong",
    [
        dict(multiplier=2**32),
        dict(increment=-1),
        dict(bits=0),
        dict(bits=9),
        dict(low_bit=32),
        dict(low_bit=25, bits=8),
        dict(length=0),
    ],
)
def test_illegal_arguments_are_named(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"generator.{name}={value!r}: accepted"):
        lcg.make(KEY, **wrong)
