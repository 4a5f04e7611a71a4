"""Arithmetic against Python's own, its controls, and the law of shuffled answers by counting."""

import collections
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.texts import _script, arithmetic
from epx.observers import masked
from epx.streams import example_key
from tests.params import parametrize

KEY = jax.random.key(7)
PYTHON = {"add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b}
OPERATIONS = tuple(PYTHON)


def texts(generator, count=64):
    keys = jax.vmap(lambda n: example_key(KEY, n))(jnp.arange(count, dtype=jnp.uint32))
    examples = jax.vmap(generator.example, in_axes=(0, None))(keys, 0)
    return examples, ["".join(generator.symbols(tokens)) for tokens in examples.tokens_T]


def problems(found):
    """The operands and the answer of each text."""
    return [tuple(map(int, re.findall(r"\d+", text))) for text in found]


@parametrize("digits", range(1, 5), gate=(1, 4))
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("notation", ["signs", "spaced", "words"])
def test_answers_are_those_of_python(operation, notation, digits):
    generator = arithmetic.make(KEY, operation, digits, notation)
    examples, found = texts(generator)
    for text, (a, b, answer) in zip(found, problems(found)):
        assert answer == PYTHON[operation](a, b), text
    coded = {text[generator.spec.given :] for text in found}
    assert all(text.isdigit() for text in coded)
    assert (np.asarray(examples.coded_T).sum(1) == len(coded.pop())).all()
    assert max(a for a, _, _ in problems(found)) < 10**digits


@pytest.mark.parametrize("notation", ["signs", "spaced", "words"])
@pytest.mark.parametrize("place", [1, 2, 4])
def test_one_digit_is_asked_for(notation, place):
    generator = arithmetic.make(KEY, "add", 3, notation, place=place)
    examples, found = texts(generator)
    for text in found:
        a, b, asked, digit = map(int, re.findall(r"\d+", text))
        assert asked == place and digit == (a + b) // 10 ** (place - 1) % 10, text
    assert (np.asarray(examples.coded_T).sum(1) == 1).all()
    assert (jax.vmap(generator.oracle_nats)(examples) == 0).all()


def test_a_digit_of_a_control_is_refused():
    with pytest.raises(ValueError, match=r"generator\.place=1: accepted whole numbers from 0 to 0"):
        arithmetic.make(KEY, "add", 2, labels="shuffled", place=1)


def test_both_notations_ask_the_same():
    signs, words = (
        texts(arithmetic.make(KEY, "add", 2, notation, length=30))[1]
        for notation in ("signs", "words")
    )
    assert problems(signs) == problems(words)
    assert signs[0].strip() == signs[0].lstrip() and " plus " in words[0] and "+" in signs[0]
    assert len(signs[0]) == len(words[0]) == 30, "one observer reads both"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_spaced_numbers_have_the_places_that_they_have_in_words(operation):
    spaced, words = (
        texts(arithmetic.make(KEY, operation, 2, notation))[1] for notation in ("spaced", "words")
    )
    for a, b in zip(spaced, words):
        assert re.sub(r"[-+*=. ]", " ", a) == re.sub("[a-z ]", " ", b) and len(a) == len(b)


def test_marks_leave_digits_to_the_answer_and_change_no_token():
    plain, marks = (arithmetic.make(KEY, "add", 2, marked=marked) for marked in (False, True))
    examples, found = texts(marks)
    assert found == texts(plain)[1] and texts(plain)[0].side is None
    logits = masked.masked(jnp.zeros((*examples.tokens_T.shape, marks.spec.vocab)), examples.side)
    may, given = np.asarray(logits) > masked.EXCLUDED, marks.spec.given
    assert (may[:, given:] == [symbol.isdigit() for symbol in _script.SYMBOLS]).all()
    assert may[:, :given].all()


def test_operands_are_uniform():
    _, found = texts(arithmetic.make(KEY, "add", 1), 20_000)
    seen = collections.Counter((a, b) for a, b, _ in problems(found))
    assert len(seen) == 100
    statistic = sum((count - 200) ** 2 / 200 for count in seen.values())
    assert statistic < 99 + 5 * math.sqrt(2 * 99)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_shuffled_answers_have_the_frequencies_of_true_ones_and_no_more(operation):
    """The price is -log2 of the share of problems with that answer, whatever the question."""
    generator = arithmetic.make(KEY, operation, 1, labels="shuffled")
    examples, found = texts(generator, 4000)
    pairs = [(a, b) for a in range(10) for b in range(10)]
    if operation == "subtract":
        pairs = [(max(pair), min(pair)) for pair in pairs]
    shares = collections.Counter(PYTHON[operation](*pair) for pair in pairs)
    nats = np.asarray(jax.vmap(generator.oracle_nats)(examples)).sum(1)
    for (_, _, answer), price in zip(problems(found), nats):
        assert price == pytest.approx(-math.log(shares[answer] / 100), abs=1e-4)
    entropy = -sum(n / 100 * math.log(n / 100) for n in shares.values())
    error = nats.std() / math.sqrt(len(nats))
    assert abs(nats.mean() - entropy) < 5 * error
    right = np.mean([PYTHON[operation](a, b) == answer for a, b, answer in problems(found)])
    chance = sum((n / 100) ** 2 for n in shares.values())
    assert right < chance + 0.05


@pytest.mark.parametrize("operation", OPERATIONS)
def test_fixed_answers_are_a_function_of_the_question_but_not_arithmetic(operation):
    generator = arithmetic.make(KEY, operation, 1, labels="fixed")
    examples, found = texts(generator, 4000)
    answers = collections.defaultdict(set)
    for a, b, answer in problems(found):
        answers[a, b].add(answer)
    assert all(len(values) == 1 for values in answers.values())
    right = np.mean([PYTHON[operation](a, b) in answers[a, b] for a, b in answers])
    assert right < 0.35
    np.testing.assert_array_equal(jax.vmap(generator.oracle_nats)(examples), 0)
    others = arithmetic.make(jax.random.key(8), operation, 1, labels="fixed")
    assert (others.problem_N != generator.problem_N).any()


@pytest.mark.parametrize("labels", ["true", "shuffled", "fixed"])
def test_laws_sum_to_one_and_agree_with_the_prices(labels):
    generator = arithmetic.make(KEY, "multiply", 2, "words", labels)
    examples, _ = texts(generator, 16)
    logits = jax.vmap(generator.oracle_logits)(examples.tokens_T)
    np.testing.assert_allclose(jnp.exp(logits).sum(-1), 1, rtol=1e-5)
    taken = jnp.take_along_axis(logits, examples.tokens_T[..., None], -1)[..., 0]
    nats = jax.vmap(generator.oracle_nats)(examples)
    np.testing.assert_allclose(nats, jnp.where(examples.coded_T, -taken, 0), atol=1e-6)


@pytest.mark.parametrize(
    ("key", "arguments"),
    [
        ("operation", dict(operation="divide")),
        ("notation", dict(notation="roman")),
        ("labels", dict(labels="random")),
        ("digits", dict(digits=5)),
        ("digits", dict(digits=4, labels="fixed")),
        ("length", dict(digits=2, length=9)),
    ],
)
def test_what_cannot_be_is_refused(key, arguments):
    with pytest.raises(ValueError, match=rf"generator\.{key}=.*accepted"):
        arithmetic.make(KEY, **arguments)


def test_the_alphabet_has_every_symbol_once():
    assert len(set(_script.SYMBOLS)) == _script.VOCAB == 42
    assert _script.symbols(_script.tokens("7 times 6 is 42.")) == list("7 times 6 is 42.")
