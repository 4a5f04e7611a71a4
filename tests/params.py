"""Parameters of tests, of which a few stand for their kind in the gate."""

from collections.abc import Iterable
from typing import Any

import pytest


def parametrize(names: str, values: Iterable[Any], gate: Iterable[Any]):
    """As `pytest.mark.parametrize`; values that are not in `gate` belong to the slow suite."""
    values, gate = list(values), list(gate)
    assert all(value in values for value in gate), "the gate names a value that is not there"
    several = "," in names
    return pytest.mark.parametrize(
        names,
        [
            pytest.param(*(v if several else (v,)), marks=() if v in gate else pytest.mark.slow)
            for v in values
        ],
    )
