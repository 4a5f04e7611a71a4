"""Cells as text: the wide table, Markdown, CSV and JSON, with units in the heads.

Also tables of frontiers, paired differences, and the numbers at each anchor and learning rate.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from tabulate import tabulate

from epx.analysis.frontier import Curve
from epx.report.rounding import rounded, scientific
from epx.report.summary import Cell, measured

Columns = Sequence[tuple[str, str, str, str]]

# Head, key of a cell, format of the value and of its half width.
COLUMNS = (
    ("generator", "generator", "", ""),
    ("observer", "observer", "", ""),
    ("code", "code", "", ""),
    ("S_preq bit/token", "S_preq_bits_per_tok", ".4f", ".4f"),
    ("S_req bit/token", "S_req_bits_per_tok", ".4f", ".4f"),
    ("EDL bit/token", "EDL_bits_per_tok", ".4f", ".4f"),
    ("H bit/token", "H_bits_per_tok", ".4f", ".4f"),
    ("MDL bit/token", "MDL_bits_per_tok", ".4f", ".4f"),
    ("H bit/byte", "H_bits_per_byte", ".4f", ".4f"),
    ("S_preq bit", "S_preq_bits", ".3g", ".1g"),
    ("S_req bit", "S_req_bits", ".3g", ".1g"),
    ("S_req decodable, bit", "decodable_bits", ".3g", ".1g"),
    ("EDL bit", "EDL_bits", ".3g", ".1g"),
    ("EDL held-out error, bit", "EDL_held_out_error_bits", ".1g", ""),
    ("SDL bit", "SDL_bits", ".3g", ".1g"),
    ("SDL at, bit/token", "target_bits_per_tok", "g", ""),
    ("SDL needs, token", "SDL_tok", ".3g", ".1g"),
    ("SDL reached, seeds", "SDL_reached", "", ""),
    ("H bit", "H_bits", ".3g", ".1g"),
    ("MDL bit", "MDL_bits", ".3g", ".1g"),
    ("learned D, token", "coded_tok", ".3g", ""),
    ("coded set, token", "test_tok", ".3g", ""),
    ("seeds", "seeds", "", ""),
    ("T exact, FLOP", "exact_flops", ".1e", ""),
    ("T 6ND+2N𝒟, FLOP", "paper_flops", ".1e", ""),
    ("T of the teacher, FLOP", "teacher_flops", ".1e", ""),
    ("gzip bit/token", "gzip_bits_per_tok", ".3f", ""),
    ("xz bit/token", "xz_bits_per_tok", ".3f", ""),
    ("law bit/token", "oracle_bits_per_tok", ".3f", ".3f"),
    ("reservoir, bit", "reservoir_bits", ".1f", ".1f"),
)
# Columns that equal those of S_preq if no example is seen twice.
_EXCESS = ("EDL bit/token", "EDL bit", "EDL held-out error, bit")


def table(cells: Sequence[Cell], columns: Columns = COLUMNS) -> str:
    """The wide table. Intervals are 95 %; gzip, xz and the law compare with H.

    Left out are columns without values, and EDL if it equals S_preq, as it does if no example is
    seen twice.
    """
    columns = [column for column in columns if _is_informative(cells, *column[:2])]
    rows = [[_text(c.get(key), *form) for _, key, *form in columns] for c in measured(cells)]
    text = tabulate(rows, [head for head, *_ in columns], "simple", disable_numparse=True)
    return "\n".join([*(line.rstrip() for line in text.split("\n")), *notes(cells)])


def generators_by_observers(cells: Sequence[Cell], key: str) -> str:
    """One number of all cells: a row for each generator, a column for each observer.

    Args:
      cells: cells of `summary.cells`.
      key: of an estimate of theirs, such as `S_bits`.
    """
    rows: dict[str, dict[str, str]] = {}
    for cell in measured(cells):
        if key in cell:
            rows.setdefault(cell["generator"], {})[cell["observer"]] = rounded(*cell[key])
    observers = list(dict.fromkeys(observer for row in rows.values() for observer in row))
    body = [
        [name, *(row.get(observer, "") for observer in observers)] for name, row in rows.items()
    ]
    return tabulate(body, [key, *observers], "simple", disable_numparse=True)


def markdown(cells: Sequence[Cell], columns: Columns = COLUMNS) -> str:
    """All columns with values as a Markdown table, followed by the notes."""
    columns = [column for column in columns if any(column[1] in cell for cell in cells)]
    rows = [
        [_text(cell.get(key), *form).replace("|", "\\|") for _, key, *form in columns]
        for cell in measured(cells)
    ]
    text = tabulate(rows, [head for head, *_ in columns], "github", disable_numparse=True)
    return "\n".join([text, *(f"\n{note}" for note in notes(cells))])


def comma_separated(cells: Sequence[Cell], columns: Columns = COLUMNS) -> str:
    """All columns in full precision.

    A column with the half width of the 95 % interval, empty for a single seed, follows each
    estimate; the last column has the notes. Cells without numbers have their names and the reason.
    """
    heads, rows = [], []
    for head, _, _, half_form in columns:
        heads += [head, f"{head}, ±"] if half_form else [head]
    heads.append("notes")
    for cell in cells:
        row: list[Any] = []
        for _, key, _, half_form in columns:
            value = cell.get(key)
            if not half_form:
                row.append(value)
            else:
                row += value if isinstance(value, list) else [value, None]
        rows.append([*row, "; ".join(_notes(cell))])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([heads, *rows])
    return text.getvalue().rstrip("\n")


def as_json(cells: Sequence[Cell], columns: Columns = COLUMNS) -> str:
    """The cells as JSON; `columns` is not used."""
    return json.dumps(cells, indent=1, allow_nan=False)


FORMATS: dict[str, Callable[..., str]] = {
    "table": table,
    "csv": comma_separated,
    "json": as_json,
    "md": markdown,
}


def frontiers(curves: dict[str, Curve]) -> str:
    """S_T, H_T and their sum at each budget, a table for each generator."""
    lines = []
    for generator, curve in curves.items():
        rows = [
            [
                scientific(flops, 2),
                rounded(*structure),
                rounded(*entropy),
                f"{structure.mean + entropy.mean:.5g}",
            ]
            for flops, structure, entropy in zip(
                curve.flops, curve.structure_bits, curve.entropy_bits
            )
        ]
        heads = ["T FLOP", "S_T bit", "H_T bit", "MDL_T bit"]
        lines += ["", f"{generator}: {curve.test_tokens:.3g} coded tokens"]
        lines.append(tabulate(rows, heads, "simple", disable_numparse=True))
        points = curve.points
        if len(set(points.run)) == 1:
            lines.append("one run: only one of its points is kept; a frontier needs several runs")
        if len(set(zip(points.run, points.step))) == len(set(points.run)):
            lines.append("one evaluation per run, the last: eval.every gives more points")
    return "\n".join(lines)


def differences(cells: Sequence[Cell]) -> str:
    """Paired differences of `comparison.compare`, first minus second, a row for each pair."""
    rows = [
        [
            cell["first"],
            cell["second"],
            *(rounded(*cell[key]) for key in ("S_bits", "H_bits_per_tok", "MDL_bits_per_tok")),
            cell["seeds"],
        ]
        for cell in cells
    ]
    heads = ["first", "minus second", "S bit", "H bit/token", "MDL bit/token", "seeds"]
    return tabulate(rows, heads, "simple", disable_numparse=True)


def sensitivity(cells: Sequence[Cell]) -> str:
    """S and H under every anchor, a line for each cell."""
    lines = ["anchor: S bit / H bit per token"]
    for cell in measured(cells):
        parts = [
            f"{name}: {rounded(*values['S_bits'])} / {rounded(*values['H_bits_per_tok'])}"
            for name, values in cell["anchors"].items()
        ]
        lines.append(f"{cell['generator']} / {cell['observer']}: " + "; ".join(parts))
    return "\n".join(lines)


def chosen_rates(cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
    """The learning rate of the shortest description S + H, by generator and observer."""
    shortest: dict[tuple[str, str], tuple[float, float]] = {}
    for cell in measured(cells):
        if not cell["failed_at_step"]:
            found = cell["MDL_bits"][0] / cell["test_tok"], cell["optim"]["lr"]
            names = cell["generator"], cell["observer"]
            shortest[names] = min(found, shortest.get(names, found))
    rates: dict[str, dict[str, float]] = {}
    for (generator, observer), (_, rate) in shortest.items():
        rates.setdefault(generator, {})[observer] = rate
    return rates


def at_the_edge(cells: Sequence[Cell]) -> list[str]:
    """A line for each chosen rate beyond which no other was tried: a better one may lie there."""
    tried: dict[tuple[str, str], set[float]] = {}
    for cell in cells:
        tried.setdefault((cell["generator"], cell["observer"]), set()).add(cell["optim"]["lr"])
    lines = []
    for generator, chosen in chosen_rates(cells).items():
        for observer, rate in chosen.items():
            rates = tried[generator, observer]
            if len(rates) > 1 and rate in (min(rates), max(rates)):
                side = "smallest" if rate == min(rates) else "largest"
                lines.append(f"{generator} / {observer}: {rate:g} is the {side} rate tried")
    return lines


def tuning(cells: Sequence[Cell]) -> str:
    """The description length S + H at every learning rate.

    First for each generator and observer, then summed over the generators of a record, with a star
    at the shortest. A rate that failed on one generator has no sum.
    """
    lines = ["learning rate: (S + H) bit per token"]
    for name in ("generator", "record"):
        groups: dict[tuple[str, str], dict[float, float]] = {}
        for cell in cells:
            failed = "missing" in cell or cell["failed_at_step"]
            bits = math.inf if failed else cell["MDL_bits"][0] / cell["test_tok"]
            sums = groups.setdefault((cell[name], cell["observer"]), {})
            sums[cell["optim"]["lr"]] = sums.get(cell["optim"]["lr"], 0.0) + bits
        for (group, observer), sums in groups.items():
            best = min(sums.values()) if name == "record" else None
            parts = [
                f"{lr}: failed" if bits == math.inf else f"{lr}: {bits:.4f}{'*' * (bits == best)}"
                for lr, bits in sums.items()
            ]
            lines.append(f"{group} / {observer}: " + "; ".join(parts))
    return "\n".join(lines)


def notes(cells: Sequence[Cell]) -> list[str]:
    """Notes on the numbers, one per line; a note on several cells is given once."""
    keys = ["generator", "observer", *["code"] * (len({cell.get("code") for cell in cells}) > 1)]
    names: dict[str, list[str]] = {}
    for cell in cells:
        for note in _notes(cell):
            names.setdefault(note, []).append(" / ".join(cell[key] for key in keys))
    return [f"{'; '.join(noted)}: {note}" for note, noted in names.items()]


def _notes(cell: Cell) -> list[str]:
    if "missing" in cell:
        return [cell["missing"]]
    failed = cell.get("failed_at_step", {})
    notes = [f"member {m} failed at step {s}" for m, s in failed.items()]
    if cell.get("passes", 1) > 1:
        sampled = "EDL charges the first, S_req counts the samples of all"
        charged = sampled if "messages" in cell else "EDL and MDL charge the first"
        notes.append(
            f"{cell['passes']} passes over the same examples: {charged}; S_preq charges repeats as "
            "if they were new"
        )
    if "messages" in cell:
        notes.append(
            f"S_req is decodable from {cell['messages']:.0f} messages of "
            f"{cell['message_examples']} examples, at most KL + 2 log2(1 + KL) + 5.21 bit each; "
            "S_preq and EDL are its teacher's"
        )
        notes += [
            f"the {model} paused in {part:.0%} of the steps"
            for model, part in cell["paused"].items()
            if part
        ]
    return notes + cell.get("notes", [])


def _is_informative(cells: Sequence[Cell], head: str, key: str) -> bool:
    """Whether a column of the wide table has values, and EDL values that differ from S_preq."""
    holders = [cell for cell in measured(cells) if key in cell]
    if head in _EXCESS:
        holders = [cell for cell in holders if cell["EDL_bits"] != cell.get("S_preq_bits")]
    return bool(holders)


def _text(value: Any, form: str, half_form: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, list):
        return f"{value:{form}}"
    mean, half_width = value
    return f"{mean:{form}}" + ("" if half_width is None else f" ± {half_width:{half_form}}")
