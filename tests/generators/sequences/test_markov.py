"""Markov chains with hidden rows: floors of the paper, the exact predictor, what is given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.sequences import markov
from epx.streams import example_key

KEY = jax.random.key(3)


def examples(generator, count):
    draw = jax.vmap(lambda i: generator.example(example_key(KEY, i), i))
    return jax.jit(draw)(jnp.arange(count))


def floor_bits(generator, count):
    """Mean and standard error of the oracle's bits in an example."""
    nats_BxT = jax.jit(jax.vmap(generator.oracle_nats))(examples(generator, count))
    bits_B = np.asarray(nats_BxT, np.float64).sum(1) / np.log(2)
    return bits_B.mean(), bits_B.std() / np.sqrt(count)


@pytest.mark.parametrize("hidden, published", [(0, 1266.9), (2, 1286), (8, 1347)])
def test_the_floors_are_those_of_the_paper(hidden, published):
    """Table C.5, to 0.3 %: bits of 512 states, of which 511 are coded here."""
    generator = markov.make(jax.random.key(0), states=8, hidden=hidden, length=512)
    mean, error = floor_bits(generator, 1000)
    assert abs(512 / 511 * mean - published) < 0.003 * published + 2 * error


@pytest.mark.parametrize("states", [2, 3, 8])
def test_a_row_has_the_entropy_of_the_flat_dirichlet_law(states):
    """Sum of 1/k from 2 to V: the mean of -p ln p over rows, here of uniform rows."""
    generator = markov.make(jax.random.key(0), states=states, hidden=0, length=2)
    log_BxVxV = np.asarray(examples(generator, 4000).side)[:, 1 : 1 + states]
    p_BxVxV = np.exp(log_BxVxV)
    np.testing.assert_allclose(p_BxVxV.sum(-1), 1, atol=1e-5)
    row_nats = -(p_BxVxV * log_BxVxV).sum(-1).mean(1)
    error = row_nats.std() / np.sqrt(len(row_nats))
    assert abs(row_nats.mean() - markov.mean_row_nats(states)) < 4 * error


def test_the_given_rows_are_those_of_the_chain():
    """The frequencies of a long sequence are the given probabilities; the others are zeros."""
    generator = markov.make(jax.random.key(1), states=4, hidden=2, length=20_000)
    example = generator.example(jax.random.key(5), 0)
    first, tokens = 3, np.asarray(example.tokens_T)
    assert tokens[0] == 4 and tokens[1:first].tolist() == generator.visible_N.tolist()
    assert not np.delete(np.asarray(example.side), [1, 2], axis=0).any()
    path = tokens[first:]
    for place in (1, 2):
        following = path[1:][path[:-1] == tokens[place]]
        p_V = np.exp(np.asarray(example.side)[place])
        seen_V = np.bincount(following, minlength=4) / len(following)
        assert np.abs(seen_V - p_V).max() < 4 * np.sqrt(0.25 / len(following))


def test_the_first_state_has_the_stationary_law():
    """That of a high power of the chain, whose rows are all given here."""
    generator = markov.make(jax.random.key(1), states=3, hidden=0, length=2)
    drawn = examples(generator, 20_000)
    p_BxVxV = np.exp(np.asarray(drawn.side, np.float64)[:, 1:4])
    power = np.linalg.matrix_power(p_BxVxV, 256)[:, 0]
    starts = np.eye(3)[np.asarray(drawn.tokens_T)[:, 4]]
    residual = (starts - power).mean(0)
    deviation = np.sqrt((power * (1 - power)).mean(0) / len(power))
    assert (np.abs(residual) < 4 * deviation).all()


def test_hidden_rows_are_priced_by_the_rule_of_succession():
    generator = markov.make(jax.random.key(0), states=2, hidden=2, length=6)
    tokens_T = jnp.array([2, 0, 1, 0, 1, 1, 0], jnp.int32)
    example = markov.Example(tokens_T, jnp.arange(7) > 1, jnp.zeros((7, 2)))
    # Pairs 01 10 01 11 10: (0+1)/(0+2), the same, (1+1)/(1+2), (0+1)/(1+2), (1+1)/(2+2).
    p = [1 / 2, 1 / 2, 2 / 3, 1 / 3, 1 / 2]
    np.testing.assert_allclose(np.exp(-generator.oracle_nats(example)[2:]), p, rtol=1e-6)


def test_which_rows_are_visible_is_drawn_once():
    drawn = {
        tuple(markov.make(jax.random.key(seed), 8, hidden=6, length=4).visible_N.tolist())
        for seed in range(8)
    }
    assert len(drawn) > 3 and all(len(set(pair)) == 2 for pair in drawn)


def test_an_example_is_readable():
    generator = markov.make(jax.random.key(0), states=3, hidden=1, length=4)
    shown = "".join(generator.symbols(np.array([3, 0, 2, 1, 1, 0, 2])))
    assert shown == "⊢ac\nbbac"
