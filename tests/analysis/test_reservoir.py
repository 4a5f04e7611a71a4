"""The reservoir score: noise is at its floor, a rule above it; its algebra is that of the SVD."""

import jax
import numpy as np
import pytest

from epx.analysis import reservoir
from epx.generators.automata import eca
from epx.types import Refusal


def rows_of_a_ring(rule, width=32, rows=128):
    ring = np.random.default_rng(0).integers(0, 2, width).astype(np.int32)
    step = jax.jit(lambda state: eca.evolve(state, rule, 1))
    states = [ring]
    for _ in range(rows - 1):
        states.append(np.asarray(step(states[-1])))
    return np.concatenate(states)


def noise(vocab, count=4096):
    return np.random.default_rng(1).integers(0, vocab, count)


def test_the_score_is_that_of_the_singular_values_of_the_readout():
    tokens, vocab = noise(3, 400), 3
    layers = reservoir._network(np.random.default_rng(0), vocab)
    x = reservoir._features(layers, tokens, vocab)[: -reservoir.HORIZON].astype(np.float64)
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    ahead = [tokens[h : h + len(x)] for h in range(1, reservoir.HORIZON + 1)]
    y = np.concatenate([np.eye(vocab)[column] for column in ahead], axis=1)
    ridge = reservoir.RIDGE * np.eye(x.shape[1])
    readout = np.linalg.solve(x.T @ x / len(x) + ridge, x.T @ y / len(x))
    expected = 0.5 * np.log2(1 + np.linalg.svd(readout, compute_uv=False) ** 2).sum()
    assert reservoir._bits(layers, tokens, vocab) == pytest.approx(expected, rel=1e-3)


def test_features_see_43_tokens_and_none_that_follow():
    tokens = noise(2, 256)
    layers = reservoir._network(np.random.default_rng(0), 2)
    before = reservoir._features(layers, tokens, 2)
    tokens[100] ^= 1
    changed = np.flatnonzero((reservoir._features(layers, tokens, 2) != before).any(1))
    assert changed.min() == 100 and changed.max() == 142


@pytest.mark.parametrize("vocab", [2, 16])
def test_noise_is_at_its_floor(vocab):
    found = reservoir.score(noise(vocab), vocab)
    assert abs(found.above_floor_bits) < 0.1 * found.floor_bits


def test_an_automaton_is_above_it():
    for rule in (15, 30, 54, 110):
        found = reservoir.score(rows_of_a_ring(rule), 2)
        assert found.above_floor_bits > found.floor_bits, rule


def test_it_is_a_function_of_tokens_and_seed():
    tokens = noise(2, 500)
    assert reservoir.score(tokens, 2) == reservoir.score(tokens, 2)
    assert reservoir.score(tokens, 2, seed=1) != reservoir.score(tokens, 2)


def test_too_few_tokens_are_refused():
    with pytest.raises(Refusal, match="tokens=127: accepted at least 128 tokens"):
        reservoir.score(noise(2, 127), 2)
