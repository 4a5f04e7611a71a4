"""Chaotic maps and the flow of Lorenz in whole numbers, the same on every machine.

Rounding errors of a chaotic system grow by a factor e in every Lyapunov time, so that floating
point gives another orbit on every machine. Here the state is in machine words and every operation
is exact or rounds down.
"""

import jax
import jax.numpy as jnp

# The state of the flow is in units of 2^-24, so that an int32 reaches from -128 to 128.
UNIT = 2**24
# Steps in a unit of time of the flow. A power of two, so that a step multiplies by shifts.
STEPS_PER_TIME = 128
# The largest Lyapunov exponent of the flow, nats per unit of time (Sprott 2003).
LORENZ_RATE_NATS = 0.9056


def lorenz(state_3: jax.Array, steps: int) -> jax.Array:
    """The state (x, y, z) of the flow of Lorenz after `steps` steps of Runge and Kutta.

        x' = 10 (y - x)      y' = x (28 - z) - y      z' = x y - 8/3 z       (Lorenz 1963)

    Args:
      state_3: int32 in multiples of 1 / UNIT, |x|, |y| and |z| below 64.
      steps: of length 1 / STEPS_PER_TIME.
    """
    return jax.lax.fori_loop(0, steps, lambda _, state: _runge_kutta(state), state_3)


def _runge_kutta(state_3: jax.Array) -> jax.Array:
    first = _change(state_3)
    second = _change(state_3 + (first >> 1))
    third = _change(state_3 + (second >> 1))
    fourth = _change(state_3 + third)
    return state_3 + _product(first + 2 * (second + third) + fourth, jnp.int32(2**32 // 6))


def _change(state_3: jax.Array) -> jax.Array:
    """The derivative times the length of a step, 1/128."""
    x, y, z = state_3
    # The product of two states is (a b UNIT^2) / 2^32 = a b UNIT / 256; twice that is for a step.
    left = jnp.stack([y - x, x, x, z])
    right = jnp.stack([jnp.int32(10 * 2**25), 28 * UNIT - z, y, jnp.int32(round(8 / 3 * 2**25))])
    flow, lift, turn, decay = _product(left, right)
    return jnp.stack([flow, 2 * lift - (y >> 7), 2 * turn - decay])


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """floor(a b / 2^32) of int32, by products of halves (Warren, Hacker's Delight, 8-2)."""
    a_high, a_low = a >> 16, a & 0xFFFF
    b_high, b_low = b >> 16, b & 0xFFFF
    low = (a_low.astype(jnp.uint32) * b_low.astype(jnp.uint32) >> 16).astype(jnp.int32)
    middle = a_high * b_low + low
    other = a_low * b_high + (middle & 0xFFFF)
    return a_high * b_high + (middle >> 16) + (other >> 16)


def cat(state_2: jax.Array, steps: int) -> jax.Array:
    """The cat map (x, y) -> (2x + y, x + y) of the torus, uint32 in multiples of 2^-32.

    It keeps the uniform law. Its rate is ln((3 + sqrt 5) / 2) nats per step (Arnold and Avez 1968).
    """

    def step(_, state):
        total = state[0] + state[1]
        return jnp.stack([state[0] + total, total])

    return jax.lax.fori_loop(0, steps, step, state_2)


def logistic(x: jax.Array, steps: int) -> jax.Array:
    """The logistic map x -> 4x (1 - x), uint32 in multiples of 2^-32. Its rate is ln 2 nats."""

    def step(_, x):
        # 4x (1 - x) = 1 - (1 - 2x)^2, where the distance |1 - 2x| is below 1: 31 bits of it.
        distance = jnp.where(x >> 31 == 1, x, ~x) & 0x7FFFFFFF
        signed = distance.astype(jnp.int32)
        return ~(_product(signed, signed).astype(jnp.uint32) << 2)

    return jax.lax.fori_loop(0, steps, step, x)
