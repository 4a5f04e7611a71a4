"""Verdicts on claims: an inequality holds when the interval of its estimate clears its bounds.

A claim is a sentence of the paper with one or more checks. It holds if all of them hold, fails if
one fails, and is undecided otherwise: where an interval straddles a bound, or a single seed has no
interval. The claims of a figure are in its config, `CLAIMS` by number and `check(number, runs)`;
`TRAINED = False` where these need no records.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tabulate import tabulate

from epx import files, record
from epx.analysis.measurement import Estimate
from epx.record import Record, RecordError
from epx.report import evidence
from epx.report.rounding import rounded

HOLDS, FAILS, UNDECIDED, MISSING = "holds", "fails", "undecided", "not measured"


class Check(NamedTuple):
    """An estimate and the range that a claim gives it.

    Attributes:
      what: the quantity with its unit.
      estimate: a mean and the half width of its 95 % interval, 0 for an exact number.
      low, high: the bounds, -inf or inf for none; one bound excludes itself, two include both.
    """

    what: str
    estimate: Estimate
    low: float = -math.inf
    high: float = math.inf

    @property
    def verdict(self) -> str:
        """Whether the interval is within the bounds, outside of them, or neither."""
        mean, half = self.estimate
        if not (math.isfinite(mean) and math.isfinite(half)):
            return UNDECIDED
        least, most = mean - half, mean + half
        if math.isfinite(self.low) and math.isfinite(self.high):
            within = self.low <= least and most <= self.high
        else:
            within = self.low < least and most < self.high
        if within:
            return HOLDS
        return FAILS if most < self.low or least > self.high else UNDECIDED

    @property
    def value(self) -> str:
        """The estimate as text."""
        return rounded(*self.estimate) if math.isfinite(self.estimate.mean) else "no value"

    @property
    def inequality(self) -> str:
        """The bounds as text."""
        if math.isinf(self.high):
            return f"> {self.low:g}"
        if math.isinf(self.low):
            return f"< {self.high:g}"
        return f"{self.low:g} to {self.high:g}"


class Claim(NamedTuple):
    """A claim and what was measured of it.

    Attributes:
      number: of the claim.
      statement: the claim in a sentence.
      figure: the config that checks it, with the size of its records.
      checks: all have to hold.
      note: what a reader has to know of the check, such as why it could not be measured.
    """

    number: int
    statement: str
    figure: str
    checks: tuple[Check, ...] = ()
    note: str = ""

    @property
    def verdict(self) -> str:
        """The verdict on all checks together."""
        verdicts = {check.verdict for check in self.checks}
        if not verdicts:
            return MISSING
        return next(v for v in (FAILS, UNDECIDED, HOLDS) if v in verdicts)


def evaluate(figure: ModuleType, records: Sequence[Record]) -> list[Claim]:
    """The claims of a figure's config, checked on the records of each of its sizes."""
    name = figure.__name__.rpartition(".")[2]
    by_size = evidence.of_figure(records, name)
    if not getattr(figure, "TRAINED", True):
        by_size = {"": []}
    if not by_size:
        missing = "no records of this figure"
        return [Claim(n, words, name, note=missing) for n, words in figure.CLAIMS.items()]
    result = []
    for size, runs in by_size.items():
        for number, statement in figure.CLAIMS.items():
            claim = Claim(number, statement, f"{name}:{size}" if size else name)
            try:
                result.append(claim._replace(checks=tuple(figure.check(number, runs))))
            except RecordError as error:
                result.append(claim._replace(note=str(error)))
    return result


def exact(value: float) -> Estimate:
    """A number without an error."""
    return Estimate(float(value), 0.0)


def table(claims: Sequence[Claim]) -> str:
    """Claims as text: a line for each, and below it one for each check."""
    blocks = []
    for claim in claims:
        head = f"{claim.number}. {claim.statement} ({claim.figure}): {claim.verdict}"
        lines = [
            [f"   {check.what}", check.value, check.inequality, check.verdict]
            for check in claim.checks
        ]
        blocks.append(
            head
            + ("\n" + tabulate(lines, tablefmt="plain", disable_numparse=True) if lines else "")
            + (f"\n   {claim.note}" if claim.note else "")
        )
    return "\n".join(blocks)


def markdown(claims: Sequence[Claim]) -> str:
    """Claims as a table in Markdown, a row for each check."""
    rows = [
        [claim.number, claim.statement, claim.figure, check.what, check.inequality,
         check.value, check.verdict]
        for claim in claims
        for check in claim.checks
    ]  # fmt: skip
    rows += [
        [claim.number, claim.statement, claim.figure, claim.note, "", "", MISSING]
        for claim in claims
        if not claim.checks
    ]
    heads = ["", "claim", "figure", "measured", "bound", "value", "verdict"]
    return tabulate(sorted(rows, key=lambda row: row[0]), heads, "github", disable_numparse=True)


def write(claims: Sequence[Claim], folder: Path) -> None:
    """Write `claims.md` and `claims.json`."""
    with files.replacing(folder / "claims.md") as handle:
        handle.write((markdown(claims) + "\n").encode())
    values = [
        {
            "number": claim.number,
            "statement": claim.statement,
            "figure": claim.figure,
            "verdict": claim.verdict,
            "note": claim.note,
            "checks": [
                {
                    "what": check.what,
                    "mean": _number(check.estimate.mean),
                    "half_width": _number(check.estimate.half_width),
                    "bound": check.inequality,
                    "verdict": check.verdict,
                }
                for check in claim.checks
            ],
        }
        for claim in claims
    ]
    record.write_json(folder / "claims.json", {"claims": values})


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
