"""Chaotic systems as bits: what is known exactly of each system, and where X and Y are."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.kernels import maps
from epx.generators.sequences import lorenz
from epx.streams import example_key

KEY = jax.random.key(3)


def bits_of(generator, count):
    draw = jax.vmap(lambda i: generator.example(example_key(KEY, i), i).tokens_T)
    return np.asarray(jax.jit(draw)(jnp.arange(count)))


def fractions(bits_BxT):
    """Coordinates in [0, 1) from their bits, highest first."""
    return bits_BxT @ 0.5 ** np.arange(1, bits_BxT.shape[1] + 1)


def make(**arguments):
    return lorenz.make(jax.random.key(0), **arguments)


@pytest.mark.parametrize("time", [1.0, 3.0, 6.0, 40.0])
def test_doubling_shifts_the_bits(time):
    generator = make(system="doubling", bits=6, time=time)
    tokens_BxT = bits_of(generator, 64)
    known = max(6 - int(time), 0)
    np.testing.assert_array_equal(tokens_BxT[:, 6 - known : 6], tokens_BxT[:, 6 : 6 + known])
    example = generator.example(KEY, 0)
    nats_T = generator.oracle_nats(example)
    assert nats_T.sum() == pytest.approx((6 - known) * math.log(2))
    assert not nats_T[: 6 + known].any()
    alone = make(system="doubling", bits=6, time=time, inputs=False)
    assert alone.oracle_nats(alone.example(KEY, 0)).sum() == pytest.approx(6 * math.log(2))


def test_the_cat_map_keeps_the_uniform_law():
    alone = bits_of(make(system="cat", bits=5, time=7.0, inputs=False), 4000)
    assert np.abs(alone.mean(0) - 0.5).max() < 4 * 0.5 / np.sqrt(4000)


def test_the_logistic_map_has_the_arcsine_law():
    """After a few steps: P(x < a) = 2/pi arcsin(sqrt a); X itself is uniform."""
    tokens_BxT = bits_of(make(system="logistic", bits=10, time=20.0), 4000)
    x, y = fractions(tokens_BxT[:, :10]), fractions(tokens_BxT[:, 10:])
    for bound in (1 / 16, 1 / 4, 1 / 2, 7 / 8):
        limit = 4 * 0.5 / np.sqrt(4000)
        assert abs((x < bound).mean() - bound) < limit
        assert abs((y < bound).mean() - 2 / np.pi * np.arcsin(np.sqrt(bound))) < limit


def test_lorenz_ends_on_the_attractor():
    """Means over the attractor: <z> = 23.55 and <x^2> = <xy> = 8/3 <z> (the mean of z' is 0)."""
    tokens_BxT = bits_of(make(bits=10, time=30.0, inputs=False), 4000)
    x, y, z = (
        64 * (fractions(tokens_BxT[:, n : n + 10]) + 2**-11) - shift
        for n, shift in ((0, 32), (10, 32), (20, 0))
    )
    assert z.mean() == pytest.approx(23.55, abs=0.5)
    assert (x * y).mean() == pytest.approx(8 / 3 * z.mean(), rel=0.05)
    assert (x * x).mean() == pytest.approx((x * y).mean(), rel=0.05)
    assert abs(x).max() < 21 and abs(y).max() < 28 and z.max() < 50


def test_a_lorenz_example_is_the_flow_of_its_first_state():
    """The bits of Y are those of the flow from X, as far as the bits of X tell."""
    generator = make(bits=16, time=1.0)
    tokens_BxT = bits_of(generator, 50)
    corner = 64 * np.stack([fractions(tokens_BxT[:, n : n + 16]) for n in (0, 16, 32)], axis=1)
    state = corner + 32 / 2**16 - [32, 32, 0]
    low, high = [-20, -20, 0], [20, 20, 40]
    assert (state >= low).all() and (state <= high).all()
    run = jax.jit(jax.vmap(lambda state: maps.lorenz(state, generator.steps)))
    expected = np.asarray(run(jnp.int32(state * maps.UNIT))) / maps.UNIT
    found = 64 * np.stack([fractions(tokens_BxT[:, n : n + 16]) for n in (48, 64, 80)], axis=1)
    np.testing.assert_allclose(found - [32, 32, 0], expected, atol=0.05)


def test_the_time_of_lorenz_is_in_lyapunov_times():
    assert int(make(time=0.9056).steps) == maps.STEPS_PER_TIME


def test_an_example_is_readable():
    generator = make(system="cat", bits=2, time=1.0)
    assert "".join(generator.symbols(np.array([0, 1, 1, 1, 0, 0, 1, 0]))) == "01\n11\n00\n10\n"
