"""Cells of `tables.py` as text: a table for a terminal, Markdown, CSV and JSON, with the unit in
every head; and what moves with the anchor or with the learning rate."""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from epx.analysis.frontier import Curve
from epx.analysis.measurement import Estimate
from epx.report.summary import Cell, measured

Columns = Sequence[tuple[str, str, str, str]]

# Head, key of a cell, format of the value and of its half width.
COLUMNS = (
    ("world", "world", "", ""),
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
    ("EDL held-out error, bit", "EDL_heldout_error_bits", ".1g", ""),
    ("SDL bit", "SDL_bits", ".3g", ".1g"),
    ("SDL at, bit/token", "good_enough_bits_per_tok", "g", ""),
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
)


# Columns of a terminal that say no more than those of S_preq where nothing is seen twice.
_EXCESS = ("EDL bit/token", "EDL bit", "EDL held-out error, bit")


def table(found: Sequence[Cell], columns: Columns = COLUMNS) -> str:
    """The table of a terminal. Intervals are 95 %; gzip, xz and the world's own law are in bits
    per coded token, to be read beside H. Columns that no cell has are left out, and EDL where it is
    S_preq, as it is wherever examples are seen once."""
    columns = [column for column in columns if _tells(found, *column[:2])]
    rows = [[head for head, *_ in columns]]
    rows += [[_text(c.get(key), *form) for _, key, *form in columns] for c in measured(found)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(columns))]
    lines = ["  ".join(word.ljust(w) for word, w in zip(row, widths)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, *notes(found)])


def markdown(found: Sequence[Cell], columns: Columns = COLUMNS) -> str:
    """Every column that a cell has, in a table of Markdown, the notes below it."""
    columns = [c for c in columns if any(c[1] in cell for cell in found)]
    rows = [[head for head, *_ in columns], ["---"] * len(columns)]
    rows += [[_text(c.get(key), *form) for _, key, *form in columns] for c in measured(found)]
    lines = ["| " + " | ".join(word.replace("|", "\\|") for word in row) + " |" for row in rows]
    return "\n".join([*lines, *(f"\n{note}" for note in notes(found))])


def comma_separated(found: Sequence[Cell], columns: Columns = COLUMNS) -> str:
    """Every column in full precision, behind an estimate the half width of its 95 % interval in a
    column of its own, empty for a single seed, and the notes in the last one. Cells without numbers
    have their names and the reason."""
    heads, rows = [], []
    for head, _, _, half_form in columns:
        heads += [head, f"{head}, ±"] if half_form else [head]
    heads.append("notes")
    for cell in found:
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


FORMATS: dict[str, Callable[..., str]] = {
    "table": table,
    "csv": comma_separated,
    "json": lambda found, columns=COLUMNS: json.dumps(found, indent=1, allow_nan=False),
    "md": markdown,
}


def frontiers(worlds: dict[str, Curve]) -> str:
    """S_T, H_T and their sum at each budget, a table for each world."""
    lines = []
    for world, one in worlds.items():
        lines += ["", f"{world}: {one.test_tokens:.3g} coded tokens", f"{'T FLOP':>10}"]
        lines[-1] += "".join(f"{head:>24}" for head in ("S_T bit", "H_T bit", "MDL_T bit"))
        for flops, structure, entropy in zip(one.flops, one.structure_bits, one.entropy_bits):
            parts = [_estimate(bits) for bits in (structure, entropy)]
            total = f"{structure.mean + entropy.mean:.4g}"
            lines.append(f"{flops:10.2e}" + "".join(f"{part:>24}" for part in (*parts, total)))
        if len(set(one.points.run)) == 1:
            lines.append("one run: one of its points is kept; a frontier is drawn over several")
        if len(set(zip(one.points.run, one.points.step))) == len(set(one.points.run)):
            lines.append("one evaluation a run, its last: eval.every gives more points")
    return "\n".join(lines)


def _estimate(bits: Estimate) -> str:
    known = "" if math.isnan(bits.half_width) else f" ± {bits.half_width:.2g}"
    return f"{bits.mean:.4g}{known}"


def sensitivity(found: Sequence[Cell]) -> str:
    """How S and H move with the anchor, a line for each cell."""
    lines = ["anchor: S bit / H bit per token"]
    for cell in measured(found):
        parts = [
            f"{name}: {_text(values['S_bits'], '.3g', '.1g')} / "
            f"{_text(values['H_bits_per_tok'], '.4f', '.4f')}"
            for name, values in cell["anchors"].items()
        ]
        lines.append(f"{cell['world']} / {cell['observer']}: " + "; ".join(parts))
    return "\n".join(lines)


def tuning(found: Sequence[Cell]) -> str:
    """The description length S + H at every learning rate: for each world and observer, and summed
    over the worlds of a record, where the shortest is starred and chosen. A rate that failed in
    one of the worlds has no sum."""
    lines = ["learning rate: (S + H) bit per token"]
    for name in ("world", "record"):
        groups: dict[tuple[str, str], dict[float, float]] = {}
        for cell in found:
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


def notes(found: Sequence[Cell]) -> list[str]:
    """A line for everything that a reader of the numbers should know."""
    return [f"{c['world']} / {c['observer']}: {note}" for c in found for note in _notes(c)]


def _notes(cell: Cell) -> list[str]:
    if "missing" in cell:
        return [cell["missing"]]
    failed = cell.get("failed_at_step", {})
    notes = [f"member {m} failed at step {s}" for m, s in failed.items()]
    if cell.get("passes", 1) > 1:
        first = "S_req counts the draws of all" if "messages" in cell else "MDL is of the first"
        notes.append(
            f"{cell['passes']} passes over the same examples: EDL charges the first, S_preq "
            f"charges repeats as if they were new, and {first}"
        )
    if "messages" in cell:
        notes.append(
            f"S_req is decodable from {cell['messages']:.0f} messages of "
            f"{cell['message_examples']} examples, at most KL + 2 log2(1 + KL) + 5.21 bit each; "
            "S_preq and EDL are its teacher's"
        )
        notes += [
            f"the {who} waited {part:.0%} of the steps"
            for who, part in cell["waited"].items()
            if part
        ]
    return notes + cell.get("notes", [])


def _tells(found: Sequence[Cell], head: str, key: str) -> bool:
    """Whether a column of the terminal says anything."""
    cells = [cell for cell in measured(found) if key in cell]
    if head in _EXCESS:
        cells = [cell for cell in cells if cell["EDL_bits"] != cell.get("S_preq_bits")]
    return bool(cells)


def _text(value: Any, form: str, half_form: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, list):
        return f"{value:{form}}"
    mean, half_width = value
    return f"{mean:{form}}" + ("" if half_width is None else f" ± {half_width:{half_form}}")
