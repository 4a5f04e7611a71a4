"""Chaotic maps in whole numbers: exact values, conjugacies, invariants, published rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.kernels import maps

UNIT = maps.UNIT
RNG = np.random.default_rng(0)


def flow(state, steps):
    """The flow from a state of numbers, as numbers."""
    return np.asarray(jax.jit(maps.lorenz)(jnp.int32(np.asarray(state) * UNIT), steps)) / UNIT


def derivative(state):
    x, y, z = state
    return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def runge_kutta(state, length, steps):
    for _ in range(steps):
        k1 = derivative(state)
        k2 = derivative(state + length / 2 * k1)
        k3 = derivative(state + length / 2 * k2)
        k4 = derivative(state + length * k3)
        state = state + length / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return state


def test_a_product_is_exact():
    a, b = RNG.integers(-(2**31), 2**31, (2, 10_000))
    edges = np.array([-(2**31), -1, 0, 1, 2**31 - 1])
    a = np.concatenate([a, np.repeat(edges, 5)])
    b = np.concatenate([b, np.tile(edges, 5)])
    np.testing.assert_array_equal(maps._product(jnp.int32(a), jnp.int32(b)), (a * b) >> 32)


@pytest.mark.parametrize("state", [[1, 2, 20], [-20, 20, 0], [20, 20, 40], [0.1, 0, 27]])
def test_the_flow_agrees_with_floating_point(state):
    """For a unit of time, in which an error of a step, 1e-7, grows up to ten thousand times."""
    state = np.array(state, float)
    expected = runge_kutta(state, 1 / maps.STEPS_PER_TIME, maps.STEPS_PER_TIME)
    np.testing.assert_allclose(flow(state, maps.STEPS_PER_TIME), expected, atol=2e-3)


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_flow_rests_at_its_fixed_points(sign):
    """(+-sqrt(72), +-sqrt(72), 27), which repel at a rate of only 0.094 (Lorenz 1963)."""
    point = np.array([sign * np.sqrt(72), sign * np.sqrt(72), 27])
    np.testing.assert_allclose(flow(point, 10 * maps.STEPS_PER_TIME), point, atol=1e-3)


def test_the_rate_of_the_flow_is_the_published_one():
    """Neighbours 2^-8 apart, over 6 units of time from 2000 points of the attractor: the mean
    logarithm of their growth. The finite size leaves 10 %."""
    start = jnp.int32((RNG.uniform(-1, 1, (2000, 3)) * 10 + [0, 0, 25]) * UNIT)
    run = jax.jit(jax.vmap(maps.lorenz, (0, None)))
    place = run(start, 10 * maps.STEPS_PER_TIME)
    near, total, periods = place + jnp.array([2**16, 0, 0]), 0.0, 24
    for _ in range(periods):
        place, near = run(place, 32), run(near, 32)
        gap = np.asarray(near - place, float)
        length = np.linalg.norm(gap, axis=1, keepdims=True)
        total += np.log(length / 2**16).mean()
        near = place + jnp.int32(np.round(gap / length * 2**16))
    # The first periods turn the neighbours into the direction that grows.
    assert total / (periods * 32 / maps.STEPS_PER_TIME) == pytest.approx(0.9056, rel=0.1)


def test_the_cat_map_multiplies_by_fibonacci_numbers():
    """Its n-th power is [[F(2n+1), F(2n)], [F(2n), F(2n-1)]], modulo 2^32."""
    x, y = (int(n) for n in RNG.integers(0, 2**32, 2))
    fibonacci = [0, 1]
    for _ in range(200):
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    for n in (1, 2, 7, 50, 100):
        got = maps.cat(jnp.array([x, y], jnp.uint32), n).tolist()
        a, b, c = fibonacci[2 * n + 1], fibonacci[2 * n], fibonacci[2 * n - 1]
        assert got == [(a * x + b * y) % 2**32, (b * x + c * y) % 2**32]


def test_the_logistic_map_doubles_an_angle():
    """x = sin^2(a) becomes sin^2(2a)."""
    angle = RNG.uniform(0, np.pi / 2, 1000)
    x = jnp.uint32(np.sin(angle) ** 2 * (2**32 - 1))
    for steps in (1, 2, 5):
        got = np.asarray(maps.logistic(x, steps)) / 2**32
        np.testing.assert_allclose(got, np.sin(2**steps * angle) ** 2, atol=4**steps * 2e-9)


def test_the_logistic_map_reaches_both_ends():
    ends = jnp.array([0, 2**31, 2**32 - 1], jnp.uint32)
    got = np.asarray(maps.logistic(ends, 1)) / 2**32
    np.testing.assert_allclose(got, [0, 1, 0], atol=1e-8)
