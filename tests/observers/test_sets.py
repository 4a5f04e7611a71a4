"""The set epx-7 holds what it says: every family, at matched sizes."""

import importlib

import pytest

from configs import observers
from epx.learning.flops import parameters
from epx.run.config import components

VOCAB, LENGTH = 2, 64
LEARNERS = [family for family in observers.FAMILIES if family != "counts"]


def sizes_of(family, keys):
    made = importlib.import_module(f"epx.observers.{family}").make(VOCAB, LENGTH, **keys)
    return parameters(made), made.flops(LENGTH)[0] / LENGTH


def test_the_set_is_of_all_families():
    """But not the oracle, and not the classifier of pairs, which predicts labels only."""
    others = {"oracle", "residual"}
    assert {*observers.FAMILIES} | others == set(components.names("observer"))
    assert len(observers.FAMILIES) == 7 and observers.TAG == "epx-7.1"


def test_names_are_family_by_family():
    names = observers.names()
    assert names[:3] == ["transformer, small", "transformer, larger", "transformer, paper"]
    assert names[-4:] == ["mlp, small", "mlp, larger", "mlp, paper", "counts"]
    assert len(names) == len(set(names)) == 6 * 3 + 1


@pytest.mark.parametrize("size", observers.SIZES)
def test_sizes_are_matched_by_parameters(size):
    reference, _ = sizes_of("transformer", observers.SIZES[size]["transformer"])
    for family in LEARNERS:
        count, _ = sizes_of(family, observers.SIZES[size][family])
        assert count == pytest.approx(reference, rel=0.08), family


@pytest.mark.parametrize("size", observers.EQUAL_FLOPS)
def test_sizes_are_matched_by_compute(size):
    _, reference = sizes_of("transformer", observers.EQUAL_FLOPS[size]["transformer"])
    for family in LEARNERS:
        _, flops = sizes_of(family, observers.EQUAL_FLOPS[size][family])
        assert flops == pytest.approx(reference, rel=0.11), family
    _, looped = sizes_of("looped", observers.SIZES[size]["looped"])
    assert looped > 3 * reference, "loops cost compute and no parameters"
