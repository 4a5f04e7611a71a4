"""Floors and facts: against the generators, the paper's numbers, and counts by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.analysis.exact import floors
from epx.generators.automata import eca
from epx.generators.sequences import markov


def test_rings_evolve_as_those_of_the_generator():
    states = np.random.default_rng(0).integers(0, 2, (9, 11))
    evolve = jax.jit(jax.vmap(eca.evolve, (0, None, None)))
    for rule in range(256):
        expected = evolve(jnp.asarray(states), rule, 3)
        np.testing.assert_array_equal(floors.evolve(states, rule, 3), expected, err_msg=str(rule))


def test_a_shift_copies_at_even_multiples_of_the_ring():
    """Rule 15 is a shift and a complement: after 8 steps a ring of 8 cells is there again."""
    facts = floors.automaton(15, 8, 8)
    assert facts.copied == (1.0, 0.0) and facts.agreement == (1.0, 0.0)
    assert facts.next_cell_bits == (pytest.approx(1.0), 0.0) and facts.ones == (0.5, 0.0)
    odd = floors.automaton(15, 8, 1)
    assert odd.copied.value == pytest.approx(2 / 2**8), "01010101 and 10101010 become themselves"


@pytest.mark.parametrize(
    "width, copied, bits", [(16, 0.58, 0.63), (32, 0.63, 0.505)], ids=["16", "32"]
)
def test_rule_54_has_the_facts_of_the_specification(width, copied, bits):
    """Section C.0: after a burn-in of 1000 steps, 48 steps later."""
    facts = floors.automaton(54, width, 48, burnin=1000, samples=4000)
    assert abs(facts.copied.value - copied) < 0.01 + 4 * facts.copied.error
    assert abs(facts.next_cell_bits.value - bits) < 0.01 + 4 * facts.next_cell_bits.error


def test_drawn_facts_are_those_of_all_rings():
    """Of 16 cells, as if they had not been enumerated."""
    exact = floors.automaton(110, 16, 5)
    drawn = np.random.default_rng(1).integers(0, 2, (20_000, 16))
    y = floors.evolve(drawn, 110, 5)
    for fact, value in ((exact.ones, y.mean()), (exact.agreement, (drawn == y).mean())):
        assert fact.error == 0 and fact.value == pytest.approx(value, abs=0.01)


@pytest.mark.parametrize("hidden", [0, 1, 3, 5])
def test_hidden_cells_of_rule_30_leave_as_many_bits(hidden):
    assert floors.hidden_bits(30, 32, 4, hidden, samples=200) == (hidden, 0)


def test_hidden_bits_count_completions_that_meet():
    """Rule 0 leads everything to zeros; rule 204 keeps every cell."""
    assert floors.hidden_bits(0, 8, 1, 3) == (0, 0)
    assert floors.hidden_bits(204, 8, 1, 3) == (3, 0)
    # Rule 128 keeps a cell if its neighbours are alive: of two hidden cells among six dead ones
    # nothing is left, and among live ones everything.
    two = floors.hidden_bits(128, 4, 1, 1)
    assert 0 < two.value < 1


@pytest.mark.parametrize("hidden", [0, 2, 4])
def test_markov_floors_are_the_oracle_of_the_generator(hidden):
    generator = markov.make(jax.random.key(0), states=4, hidden=hidden, length=64)
    keys = jax.random.split(jax.random.key(1), 3000)
    examples = jax.jit(jax.vmap(lambda key: generator.example(key, 0)))(keys)
    bits = np.asarray(jax.jit(jax.vmap(generator.oracle_nats))(examples)).sum(1) / np.log(2)
    floor = floors.markov_bits(4, hidden, 64)
    assert abs(bits.mean() - floor.value) < 4 * np.hypot(floor.error, bits.std() / np.sqrt(3000))


def test_the_mean_entropy_of_a_row_is_the_limit_of_the_floor():
    """Visible rows: 1/2 + 1/3 + 1/4 nats for a state, weighted by how often it is reached."""
    floor = floors.markov_bits(4, 0, 65)
    assert floor.value * np.log(2) / 64 == pytest.approx(markov.mean_row_nats(4), rel=0.02)


def test_more_hidden_cells_than_fit_into_memory_are_refused():
    with pytest.raises(ValueError, match=r"hidden=16: accepted whole numbers from 0 to 12"):
        floors.hidden_bits(30, 32, 4, 16)


def test_hidden_cells_are_left_out_where_x_is_not_uniform():
    section = dict(name="eca", rule=54, width=12, steps=4, burnin=100, hidden=3)
    assert "hidden cells leave, bit" not in floors.of_generator(section)
    assert floors.of_generator(section | {"burnin": 0})["hidden cells leave, bit"].error == 0
