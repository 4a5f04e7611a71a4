"""Logs of other programs as tables: CSV, JSON, JSON lines, TensorBoard event files.

Exports of wandb (CSV, JSON lines) and the `trainer_state.json` of Hugging Face are such tables.
"""

import csv
import io
import itertools
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from epx import files
from epx.analysis.logs import events
from epx.types import refusal, require

KEY = "log"
Table = dict[str, np.ndarray]


def read(path: Path | str) -> Table:
    """The columns of a log by name, float64 with nan where there is no number.

    Args:
      path: a file, or a folder with event files.

    Raises:
      ValueError: there is no log, or it cannot be read.
    """
    path = Path(path)
    if path.is_dir() or ".tfevents." in path.name:
        return _events(path)
    content = files.read(KEY, path, "a log: CSV, JSON, JSON lines, or TensorBoard events")
    require(KEY, str(path), bool(content.strip()), "a log that is not empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refusal(KEY, str(path), f"text in UTF-8; {error}") from error
    start = text.lstrip()[0]
    try:
        columns = _json(text) if start in "{[" else _csv(path, text)
    except (json.JSONDecodeError, csv.Error) as error:
        raise refusal(KEY, str(path), f"a log in CSV, JSON or JSON lines; {error}") from error
    numbers = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    require(KEY, str(path), bool(numbers), "a log with a column of numbers")
    return numbers


def _csv(path: Path, text: str) -> Table:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    names = next(csv.reader([head], delimiter=delimiter))
    names = [name.strip() for name in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    accepted = f"columns of different names; there are two of {', '.join(twice)}"
    require(KEY, str(path), not twice, accepted)
    body = text[len(head) + 1 :]
    if not body.strip():
        return {}
    try:  # a table without gaps, in one go
        array = np.loadtxt(io.StringIO(body), delimiter=delimiter, ndmin=2, comments=None)
        if array.shape[1] == len(names):
            return dict(zip(names, array.T))
    except ValueError:
        pass
    rows = list(csv.reader(io.StringIO(body), delimiter=delimiter))
    columns = itertools.islice(itertools.zip_longest(*rows, fillvalue=""), len(names))
    return {name: _numbers(column) for name, column in zip(names, columns)}


def _numbers(texts: Iterable[Any]) -> np.ndarray:
    return np.array([_number(text) for text in texts], np.float64)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return np.nan


def _json(text: str) -> Table:
    """A list of rows, a row a line, `log_history` of a dict, or a dict of columns."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        lines = [line for line in text.splitlines() if line.strip()]
        found = json.loads(f"[{','.join(lines)}]")
    if isinstance(found, dict):
        found = found.get("log_history", found)
    if isinstance(found, dict):
        lists = {name: column for name, column in found.items() if isinstance(column, list)}
        return _padded(lists) if lists else _rows([found])
    return _rows([row for row in found if isinstance(row, dict)])


def _padded(lists: dict[str, list]) -> Table:
    length = max(map(len, lists.values()))
    return {name: _numbers([*c, *[None] * (length - len(c))]) for name, c in lists.items()}


def _rows(rows: Sequence[dict]) -> Table:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _numbers([row.get(name) for row in rows]) for name in names}


def _events(path: Path) -> Table:
    """Tags begin with the folder of their file, below the deepest one that holds all files.

    Writers of training and validation have a folder each, with the same tags in both.
    """
    found = sorted(path.rglob("*.tfevents.*")) if path.is_dir() else [path]
    require(KEY, str(path), bool(found), "a folder with TensorBoard event files")
    whole = os.path.commonpath([file.parent for file in found])
    by_step: dict[tuple[int, int], dict[str, float]] = {}
    for number, file in enumerate(found):
        below = file.parent.relative_to(whole).as_posix().removeprefix(".")
        try:
            for step, tag, value in events.scalars(file):
                row = by_step.setdefault((number, step), {"step": step})
                row[f"{below}/{tag}" if below else tag] = value
        except (events.EventError, OSError) as error:
            raise refusal(KEY, str(file), f"a TensorBoard event file; {error}") from error
    require(KEY, str(path), bool(by_step), "event files with scalars")
    return _rows(list(by_step.values()))
