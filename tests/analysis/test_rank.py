"""Average precision: values that are known, ties, and the share of all without knowledge."""

import math

import numpy as np
import pytest

from epx.analysis import rank


@pytest.mark.parametrize(
    ("score", "label", "expected"),
    [
        ([4, 3, 2, 1], [1, 1, 0, 0], 1.0),
        ([1, 2, 3, 4], [1, 1, 0, 0], (1 / 3 + 2 / 4) / 2),
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], (1 / 1 + 2 / 3) / 2),
        ([5, 5, 5, 5], [1, 0, 0, 0], 1 / 4),
        ([7, 5, 5, 1], [0, 1, 0, 1], (1 / 3 + 2 / 4) / 2),
    ],
)
def test_average_precision(score, label, expected):
    assert rank.average_precision(np.array(score), np.array(label)) == pytest.approx(expected)


def test_without_knowledge_it_is_the_share_of_all():
    random = np.random.default_rng(0)
    label = random.random(4000) < 0.3
    assert rank.average_precision(random.random(4000), label) == pytest.approx(0.3, abs=0.03)
    assert math.isnan(rank.average_precision(np.ones(3), np.zeros(3)))
