"""Sources with a closed form: what they cost on average is the entropy written on paper."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.sequences import iid

KEY = jax.random.key(3)


def draw(generator: iid.Source, count: int) -> jax.Array:
    keys = jax.random.split(jax.random.key(7), count)
    return jax.jit(jax.vmap(lambda key: generator.example(key, 0)))(keys)


def entropy_nats(generator: iid.Source) -> float:
    """Of a whole example: its first token, then the rows of a stationary chain, in float64."""
    law = np.asarray(generator.initial_V, np.float64)
    rows = np.asarray(generator.transition_VxV, np.float64)
    first = -sum(p * math.log(p) for p in law if p > 0)
    rate = -sum(law[i] * p * math.log(p) for i, row in enumerate(rows) for p in row if p > 0)
    return first + ((generator.period or generator.length) - 1) * rate


@pytest.mark.parametrize(
    "arguments",
    [
        dict(law="bernoulli", p=0.1),
        dict(law="bernoulli", p=0.5),
        dict(law="bernoulli", p=0.97),
        dict(law="uniform", vocab=7),
        dict(law="repeat", vocab=5, period=3),
        dict(law="markov", vocab=2),
        dict(law="markov", vocab=6),
    ],
)
def test_mean_oracle_is_the_entropy(arguments):
    generator = iid.make(KEY, length=32, **arguments)
    examples = draw(generator, 4000)
    total = np.asarray(jax.jit(jax.vmap(generator.oracle_nats))(examples), np.float64).sum(1)
    # The floor is float32's: a uniform law has no sampling error.
    error = total.std() / len(total) ** 0.5 + 1e-6 * entropy_nats(generator)
    assert abs(total.mean() - entropy_nats(generator)) < 5 * error


@pytest.mark.parametrize(
    "arguments, nats",
    [
        (dict(law="bernoulli", p=0.25), -0.25 * math.log(0.25) - 0.75 * math.log(0.75)),
        (dict(law="bernoulli", p=0.0), 0.0),
        (dict(law="bernoulli", p=1.0), 0.0),
        (dict(law="uniform", vocab=10), math.log(10)),
        (dict(law="constant", vocab=4), 0.0),
        (dict(law="repeat", vocab=4, period=5), 0.0),
    ],
)
def test_entropy_rates_on_paper(arguments, nats):
    assert iid.make(KEY, **arguments).entropy_rate_nats() == pytest.approx(nats, abs=1e-6)


def test_flat_dirichlet_rows_have_the_known_mean_entropy():
    # The mean entropy of a row of Dirichlet(1) on 8 symbols is 1/2 + ... + 1/8.
    make = jax.jit(jax.vmap(lambda key: iid.make(key, law="markov", vocab=8)))
    generators = make(jax.random.split(KEY, 200))
    rows = np.asarray(generators.transition_VxV, np.float64).reshape(-1, 8)
    entropy = -(rows * np.log(rows)).sum(1)
    error = entropy.std() / len(entropy) ** 0.5
    assert abs(entropy.mean() - sum(1 / k for k in range(2, 9))) < 5 * error


@pytest.mark.parametrize("vocab", [2, 3, 8, 50])
def test_the_first_law_of_a_chain_is_stationary(vocab):
    for seed in range(5):
        generator = iid.make(jax.random.key(seed), law="markov", vocab=vocab)
        np.testing.assert_allclose(
            generator.initial_V @ generator.transition_VxV, generator.initial_V, rtol=1e-5
        )
        assert float(generator.initial_V.sum()) == pytest.approx(1, abs=1e-6)


def test_a_chain_looks_the_same_at_every_place():
    generator = iid.make(KEY, law="markov", vocab=4, length=16)
    tokens = np.asarray(draw(generator, 20000).tokens_T)
    law = np.asarray(generator.initial_V)
    error = (law * (1 - law) / len(tokens)) ** 0.5
    for place in (0, 1, 7, 15):
        frequency = np.bincount(tokens[:, place], minlength=4) / len(tokens)
        assert (abs(frequency - law) < 5 * error).all(), place


def test_a_chain_follows_its_transitions():
    generator = iid.make(KEY, law="markov", vocab=3, length=2)
    tokens = np.asarray(draw(generator, 30000).tokens_T)
    for row, law in enumerate(np.asarray(generator.transition_VxV)):
        later = tokens[tokens[:, 0] == row, 1]
        frequency = np.bincount(later, minlength=3) / len(later)
        assert (abs(frequency - law) < 5 * (law * (1 - law) / len(later)) ** 0.5).all()


@pytest.mark.parametrize("period, length", [(1, 5), (3, 10), (4, 8), (6, 6)])
def test_repeat_gives_its_block_again_and_again(period, length):
    generator = iid.make(KEY, law="repeat", vocab=9, period=period, length=length)
    examples = draw(generator, 50)
    tokens = np.asarray(examples.tokens_T)
    assert tokens.shape == (50, length)
    np.testing.assert_array_equal(tokens[:, period:], tokens[:, :-period])
    nats = np.asarray(jax.jit(jax.vmap(generator.oracle_nats))(examples))
    np.testing.assert_allclose(nats[:, :period], math.log(9), rtol=1e-6)
    assert not nats[:, period:].any()


def test_constant_is_token_0_and_free():
    generator = iid.make(KEY, law="constant", vocab=3)
    example = generator.example(KEY, 0)
    assert not example.tokens_T.any() and example.coded_T.all()
    assert not generator.oracle_nats(example).any()


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_bits_of_probability_0_or_1_are_constant(p):
    tokens = draw(iid.make(KEY, law="bernoulli", p=p), 100).tokens_T
    assert (tokens == int(p)).all()


def test_members_may_mix_laws():
    laws = ("bernoulli", "uniform", "constant", "markov")
    generators = [iid.make(KEY, law=law, p=0.2) for law in laws]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *generators)
    assert stacked.spec == generators[0].spec
    together = jax.jit(jax.vmap(lambda generator: generator.example(KEY, 0).tokens_T))(stacked)
    for generator, tokens_T in zip(generators, together):
        np.testing.assert_array_equal(tokens_T, generator.example(KEY, 0).tokens_T)


@pytest.mark.parametrize(
    "wrong",
    [
        dict(law="gaussian"),
        dict(vocab=0),
        dict(vocab=3, law="bernoulli"),
        dict(length=0),
        dict(length=2**31),
        dict(p=-0.1),
        dict(period=0, law="repeat"),
        dict(period=65, law="repeat"),
    ],
)
def test_iid_refuses_illegal_arguments(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"generator.{name}={value!r}: accepted"):
        iid.make(KEY, **wrong)
