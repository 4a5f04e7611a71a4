"""One label, ten bits, and labels without a meaning: exact numbers of EDL that are mixed up.

    python -m experiments.report --claims --records=runs          a second; nothing is trained

arXiv 2601.04728 says of one label that selects one of 1024 hypotheses both that it adds log2 of
the number of labels, 1 bit (proposition 5.2), and log2 1024 = 10 bits (appendix B.2). Both are
right, of two things. *Once it is seen*, the label of the one hypothesis that says yes costs 10 bits
under the mixture of all, and what it costs is the EDL of that example. *Before it is asked*, nearly
all hypotheses say no: its expected code length is the entropy of a coin of 1/1024, 0.0112 bits, and
no label of two classes is worth more than 1 bit in expectation.

Labels without a meaning teach nothing: the EDL of a coder that knows that they are uniform is 0.
One that counts pays a few bits for learning the frequencies. One that memorises and is sure of
itself has a loss on new labels above that of chance, and an EDL far below 0.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs import base
from epx.analysis.exact import closed_forms
from epx.report.claims import Check, exact
from epx.report.figures import lines
from epx.report.summary import Run

TRAINED = False  # it needs no records
CLAIMS = {
    155: "One label that selects one of 1024 hypotheses has 10 bits of EDL and 0.0112 bits of "
    "expected code; labels at random select it for 10 bits in all",
    156: "Random labels have an EDL of 0 for a coder that knows it, of a few bits for one that "
    "counts, and below 0 for one that memorises",
}
HYPOTHESES, LABELS, REPEATS = 1024, 60, 200
# Labels of two classes -> EDL of the counter in bits, by a simulation of others; to its error.
COUNTED, SIMULATED = {100: 2.25, 1000: 3.88}, 0.05
SURE = 0.99  # probability that a memoriser gives to its guess


def get_config(size: str = "cpu") -> base.ConfigDict:
    """Not used: there are no runs."""
    return base.get_config(size)


def sweep() -> list[dict[str, Any]]:
    """No runs."""
    return []


def memoriser(examples: int, sure: float = SURE) -> float:
    """EDL in bits of one that pays a bit for every label and is then sure of wrong ones.

    It knows the labels that it has seen. Of a new example, whose label is independent, it is sure
    of one of two, which is right half of the time.
    """
    after = -0.5 * np.log2(sure) - 0.5 * np.log2(1 - sure)
    return closed_forms.excess(np.ones(examples), after)


def selected(seed: int) -> tuple[float, int]:
    """Bits of random labels of 1024 hypotheses until one is left, and how many labels it took."""
    random = np.random.default_rng(seed)
    answers = random.integers(0, 2, (HYPOTHESES, LABELS))
    bits_N, survivors_N = closed_forms.hypothesis_collapse(answers, true=0)
    return float(bits_N.sum()), int(np.argmax(survivors_N == 1)) + 1


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Exact numbers; `runs` are not used."""
    if number == 155:
        seen, expected = closed_forms.distinguishing_label(HYPOTHESES)
        found = [selected(seed) for seed in range(REPEATS)]
        bits, count = np.mean(found, axis=0)
        return [
            Check("EDL of the one label, bit", exact(seen), 10, 10),
            Check("its expected code length, bit", exact(expected), 0.01115, 0.01125),
            Check("labels at random: bits in all", exact(bits), 9.999, 10.001),
            Check("labels at random: how many", exact(count), 10, 14),
        ]
    knows = closed_forms.excess(np.ones(1000), 1.0)
    checks = [Check("EDL of one that knows, bit", exact(knows), 0, 0)]
    for examples, published in COUNTED.items():
        counted = closed_forms.random_labels(examples, classes=2)[1]
        what = f"EDL of one that counts, {examples} labels, bit"
        checks.append(Check(what, exact(counted), published - SIMULATED, published + SIMULATED))
    return [*checks, Check("EDL of a memoriser, 1000 labels, bit", exact(memoriser(1000)), high=0)]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The bits of labels that select a hypothesis, and the EDL of labels without a meaning."""
    answers = np.random.default_rng(0).integers(0, 2, (HYPOTHESES, LABELS))
    bits_N, _ = closed_forms.hypothesis_collapse(answers, true=0)
    shown = np.arange(1, 21)
    random = [(float(n), exact(bits_N[:n].sum())) for n in shown]
    one = [(float(n), exact(closed_forms.distinguishing_label(HYPOTHESES)[0])) for n in shown]
    counts = [10, 30, 100, 300, 1000, 3000]
    unmeant = {
        "knows": [(n, exact(0.0)) for n in counts],
        "counts": [(n, exact(closed_forms.random_labels(n, classes=2)[1])) for n in counts],
        "memorises, per 100 labels": [(n, exact(memoriser(n) * 100 / n)) for n in counts],
    }
    return lines.panels(
        [
            lines.Panel(
                "one of 1024 hypotheses", "labels", "bits so far",
                {"labels at random": random, "the one label": one}, y_scale="linear",
            ),
            lines.Panel(
                "labels without a meaning", "labels", "EDL, bit", unmeant, scale="log",
                y_scale="linear",
            ),
        ],
        path,
    )  # fmt: skip
