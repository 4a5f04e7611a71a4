"""Duplicates: few different examples, each of them one of the source."""

import jax
import numpy as np
import pytest

import epx

OF = "story letters=6 successors=3 length=12"


def drawn(generator, count, seed=1):
    keys = jax.random.split(jax.random.key(seed), count)
    return jax.jit(jax.vmap(generator.example, in_axes=(0, None)))(keys, 0)


def test_examples_are_few_and_as_likely():
    generator = epx.generator("duplicated", of=OF, distinct=5)
    _, counts = np.unique(drawn(generator, 3000).tokens_T, axis=0, return_counts=True)
    assert len(counts) == 5
    assert ((counts - 600) ** 2 / 600).sum() < 25  # chi-square of 4 degrees


def test_they_are_examples_of_the_source():
    generator = epx.generator("duplicated", of=OF, distinct=8)
    examples = drawn(generator, 20)
    assert np.isfinite(
        jax.vmap(epx.generator("story", letters=6, successors=3, length=12).oracle_nats)(examples)
    ).all()
    assert generator.spec.length == 12


def test_another_seed_has_other_examples():
    first, second = (
        epx.generator("duplicated", seed=s, of="iid vocab=9 length=9", distinct=1) for s in (0, 1)
    )
    assert (drawn(first, 1).tokens_T != drawn(second, 1).tokens_T).any()


def test_a_finite_source_is_refused(tmp_path):
    np.save(tmp_path / "own.npy", np.arange(4000) % 5)
    with pytest.raises(ValueError, match=r"generator\.of=.*accepted an endless generator"):
        epx.generator("duplicated", of=f'tokens path="{tmp_path / "own.npy"}" length=8')
