"""Figure 9: S and H by published scaling laws against compute, with their limits.

    python -m experiments.sweep --sweep=paper/fig9_scaling --workdir=runs/fig9

Claim 6. Nothing is trained; it takes three seconds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs.paper import _figure
from epx.analysis import scaling
from epx.report.claims import Check, exact
from epx.report.figures import curves
from epx.report.summary import Run

TRAINED = False  # it needs no records
CLAIMS = {
    6: "MDL never rises with compute; N* and D* rise with it, and training : coding tends to 3"
}
TEST_TOKENS = 1e12


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """Not used: there are no runs."""
    return _figure.get_config("fig9_scaling", size)


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """No runs."""
    return []


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The shortest description at 57 budgets from 1e16 to 1e30; `runs` are not used."""
    law = scaling.convert(scaling.PUBLISHED["language"])
    splits = [scaling.split(law, flops, TEST_TOKENS) for flops in np.geomspace(1e16, 1e30, 57)]
    columns = np.array(splits)
    _, parameters, tokens, structure, entropy = columns.T
    last = splits[-1]
    ratio = 6 * last.parameters * last.tokens / (2 * last.parameters * TEST_TOKENS)
    return [
        Check("largest rise of MDL, nats", exact(np.diff(structure + entropy).max()), high=0),
        Check("least rise of N*", exact(np.diff(parameters).min()), low=0),
        Check("least rise of D*", exact(np.diff(tokens).min()), low=0),
        Check("training : coding at 1e30 FLOP", exact(ratio), 2.9, 3.0),
    ]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S and H of every domain against compute."""
    laws = {name: scaling.convert(law) for name, law in scaling.PUBLISHED.items()}
    return curves.estimates(laws, TEST_TOKENS, path)
