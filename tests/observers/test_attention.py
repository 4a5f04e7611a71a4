"""Attention and LayerNorm with gradients of their own: against plain ones, derived by JAX."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.observers.layers import attention, basic
from tests.params import parametrize


def plain(queries, keys, values):
    scores = jnp.einsum("bthd,bshd->bhts", queries, keys, preferred_element_type=jnp.float32)
    seen = jnp.tril(jnp.ones((queries.shape[1], keys.shape[1]), bool))
    weights = jax.nn.softmax(jnp.where(seen, scores, -1e30)).astype(values.dtype)
    return jnp.einsum("bhts,bshd->bthd", weights, values)


def arrays(length, dtype, heads=2, size=8):
    keys = jax.random.split(jax.random.key(length), 4)
    return [jax.random.normal(key, (2, length, heads, size)).astype(dtype) for key in keys]


@parametrize("length", [1, 2, 7, 64, 129, 256, 300, 513], gate=[1, 7, 64, 300, 513])
def test_values_and_gradients_are_those_of_plain_attention(length):
    *operands, gradient = arrays(length, jnp.float32)
    for function in (jax.jit, lambda f: f):
        wanted, pull = jax.vjp(function(plain), *operands)
        found, own_pull = jax.vjp(function(attention.causal), *operands)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)
        for own, expected in zip(own_pull(gradient), pull(gradient)):
            scale = max(np.abs(expected).max(), 1)  # a single key has a gradient of 0
            np.testing.assert_allclose(own, expected, rtol=1e-4, atol=3e-6 * scale)


def test_half_precision_is_rounded_alike():
    *operands, gradient = arrays(96, jnp.bfloat16)
    wanted, pull = jax.vjp(plain, *operands)
    found, own_pull = jax.vjp(attention.causal, *operands)
    assert found.dtype == jnp.bfloat16
    pairs = [(found, wanted), *zip(own_pull(gradient), pull(gradient))]
    for own, expected in pairs:
        assert own.dtype == expected.dtype
        own, expected = (np.asarray(leaf, np.float32) for leaf in (own, expected))
        assert np.abs(own - expected).mean() < 0.02 * np.abs(expected).mean()


def test_members_of_an_ensemble_are_mapped_over():
    *operands, _ = arrays(20, jnp.float32)
    together = [jnp.stack([leaf, 2 * leaf]) for leaf in operands]

    def loss(*operands):
        return (attention.causal(*operands) ** 2).sum()

    found = jax.vmap(jax.grad(loss, argnums=(0, 1, 2)))(*together)
    for n in range(2):
        scaled = [(n + 1) * leaf for leaf in operands]
        wanted = jax.grad(lambda *o: (plain(*o) ** 2).sum(), argnums=(0, 1, 2))(*scaled)
        for own, expected in zip(found, wanted):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(own[n], expected, rtol=1e-3, atol=3e-6 * scale)


@pytest.mark.parametrize("length", [1, 127, 128, 255, 256, 511, 512, 1024, 1025])
def test_blocks_cover_all_queries_once(length):
    found = attention.blocks(length)
    assert [n for first, last in found for n in range(first, last)] == list(range(length))
    assert len(found) <= attention.MOST_BLOCKS


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_layer_norm_and_its_gradient_are_those_of_flax(dtype):
    x = (3 + 2 * jax.random.normal(jax.random.key(0), (5, 7, 12))).astype(dtype)
    gradient = jax.random.normal(jax.random.key(1), x.shape)
    scale = jax.random.normal(jax.random.key(2), (12,))
    params = {"params": {"scale": scale}}
    flax = nn.LayerNorm(epsilon=1e-5, use_bias=False)
    wanted, pull = jax.vjp(flax.apply, params, x)
    found, own_pull = jax.vjp(basic.LayerNorm().apply, params, x)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    (of_params, of_x), (own_params, own_x) = pull(gradient), own_pull(gradient)
    assert own_x.dtype == of_x.dtype
    tolerance = 1e-4 if dtype == jnp.float32 else 2e-2
    for own, expected in (
        (own_x, of_x),
        (own_params["params"]["scale"], of_params["params"]["scale"]),
    ):
        own, expected = (np.asarray(leaf, np.float32) for leaf in (own, expected))
        np.testing.assert_allclose(own, expected, rtol=tolerance, atol=tolerance)
