"""Verdicts on claims: an inequality holds when the interval of its estimate clears its bounds.

A claim is a sentence of the paper with one or more checks. It holds if all of them hold, fails if
one fails, and is undecided otherwise: where an interval straddles a bound, or a single seed has no
interval. The claims of a figure are in its config, `CLAIMS` by number and `check(number, runs)`.
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
      low, high: the bounds; -inf or inf for none.
    """

    what: str
    estimate: Estimate
    low: float = -math.inf
    high: float = math.inf

    @property
    def verdict(self) -> str:
        """Whether the interval is within the bounds, outside of them, or neither."""
        mean, half = self.estimate
        if not math.isfinite(half):
            return UNDECIDED
        if self.low <= mean - half and mean + half <= self.high:
            return HOLDS
        return FAILS if mean + half < self.low or mean - half > self.high else UNDECIDED

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
      number: of the claim, in the order of the paper.
      statement: the claim in a sentence.
      figure: the sweep whose records decide it, or how it is computed.
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
    """The claims of a figure's config, checked on those of the records that are for it."""
    name = figure.__name__.rpartition(".")[2].removeprefix("sweep_")
    runs = evidence.of_figure(records, name)
    trains = bool(getattr(figure, "sweep", list)())
    result = []
    for number, statement in figure.CLAIMS.items():
        claim = Claim(number, statement, name)
        if trains and not runs:
            result.append(claim._replace(note="no records of this figure"))
            continue
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
            [f"   {check.what}", rounded(*check.estimate), check.inequality, check.verdict]
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
         rounded(*check.estimate), check.verdict]
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
                    "mean": check.estimate.mean,
                    "half_width": None if math.isnan(check.estimate[1]) else check.estimate[1],
                    "bound": check.inequality,
                    "verdict": check.verdict,
                }
                for check in claim.checks
            ],
        }
        for claim in claims
    ]
    record.write_json(folder / "claims.json", {"claims": values})
