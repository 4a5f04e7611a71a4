"""Stories: letters alone, by the law that was drawn."""

import collections
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.texts import _script, arithmetic, story

KEY = jax.random.key(5)


def stories(generator, count):
    keys = jax.random.split(jax.random.key(1), count)
    return jax.vmap(generator.example, in_axes=(0, None))(keys, 0)


def test_a_story_has_letters_and_no_digits():
    generator = story.make(KEY, length=40)
    examples = stories(generator, 200)
    text = "".join("".join(generator.symbols(tokens)) for tokens in examples.tokens_T)
    assert not any(symbol.isdigit() or symbol in "+-*=" for symbol in text)
    assert len(set(text)) == _script.LETTERS
    assert generator.spec.vocab == arithmetic.make(KEY).spec.vocab


def test_a_language_may_have_fewer_letters():
    generator = story.make(KEY, length=40, letters=5, successors=3)
    possible_CxV = np.isfinite(generator.log_law_CxV)
    assert (possible_CxV.sum(1) == 3).all() and not possible_CxV[:, 5:].any()
    tokens = stories(generator, 100).tokens_T
    assert set(np.unique(tokens)) == set(range(5)) and generator.spec.vocab == _script.VOCAB
    with pytest.raises(ValueError, match="successors=6: accepted whole numbers from 1 to 5"):
        story.make(KEY, letters=5, successors=6)


def test_letters_follow_their_law():
    """Successors of the commonest pair of letters, by a chi-square."""
    generator = story.make(KEY, length=2, successors=6)
    first = stories(generator, 20_000).tokens_T[:, 0]  # after two spaces
    seen = collections.Counter(np.asarray(first).tolist())
    law = np.exp(np.asarray(generator.log_law_CxV[0], np.float64))
    assert set(seen) <= set(np.flatnonzero(law)) and (law > 0).sum() == 6
    expected = {token: law[token] * 20_000 for token in np.flatnonzero(law)}
    statistic = sum((seen[t] - n) ** 2 / n for t, n in expected.items())
    assert statistic < 5 + 5 * math.sqrt(10)


def test_prices_are_those_of_the_table():
    generator = story.make(KEY, length=12)
    tokens = np.asarray(stories(generator, 1).tokens_T[0])
    padded = [0, 0, *tokens]
    expected = [
        -float(generator.log_law_CxV[a * _script.LETTERS + b, c])
        for a, b, c in zip(padded, padded[1:], padded[2:])
    ]
    (example,) = (jax.tree.map(lambda leaf: leaf[0], stories(generator, 1)),)
    np.testing.assert_allclose(generator.oracle_nats(example), expected, rtol=1e-5)
    sums = jnp.exp(generator.oracle_logits(example.tokens_T)).sum(1)
    np.testing.assert_allclose(sums, 1, rtol=1e-5)


@pytest.mark.parametrize("order", [1, 3])
def test_a_language_of_another_order_has_its_own_contexts(order):
    """Of each context, read off long texts, the successors are the two that its law allows."""
    generator = story.make(KEY, length=200, successors=2, letters=4, order=order)
    seen = collections.defaultdict(set)
    for tokens in np.asarray(stories(generator, 50).tokens_T).tolist():
        padded = [0] * order + tokens
        for n, token in enumerate(tokens):
            seen[tuple(padded[n : n + order])].add(token)
    assert len(seen) <= 4**order == len(generator.log_law_CxV)
    for context, tokens in seen.items():
        place = sum(letter * 4 ** (order - 1 - n) for n, letter in enumerate(context))
        assert tokens <= set(np.flatnonzero(np.isfinite(generator.log_law_CxV[place])))
    assert all(len(tokens) <= 2 for tokens in seen.values())


def test_one_successor_is_a_certain_text():
    generator = story.make(KEY, length=30, successors=1)
    examples = stories(generator, 3)
    assert (examples.tokens_T == examples.tokens_T[0]).all()
    first = jax.tree.map(lambda leaf: leaf[0], examples)
    np.testing.assert_allclose(generator.oracle_nats(first), 0, atol=1e-6)
    with pytest.raises(ValueError, match=r"generator\.successors"):
        story.make(KEY, successors=29)
