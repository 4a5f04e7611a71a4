"""Products of primes: Python's integers, trial division and enumeration."""

import collections
import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.texts import primes
from tests.params import parametrize

KEY = jax.random.key(5)
PAIRS = {2: 210, 3: 10_153, 4: 562_330, 5: 34_965_703}


def _is_prime(number):
    return number > 1 and all(number % k for k in range(2, math.isqrt(number) + 1))


def _strings(generator, count):
    keys = jax.random.split(KEY, count)
    tokens = np.asarray(jax.jit(jax.vmap(lambda key: generator.example(key, 0).tokens_T))(keys))
    return ["".join(generator.symbols(tokens_T)) for tokens_T in tokens]


def _written(p, q, digits):
    return f"{p}x{q}=" + str(p * q).zfill(2 * digits)[::-1]


@pytest.mark.parametrize("digits", PAIRS)
def test_primes_agree_with_trial_division(digits):
    drawn = np.asarray(primes.make(KEY, digits=digits).primes_N).tolist()
    assert drawn == [n for n in range(10 ** (digits - 1), 10**digits) if _is_prime(n)]
    assert math.comb(len(drawn), 2) == PAIRS[digits]


@parametrize("digits", PAIRS, gate=(2,))
def test_every_string_is_a_product(digits):
    forward, reverse = (
        primes.make(KEY, digits=digits, order=order) for order in ("forward", "reverse")
    )
    strings = _strings(forward, 100)
    for string in strings:
        p, q = map(int, string.partition("=")[0].split("x"))
        assert p < q and _is_prime(p) and _is_prime(q)
        assert string == _written(p, q, digits)
    assert [string[::-1] for string in strings] == _strings(reverse, 100)


@parametrize("digits", PAIRS, gate=(5,))
def test_the_smallest_and_the_largest_product(digits):
    generator = primes.make(KEY, digits=digits)
    for two in (generator.primes_N[:2], generator.primes_N[-2:]):
        only = dataclasses.replace(generator, primes_N=two)
        assert set(_strings(only, 5)) == {_written(*two.tolist(), digits)}


def test_pairs_are_uniform():
    """Chi-square of 21,000 draws over the 210 pairs of two digits."""
    counts = collections.Counter(_strings(primes.make(KEY, digits=2), 21_000))
    assert len(counts) == 210
    chi_square = sum((count - 100) ** 2 / 100 for count in counts.values())
    assert abs(chi_square - 209) < 4 * math.sqrt(2 * 209)


@pytest.mark.parametrize("order", ["forward", "reverse"])
@pytest.mark.parametrize(("digits", "count"), [(2, 210), (3, 40)])
def test_oracle_equals_an_enumeration(digits, count, order):
    """Each token's probability given the tokens before it, over all pairs."""
    generator = primes.make(KEY, digits=digits, order=order)
    pairs = itertools.combinations(generator.primes_N.tolist(), 2)
    step = -1 if order == "reverse" else 1
    strings = [_written(p, q, digits)[::step] for p, q in pairs]
    length = generator.spec.length
    seen = collections.Counter(string[:n] for string in strings for n in range(length + 1))
    chosen = np.random.default_rng(0).choice(strings, count, replace=False)
    for string in chosen:
        tokens_T = jnp.array(["0123456789x=".index(symbol) for symbol in string])
        nats_T = generator.oracle_nats(primes.Example(tokens_T, jnp.ones(length, bool)))
        law = [math.log(seen[string[:n]] / seen[string[: n + 1]]) for n in range(length)]
        np.testing.assert_allclose(nats_T, law, rtol=1e-6)


@pytest.mark.parametrize("digits", PAIRS)
def test_oracle_pays_the_log_of_the_number_of_pairs_in_both_orders(digits):
    for order in ("forward", "reverse"):
        generator = primes.make(KEY, digits=digits, order=order)
        for seed in range(3):
            nats_T = np.asarray(generator.oracle_nats(generator.example(jax.random.key(seed), 0)))
            np.testing.assert_allclose(nats_T.sum(dtype=float), math.log(PAIRS[digits]), rtol=1e-6)


@pytest.mark.parametrize(("order", "charged"), [("forward", 6), ("reverse", 7)])
def test_labels_come_after_the_equals_sign(order, charged):
    generator = primes.make(KEY, digits=3, order=order, coded="labels")
    example = generator.example(KEY, 0)
    symbols = np.array(generator.symbols(example.tokens_T))
    coded = "".join(symbols[np.asarray(example.coded_T)])
    assert coded == "".join(symbols).partition("=")[2] and len(coded) == charged
    assert not generator.oracle_nats(example).any(), "it follows from what stands before"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"digits": 1}, ["generator.digits=1", "from 2 to 5"]),
        ({"digits": 6}, ["generator.digits=6", "from 2 to 5"]),
        ({"order": "back"}, ["generator.order='back'", "forward, reverse"]),
        ({"coded": "half"}, ["generator.coded='half'", "labels, all"]),
    ],
)
def test_primes_refuses_illegal_arguments(arguments, words):
    with pytest.raises(ValueError) as error:
        primes.make(KEY, **arguments)
    assert all(word in str(error.value) for word in words), error.value
