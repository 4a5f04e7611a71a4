"""A table for a terminal: five numbers of each cell, in the width that there is."""

import textwrap
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from epx.report import tables
from epx.report.rounding import rounded, scientific
from epx.report.summary import Cell, measured

# Head, in two lines, and key of each column after the names.
COLUMNS = (
    ("S\nbit", "S_bits"),
    ("H\nbit/token", "H_bits_per_tok"),
    ("MDL\nbit/token", "MDL_bits_per_tok"),
    ("T\nFLOP", "exact_flops"),
    ("seeds", "seeds"),
)
# If a column of names has fewer characters, the generator is on a separate line.
NARROW = 16


def table(cells: Sequence[Cell], width: int) -> str:
    """A table for a terminal: S, H, MDL, T and seeds, with long names wrapped.

    Args:
      cells: from `summary.cells`.
      width: characters in a line, at least 72.
    """
    cells = _short_codes(cells)
    shown = measured(cells)
    names = ["generator", "observer", *["code"] * (len({cell["code"] for cell in shown}) > 1)]
    tight = width < 100
    numbers = [[_number(cell[key], tight) for _, key in COLUMNS] for cell in shown]
    heads = [head for head, _ in COLUMNS]
    columns = zip(*numbers) if numbers else [[""]] * len(heads)
    # Columns are two spaces apart; `tabulate` makes a column two wider than its head.
    least = [max(map(len, head.split("\n"))) + 2 for head in heads]
    room = width - sum(2 + max(n, *map(len, column)) for n, column in zip(least, columns))
    lengths = [max(len(name) + 2, *(len(c[name]) for c in shown), 0) for name in names]
    widths = _share(room - 2 * (len(names) - 1), lengths)
    wraps = any(given < length for given, length in zip(widths, lengths))
    if wraps and min(widths) < NARROW:
        heads = ["generator\n- observer", *heads]
        rows = _rows_below_generators(shown, numbers, names, max(room, 10))
    else:
        heads = [*names, *heads]
        rows = [
            [*(_wrap(str(cell[name]), size) for name, size in zip(names, widths)), *row]
            for cell, row in zip(shown, numbers)
        ]
    lines = [tabulate(rows, heads, "simple", disable_numparse=True)] if shown else []
    lines += [textwrap.fill(note, width, subsequent_indent="  ") for note in tables.notes(cells)]
    return "\n".join(line.rstrip() for line in "\n".join(lines).split("\n"))


def _short_codes(cells: Sequence[Cell]) -> list[Cell]:
    """The cells with codes named without their keys, unless only these tell two cells apart."""
    short = [cell | {"code": cell["code"].partition(" ")[0]} for cell in cells]
    names = {(cell["generator"], cell["observer"], cell["code"]) for cell in short}
    return short if len(names) == len(short) else list(cells)


def _rows_below_generators(
    cells: Sequence[Cell], numbers: list[list[str]], names: list[str], room: int
) -> list[list[str]]:
    """Rows whose first column has each generator's name once, and its observers below it."""
    rows: list[list[str]] = []
    last = None
    for cell, row in zip(cells, numbers):
        if cell["generator"] != last:
            rows.append([_wrap(cell["generator"], room), *[""] * len(row)])
            last = cell["generator"]
        observer = ", ".join(cell[name] for name in names[1:])
        rows.append([_wrap(observer, room, "- "), *row])
    return rows


def _share(room: int, lengths: list[int]) -> list[int]:
    """Divide characters among columns: the full length if possible, else about equal widths."""
    widths = [0] * len(lengths)
    left = max(room, 0)
    for rank, (length, index) in enumerate(sorted((n, i) for i, n in enumerate(lengths))):
        widths[index] = min(length, left // (len(lengths) - rank))
        left -= widths[index]
    return widths


def _wrap(text: str, width: int, bullet: str = "") -> str:
    indent = " " * len(bullet)
    return textwrap.fill(text, width, initial_indent=bullet, subsequent_indent=indent)


def _number(value: Any, tight: bool) -> str:
    """A value of the compact table as text."""
    if isinstance(value, list):
        return rounded(*value, tight)
    return str(value) if isinstance(value, int) else scientific(value, 1)
