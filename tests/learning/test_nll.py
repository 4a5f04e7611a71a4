"""Prices in nats, against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.learning import nll


def log_softmax_float64(logits):
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def random_logits(seed, scale=3.0, shape=(4, 6, 7)):
    return jnp.asarray(np.random.default_rng(seed).normal(0, scale, shape), jnp.float32)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_nats_equal_float64(dtype):
    logits = random_logits(0).astype(dtype)
    tokens = np.random.default_rng(1).integers(0, 7, (4, 6))
    expected = -np.take_along_axis(
        log_softmax_float64(logits.astype(jnp.float32)), tokens[..., None], -1
    )[..., 0]
    actual = nll.nats(logits, jnp.asarray(tokens))
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("vocab", [1, 2, 64, 1000])
def test_uniform_costs_log_vocab(vocab):
    nats = nll.nats(jnp.full((2, 3, vocab), 5.0), jnp.zeros((2, 3), int))
    np.testing.assert_allclose(nats, np.log(vocab), rtol=1e-6)


def test_a_token_is_possible_unless_its_probability_is_0():
    logits = jnp.array([[0.0, -jnp.inf, -80.0], [-jnp.inf, 5.0, -jnp.inf]])
    found = [nll.possible(logits, jnp.full(2, token)).tolist() for token in range(3)]
    assert found == [[True, False], [False, True], [True, False]]


def test_kl_equals_float64():
    p, q = random_logits(2), random_logits(3)
    log_p, log_q = log_softmax_float64(p), log_softmax_float64(q)
    expected = (np.exp(log_p) * (log_p - log_q)).sum(-1)
    np.testing.assert_allclose(nll.kl_nats(p, q), expected, rtol=1e-5)


@pytest.mark.parametrize("step", [1e-1, 1e-2, 1e-3])
def test_a_small_kl_keeps_its_digits(step):
    p = random_logits(4, 1.0, (512, 16))
    q = p + step * random_logits(5, 1.0, (512, 16))
    log_p, log_q = log_softmax_float64(p), log_softmax_float64(q)
    expected = (np.exp(log_p) * (log_p - log_q)).sum(-1)
    np.testing.assert_allclose(nll.kl_nats(p, q).sum(), expected.sum(), rtol=2e-3)


def test_kl_of_identical_logits_is_exactly_zero():
    logits = random_logits(6)
    assert np.all(np.asarray(nll.kl_nats(logits, logits)) == 0)


@pytest.mark.parametrize("step", [1e-7, 1e-5, 1e-2, 1.0, 100.0])
def test_kl_is_never_negative(step):
    p = random_logits(7, 1.0, (500, 9))
    kl = np.asarray(nll.kl_nats(p, p + step * random_logits(8, 1.0, (500, 9))))
    assert np.isfinite(kl).all() and (kl >= 0).all()


def test_kl_with_impossible_tokens():
    p, q = jnp.array([0.0, 0.0, -jnp.inf]), jnp.array([0.0, -jnp.inf, -jnp.inf])
    assert nll.kl_nats(p, q) == jnp.inf
    np.testing.assert_allclose(nll.kl_nats(q, p), np.log(2), rtol=1e-6)


def test_masked_prices_reach_neither_sum_nor_gradient():
    nats, coded = jnp.array([[1.0, jnp.nan], [jnp.inf, 2.0]]), jnp.array([[1, 0], [0, 1]], bool)
    total, gradient = jax.value_and_grad(lambda x: nll.coded_sum(x, coded, 0).sum())(nats)
    assert total == 3.0
    np.testing.assert_array_equal(gradient, coded.astype(np.float32))


def test_an_impossible_masked_token_does_not_poison_the_gradient():
    logits = jnp.array([[[0.0, -jnp.inf], [0.0, 1.0]]])
    tokens, coded = jnp.array([[1, 1]]), jnp.array([[False, True]])
    gradient = jax.grad(lambda x: nll.coded_sum(nll.nats(x, tokens), coded, 1)[0])(logits)
    assert np.isfinite(np.asarray(gradient)).all()


@pytest.mark.parametrize("vocab", [2, 3, 114])
def test_a_long_sum_of_equal_prices_does_not_drift(vocab):
    prices = nll.nats(jnp.zeros((1, 100_003, vocab)), jnp.zeros((1, 100_003), jnp.int32))
    total = nll.pairwise_sum(prices, axis=1)
    np.testing.assert_allclose(total, 100_003 * np.log(vocab), rtol=2e-7)
    running = np.cumsum(np.asarray(prices)[0], dtype=np.float32)[-1]
    assert abs(running / total[0] - 1) > 1e-6, "one after the other they drift"


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1000])
def test_pairwise_sum_adds_everything_once(count):
    x = np.arange(2 * count, dtype=np.float32).reshape(2, count)
    np.testing.assert_array_equal(nll.pairwise_sum(jnp.asarray(x), axis=1), x.sum(1))
    np.testing.assert_array_equal(nll.pairwise_sum(jnp.asarray(x.T), axis=0), x.sum(1))
