"""Sampling: what comes out is distributed as the observer says, token after token."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from epx.learning import sampling
from epx.observers import counts
from tests import linear

KEY = jax.random.key(3)
complete = jax.jit(sampling.complete, static_argnums=0)


@pytest.fixture(scope="module")
def learner():
    """One whose predictions are far from uniform and depend on what came before."""
    observer = linear.make(vocab=5, length=12)
    leaves, structure = jax.tree.flatten(observer.init(KEY))
    keys = jax.random.split(KEY, len(leaves))
    noisy = [leaf + 0.3 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys)]
    return observer, jax.tree.unflatten(structure, noisy)


def draw(learner, batch, given_T, length=12, seed=0):
    observer, params = learner
    tokens_BxT = jnp.broadcast_to(jnp.arange(length) % 5, (batch, length)).astype(jnp.int32)
    keys_B = jax.random.split(jax.random.key(seed), batch)
    given_BxT = jnp.broadcast_to(given_T, (batch, length))
    return tokens_BxT, complete(observer, params, keys_B, tokens_BxT, given_BxT)


def test_given_tokens_are_kept(learner):
    given_T = np.arange(12) % 3 == 0
    tokens_BxT, drawn_BxT = draw(learner, 64, given_T)
    assert drawn_BxT.dtype == jnp.int32 and drawn_BxT.shape == (64, 12)
    np.testing.assert_array_equal(drawn_BxT[:, given_T], tokens_BxT[:, given_T])
    assert len(np.unique(np.asarray(drawn_BxT), axis=0)) > 32


def test_every_token_follows_the_full_prediction(learner):
    """The cache agrees with a full forward pass: the same key and those logits draw the same."""
    observer, params = learner
    _, drawn_BxT = draw(learner, 16, np.zeros(12, bool))
    logits_BxTxV = observer.logits(params, drawn_BxT, None)
    for example, key in enumerate(jax.random.split(jax.random.key(0), 16)):
        again = [
            int(jax.random.categorical(jax.random.fold_in(key, t), logits_BxTxV[example, t]))
            for t in range(12)
        ]
        assert drawn_BxT[example].tolist() == again


def test_frequencies_are_the_probabilities(learner):
    observer, params = learner
    given_T = np.arange(12) != 7
    tokens_BxT, drawn_BxT = draw(learner, 20_000, given_T)
    logits_V = np.asarray(observer.logits(params, tokens_BxT[:1], None)[0, 7], np.float64)
    expected_V = special.softmax(logits_V)  # float64, as they have to add up to the number drawn
    seen_V = np.bincount(np.asarray(drawn_BxT[:, 7]), minlength=5)
    assert np.ptp(expected_V) > 0.1
    assert stats.chisquare(seen_V, 20_000 * expected_V).pvalue > 1e-3


def test_an_example_does_not_depend_on_its_batch(learner):
    observer, params = learner
    tokens_BxT = jnp.zeros((6, 12), jnp.int32)
    keys_B, given_BxT = jax.random.split(KEY, 6), jnp.zeros((6, 12), bool)
    together = complete(observer, params, keys_B, tokens_BxT, given_BxT)
    for n in range(6):
        one = slice(n, n + 1)
        alone = complete(observer, params, keys_B[one], tokens_BxT[one], given_BxT[one])
        np.testing.assert_array_equal(alone[0], together[n])


def test_a_counter_goes_on_as_it_counted():
    """After 0 came 1 and after 1 came 0, a thousand times."""
    observer = counts.make(vocab=2, length=8, order=1)
    alternating_BxT = jnp.tile(jnp.arange(8) % 2, (250, 1)).astype(jnp.int32)
    params, _ = observer.update(
        observer.init(KEY), alternating_BxT, jnp.ones_like(alternating_BxT, bool)
    )
    given_BxT = jnp.broadcast_to(jnp.arange(8) < 1, (20, 8))
    keys_B = jax.random.split(KEY, 20)
    drawn_BxT = complete(observer, params, keys_B, alternating_BxT[:20], given_BxT)
    assert (np.asarray(drawn_BxT) == np.arange(8) % 2).mean() > 0.97
