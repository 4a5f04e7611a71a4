"""Verbose phrasing: the content is that of the source, at its price, and filler is free."""

import jax
import numpy as np
import pytest

import epx

OF = dict(letters=6, successors=3, length=5)
TEXT = "story letters=6 successors=3 length=5"


@pytest.mark.parametrize("filler", [1, 3])
def test_content_and_price_are_those_of_the_source(filler):
    dense, verbose = epx.generator("story", **OF), epx.generator("verbose", of=TEXT, filler=filler)
    key = jax.random.key(3)
    own, spread = dense.example(key, 0), verbose.example(key, 0)
    tokens_NxF = np.asarray(spread.tokens_T).reshape(5, 1 + filler)
    np.testing.assert_array_equal(tokens_NxF[:, 0], own.tokens_T)
    assert (tokens_NxF[:, 1:] == dense.spec.vocab).all() and spread.coded_T.all()
    nats_NxF = np.asarray(verbose.oracle_nats(spread)).reshape(5, 1 + filler)
    np.testing.assert_allclose(nats_NxF[:, 0], dense.oracle_nats(own), rtol=1e-6)
    assert (nats_NxF[:, 1:] == 0).all()


def test_what_is_not_coded_has_filler_that_is_not():
    verbose = epx.generator("verbose", of="eca rule=204 width=3 steps=1", filler=2)
    example = verbose.example(jax.random.key(0), 0)
    np.testing.assert_array_equal(example.coded_T, np.repeat([False, True], 9))
    assert verbose.spec.given == 9 and verbose.spec.length == 18


def test_a_source_without_a_law_has_none():
    verbose = epx.generator("verbose", of='duplicated of="iid length=4" distinct=2')
    example = verbose.example(jax.random.key(0), 0)
    assert verbose.oracle_nats(example) is None
    assert verbose.oracle_logits(example.tokens_T) is None


def test_vectors_are_refused():
    with pytest.raises(ValueError, match=r"generator\.of=.*accepted a generator without side"):
        epx.generator("verbose", of="markov states=3 hidden=1 length=8")
