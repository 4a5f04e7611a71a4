"""Neural cellular automata: Life as such a network, and a plain one in numpy."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import epx
from epx.generators.automata import life, nca


def life_as_a_network():
    """With v = 2 (live neighbours) + (alive) a cell lives on if v is 5, 6 or 7."""
    inner = np.zeros((9, 2, 4), np.int32)
    inner[:, 1] = 2
    inner[4, 1] = 1
    inner[4] -= [4, 5, 7, 8]  # a bias, as the cell itself has one of the states
    outer = np.array([[0, 1], [0, -1], [0, -1], [0, 1]])
    return jnp.asarray(inner), jnp.asarray(outer)


@pytest.mark.parametrize("steps", [1, 5])
def test_life_is_one_of_them(steps):
    board = jax.random.bernoulli(jax.random.key(0), 0.4, (9, 12)).astype(jnp.int32)
    found = nca.evolve(board, *life_as_a_network(), steps)
    np.testing.assert_array_equal(found, life.evolve(board, steps))


def plain(board, inner, outer):
    """One step, cell by cell."""
    height, width = board.shape
    after = np.zeros_like(board)
    for row in range(height):
        for column in range(width):
            hidden = np.zeros(inner.shape[2], int)
            for n, (down, right) in enumerate((r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)):
                hidden += inner[n, board[(row + down) % height, (column + right) % width]]
            after[row, column] = np.argmax(np.maximum(hidden, 0) @ outer)
    return after


@pytest.mark.parametrize("rules", ["one", "each"])
def test_frames_follow_from_each_other(rules):
    arguments = dict(states=5, height=4, width=3, frames=3, stride=2, burnin=1, rules=rules)
    generator = epx.generator("nca", **arguments)
    key = jax.random.key(3)
    frames = np.asarray(generator.example(key, 0).tokens_T).reshape(3, 4, 3)
    inner, outer = (np.asarray(w) for w in (generator.inner_9xVxF, generator.outer_FxV))
    if rules == "each":
        inner, outer = (np.asarray(w) for w in nca._draw(jax.random.split(key)[1], 5, 16))
    for before, after in itertools.pairwise(frames):
        np.testing.assert_array_equal(plain(plain(before, inner, outer), inner, outer), after)


def test_each_example_has_its_own_rule_only_if_asked():
    for rules, differ in (("one", False), ("each", True)):
        generator = epx.generator("nca", rules=rules)
        assert (generator.oracle_nats(generator.example(jax.random.key(0), 0)) is None) == differ


def test_seeds_have_other_rules():
    first, second = (epx.generator("nca", seed=seed) for seed in (0, 1))
    assert (first.inner_9xVxF != second.inner_9xVxF).any()
