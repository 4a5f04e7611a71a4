"""Patterns of Life are found where they are, in every phase, and nowhere else."""

import jax
import numpy as np
import pytest

from epx.analysis.exact import patterns
from epx.generators.automata import life


def board(rows, height=9, width=11, at=(3, 4)):
    cells = np.zeros((height, width), bool)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            cells[(at[0] + y) % height, (at[1] + x) % width] = cell == "o"
    return cells


def after(cells, steps):
    return np.asarray(jax.jit(lambda b: life.evolve(b, steps))(cells)) != 0


def places(cells, pattern):
    return [tuple(map(int, place)) for place in np.argwhere(patterns.find(cells[None], pattern)[0])]


GLIDER = (".o.", "..o", "ooo")


def test_the_number_of_phases_is_that_of_the_symmetries():
    assert [len(patterns.phases(name)) for name in patterns.PATTERNS] == [1, 2, 16]


def test_a_glider_is_found_in_all_four_phases_and_moves_by_one_and_one():
    """Around the edge of the torus too; each turn of it moves along its own diagonal."""
    start = board(GLIDER)
    (first,) = places(start, "glider")
    assert first == (4, 5)
    for turn in range(4):
        cells = np.rot90(start, turn)
        (before,) = places(cells, "glider")
        shape = np.array(cells.shape)
        for steps in range(1, 30):
            assert len(places(after(cells, steps), "glider")) == 1, steps
        (moved,) = places(after(cells, 4), "glider")
        gap = (np.array(moved) - before + shape // 2) % shape - shape // 2
        assert np.abs(gap).tolist() == [1, 1]
    assert not places(start, "block") and not places(start, "blinker")


def test_blocks_and_blinkers_stay_where_they_are():
    for rows, name, place in ((("oo", "oo"), "block", (3, 4)), (("ooo",), "blinker", (3, 5))):
        cells = board(rows)
        for steps in range(3):
            assert places(after(cells, steps), name) == [place]
            others = [other for other in patterns.PATTERNS if other != name]
            assert not any(places(after(cells, steps), other) for other in others)


@pytest.mark.parametrize("place", [(2, 3), (6, 5), (4, 7)])
def test_a_neighbour_hides_a_pattern(place):
    """A live cell in the ring around the box."""
    cells = board(GLIDER)
    cells[place] = True
    assert not places(cells, "glider")


def test_found_gliders_are_gliders_in_soups():
    """Of all that are found in random soups: alone on an empty board each moves by (1, 1)."""
    key = jax.random.key(0)
    soups = jax.random.bernoulli(key, 0.35, (200, 16, 16))
    boards = np.asarray(jax.jit(jax.vmap(lambda b: life.evolve(b, 40)))(soups)) != 0
    found = np.argwhere(patterns.find(boards, "glider"))
    assert len(found) >= 5
    for n, y, x in found:
        window = np.ix_(np.arange(y - 1, y + 2) % 16, np.arange(x - 1, x + 2) % 16)
        alone = np.zeros((16, 16), bool)
        alone[window] = boards[n][window]
        ((row, column),) = places(after(alone, 4), "glider")
        assert {(row - y) % 16, (column - x) % 16} <= {1, 15}
