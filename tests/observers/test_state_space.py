"""The recurrence of the state space: by hand, and both scans against each other."""

import jax
import jax.numpy as jnp
import numpy as np

from epx.observers import state_space

RNG = np.random.default_rng(0)
A = jnp.asarray(RNG.uniform(0.5, 1, (2, 9, 3)), jnp.float32)
ENTERING = jnp.asarray(RNG.normal(size=(2, 9, 3)), jnp.float32)
FIRST = jnp.asarray(RNG.normal(size=(2, 3)), jnp.float32)


def test_both_scans_are_the_recurrence():
    hidden, expected = np.asarray(FIRST, np.float64), []
    for t in range(9):
        hidden = np.asarray(A[:, t]) * hidden + np.asarray(ENTERING[:, t])
        expected.append(hidden)
    for scan in (state_space.in_order, state_space.in_pairs, state_space.recur):
        found = jax.jit(scan)(A, ENTERING, FIRST)
        np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-5, atol=1e-6)


def test_both_scans_have_the_same_gradient():
    def total(scan):
        weights = jnp.cos(jnp.arange(A.size, dtype=jnp.float32)).reshape(A.shape)
        loss = lambda *arguments: (weights * scan(*arguments)).sum()  # noqa: E731
        return jax.grad(loss, argnums=(0, 1, 2))(A, ENTERING, FIRST)

    for ours, theirs in zip(total(state_space.in_order), total(state_space.in_pairs)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_half_open_gate_keeps_most_of_the_state():
    decay = state_space._slow_to_fast(jax.random.key(0), (1000,))
    kept = np.exp(-state_space.SHARPNESS * np.log1p(np.exp(np.asarray(decay))) / 2)
    assert 0.899 < kept.min() < 0.91 and 0.99 < kept.max() < 0.9995
