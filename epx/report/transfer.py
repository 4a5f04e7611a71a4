"""What a source saves on a target, and which number of the source says so beforehand.

What is saved is the code of the target from nothing minus its code after the source, of the same
examples. It is the difference of the two EDL above one floor. Above floors of their own a target
that is not learned from nothing would have no EDL, and a source that helps would seem to cost.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from tabulate import tabulate

from epx.analysis import rank
from epx.analysis.measurement import Estimate, proportion
from epx.report import elicit, evidence, parts
from epx.report.rounding import rounded
from epx.report.summary import Run

S_PREQ, S_REQ, H = "S_preq", "S_req", "H"
GZIP, BAND, RESERVOIR = "gzip", "gzip band", "reservoir"
SOURCE = "source"  # the label of the observer

BySeed = dict[int, float]


class Laboratory(NamedTuple):
    """Numbers of the sources, and what they save.

    Attributes:
      predictors: name of the predictor -> source -> seed -> its value, in bits (per token of H and
        gzip). The gzip band is `band`: structure is neither where nothing is nor where noise is.
      saved: target -> source -> seed -> code from nothing minus code after the source, in bits.
    """

    predictors: dict[str, dict[str, BySeed]]
    saved: dict[str, dict[str, BySeed]]

    def saving(self, source: str, target: str) -> Estimate:
        """What a source saves on a target, in bits, over seeds."""
        return evidence.mean(self.saved[target][source])

    def correlation(self, predictor: str, target: str) -> Estimate:
        """Spearman's correlation over sources, with sources and seeds drawn again."""
        columns = self._columns(self.predictors[predictor], self.saved[target])
        return rank.with_interval(*columns).estimate

    def advantage(self, other: str, target: str) -> Estimate:
        """By how much the correlation of S_preq is above that of another predictor's absolute.

        A predictor that says the opposite is as good as one that says it.
        """
        names = self.predictors[S_PREQ], self.predictors[other], self.saved[target]
        first, second, outcome = self._columns(*names)
        sign = np.sign(rank.spearman(second.mean(1), outcome.mean(1))) or 1.0
        return rank.advantage(first, sign * second, outcome).estimate

    def _columns(self, *named: dict[str, BySeed]) -> list[np.ndarray]:
        """Values of the sources by the seeds that all of them have, N x S each."""
        seeds = sorted(set.intersection(*(set(v) for of in named for v in of.values())))
        sources = self.predictors[S_PREQ]
        return [np.array([[of[name][s] for s in seeds] for name in sources]) for of in named]


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
    of_source = {
        source: _predictors(_run(runs, source, SOURCE), _run(runs, source, requential))
        for source in sources
    }
    names = of_source[sources[0]]
    predictors = {name: {source: of_source[source][name] for source in sources} for name in names}
    saved = {
        target: {
            source: elicit.saved_bits(
                _run(runs, target, scratch), _run(runs, target, after(source))
            )
            for source in sources
        }
        for target in targets
    }
    return Laboratory(predictors, saved)


def _predictors(run: Run, coded: Run) -> dict[str, BySeed]:
    """The predictors of a source, by its records under both codes."""
    sizes, seeds = run.record.baselines, parts.finite(run)
    gzip = sizes["gzip_bits"] / sizes["compressed_tok"]
    by_member = {
        GZIP: gzip,
        BAND: band(gzip, run.record.config["facts"]["vocab"]),
        RESERVOIR: sizes["reservoir_bits"] - sizes["reservoir_floor_bits"],
    }
    return {
        S_PREQ: evidence.by_seed(run, evidence.structure_bits),
        S_REQ: evidence.by_seed(coded, evidence.structure_bits),
        H: evidence.by_seed(run, evidence.entropy_bits_per_tok),
        **{
            name: {seed: float(values_M[m]) for seed, m in seeds.items()}
            for name, values_M in by_member.items()
        },
    }


def band(bits_per_tok: np.ndarray, vocab: int) -> np.ndarray:
    """How near a size is to the middle between 0 and log2 of the vocabulary, that of noise: 0 to 1.

    A size above that of noise is negative.
    """
    return 1 - np.abs(2 * bits_per_tok / math.log2(vocab) - 1)


class Mixed(NamedTuple):
    """A source with a background, by seed and in bits.

    Attributes:
      structure: S_preq of all its tokens.
      of_part: S_preq of the tokens of its first part, coded given all tokens before them.
      given: S of the first part alone, Y, given the source, X: its EDL after the source, above the
        least held-out loss on Y of all runs.
      saved: S of Y minus S of Y given X, which is the code saved.
    """

    structure: BySeed
    of_part: BySeed
    given: BySeed
    saved: BySeed


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
    first = _run(runs, target, scratch)
    then = {source: _run(runs, target, after(source)) for source in sources}
    found = {}
    for source, learned in then.items():
        run = _run(runs, source, SOURCE)
        found[source] = Mixed(
            evidence.by_seed(run, evidence.structure_bits),
            parts.structure_bits(run, 0),
            elicit.excess_bits(learned, [first, *then.values()]),
            elicit.saved_bits(first, learned),
        )
    return found


def agreement(first: BySeed, second: BySeed) -> Estimate:
    """The share of seeds in which two differences have the same sign."""
    seeds = first.keys() & second.keys()
    return proportion(sum(first[seed] * second[seed] > 0 for seed in seeds), len(seeds))


def table(lab: Laboratory) -> str:
    """The rank correlation of every predictor with what is saved on every target."""
    rows = [
        [name, *(rounded(*lab.correlation(name, target)) for target in lab.saved)]
        for name in lab.predictors
    ]
    return tabulate(rows, ["predictor", *lab.saved], "simple", disable_numparse=True)


def mixtures_table(mixed: Mapping[str, Mixed]) -> str:
    """The numbers of sources with a background, in bits."""
    rows = [
        [name, *(rounded(*evidence.mean(values)) for values in numbers)]
        for name, numbers in mixed.items()
    ]
    heads = ["source X, bit", "S of X", "S of its language", "S of Y given X", "code of Y saved"]
    return tabulate(rows, heads, "simple", disable_numparse=True)


def _run(runs: Sequence[Run], generator: str, observer: str) -> Run:
    return evidence.pick(runs, label__generator=generator, label__observer=observer)
