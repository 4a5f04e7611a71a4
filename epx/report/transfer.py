"""What a source saves on a target, and which number of the source says so beforehand."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from epx.analysis import rank
from epx.analysis.measurement import Estimate
from epx.report import evidence, parts
from epx.report.rounding import rounded
from epx.report.summary import Run

S_PREQ, S_REQ, H = "S_preq", "S_req", "H"
GZIP, RESERVOIR = "gzip", "reservoir"
SOURCE = "source"  # the label of the observer


class Laboratory(NamedTuple):
    """Numbers of the sources, and what they save.

    Attributes:
      predictors: name of the predictor -> source -> its mean over seeds, in bits (per token of H
        and gzip).
      saved: target -> source -> seed -> EDL from nothing minus EDL after the source, in bits.
    """

    predictors: dict[str, dict[str, float]]
    saved: dict[str, dict[str, dict[int, float]]]

    def saving(self, source: str, target: str) -> Estimate:
        """What a source saves on a target, in bits, over seeds."""
        return evidence.mean(self.saved[target][source])

    def correlation(self, predictor: str, target: str) -> Estimate:
        """Spearman's correlation over sources."""
        return rank.with_interval(self._of(predictor), self._saved(target)).estimate

    def advantage(self, other: str, target: str) -> Estimate:
        """By how much the correlation of S_preq is above that of another predictor's absolute.

        A predictor that says the opposite is as good as one that says it.
        """
        outcome = self._saved(target)
        sign = np.sign(rank.spearman(self._of(other), outcome)) or 1.0
        others = [sign * value for value in self._of(other)]
        return rank.advantage(self._of(S_PREQ), others, outcome).estimate

    def _of(self, predictor: str) -> list[float]:
        return list(self.predictors[predictor].values())

    def _saved(self, target: str) -> list[float]:
        return [self.saving(source, target).mean for source in self.predictors[S_PREQ]]


def laboratory(
    runs: Sequence[Run],
    sources: Iterable[str],
    targets: Iterable[str],
    scratch: str,
    after: Callable[[str], str],
    requential: str,
) -> Laboratory:
    """The numbers of a sweep.

    Args:
      runs: with `label.generator` and `label.observer`.
      sources, targets: labels of generators.
      scratch: label of the observer of a target that starts from nothing.
      after: source -> label of the observer that starts from it.
      requential: label of the observer of a source under the requential code.

    Raises:
      RecordError: a run is missing.
    """
    sources = list(sources)
    predictors: dict[str, dict[str, float]] = {name: {} for name in (S_PREQ, S_REQ, H)}
    predictors |= {GZIP: {}, RESERVOIR: {}}
    for source in sources:
        run, coded = _run(runs, source, SOURCE), _run(runs, source, requential)
        predictors[S_PREQ][source] = _mean(run, evidence.structure_bits)
        predictors[S_REQ][source] = _mean(coded, evidence.structure_bits)
        predictors[H][source] = _mean(run, evidence.entropy_bits_per_tok)
        sizes = {name: value[run.members] for name, value in run.record.baselines.items()}
        predictors[GZIP][source] = float((sizes["gzip_bits"] / sizes["compressed_tok"]).mean())
        above = sizes["reservoir_bits"] - sizes["reservoir_floor_bits"]
        predictors[RESERVOIR][source] = float(above.mean())
    saved = {
        target: {
            source: _saved(_run(runs, target, scratch), _run(runs, target, after(source)))
            for source in sources
        }
        for target in targets
    }
    return Laboratory(predictors, saved)


class Mixed(NamedTuple):
    """A source with a background, by seed and in bits.

    Attributes:
      structure: S_preq of all its tokens.
      of_part: S_preq of the tokens of its first part.
      saved: EDL saved on that part alone.
    """

    structure: dict[int, float]
    of_part: dict[int, float]
    saved: dict[int, float]


def mixtures(
    runs: Sequence[Run],
    sources: Iterable[str],
    target: str,
    scratch: str,
    after: Callable[[str], str],
) -> dict[str, Mixed]:
    """The numbers of sources that are mixtures, whose first part is the target.

    Raises:
      RecordError: a run is missing.
    """
    found = {}
    for source in sources:
        run = _run(runs, source, SOURCE)
        found[source] = Mixed(
            evidence.by_seed(run, evidence.structure_bits),
            parts.structure_bits(run, 0),
            _saved(_run(runs, target, scratch), _run(runs, target, after(source))),
        )
    return found


def table(lab: Laboratory) -> str:
    """The rank correlation of every predictor with what is saved on every target."""
    rows = [
        [name, *(rounded(*lab.correlation(name, target)) for target in lab.saved)]
        for name in lab.predictors
    ]
    return tabulate(rows, ["predictor", *lab.saved], "simple", disable_numparse=True)


def _run(runs: Sequence[Run], generator: str, observer: str) -> Run:
    return evidence.pick(runs, label__generator=generator, label__observer=observer)


def _mean(run: Run, quantity: evidence.Quantity) -> float:
    return evidence.mean(evidence.by_seed(run, quantity)).mean


def _saved(scratch: Run, run: Run) -> dict[int, float]:
    """EDL from nothing minus EDL after a source, by seed."""
    first, then = (evidence.by_seed(r, evidence.structure_bits) for r in (scratch, run))
    return {seed: first[seed] - then[seed] for seed in first.keys() & then.keys()}
