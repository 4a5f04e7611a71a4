"""Labels with inputs from a CSV file: what is said of Y given X."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from epx import files
from epx.data.anything import KEY, MOST_TOKENS
from epx.types import refusal, require

MOST_CLASSES = 64  # of a column of inputs that are no numbers


class Labelled(NamedTuple):
    """Labels with inputs: what is said of Y given X.

    Attributes:
      name: of the file and the column.
      inputs_NxR: float32, with mean 0 and variance 1, or 0 where they are constant.
      labels_N: int32.
      classes: the labels as in the file.
    """

    name: str
    inputs_NxR: np.ndarray
    labels_N: np.ndarray
    classes: tuple[str, ...]


def labelled(path: Path | str, label: str, inputs: tuple[str, ...] = ()) -> Labelled:
    """The labels of a column of a CSV file, and its other columns as inputs.

    Args:
      path: the file, with a line of names.
      label: the column of the labels.
      inputs: columns that are given; empty means all others. One whose values are no numbers has a
        number for each of its values.

    Raises:
      ValueError: no such file or column, two columns of a name, a missing value, or too many labels
        or values.
    """
    path = Path(path)
    content = files.read(KEY, str(path), "a CSV file")
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise refusal(KEY, str(path), f"a CSV file in UTF-8; {error}") from error
    require(KEY, str(path), len(rows) > 1, "a CSV file with a line of names and rows below it")
    names = [name.strip() for name in rows[0]]
    twice = sorted({name for name in names if names.count(name) > 1})
    require(KEY, str(path), not twice, f"columns of different names; two are {', '.join(twice)}")
    for name in (label, *inputs):
        require("column", name, name in names, f"the columns of the file: {', '.join(names)}")
    ragged = next((n for n, row in enumerate(rows, 1) if len(row) != len(names)), None)
    accepted = f"rows of {len(names)} values; line {ragged} has another number"
    require(KEY, str(path), ragged is None, accepted)
    columns = {name: [row[n].strip() for row in rows[1:]] for n, name in enumerate(names)}
    classes, labels_N = np.unique(np.array(columns[label]), return_inverse=True)
    bound = f"a label of 2 to {MOST_TOKENS:,} classes; this one has {len(classes)}"
    require("column", label, 2 <= len(classes) <= MOST_TOKENS, bound)
    given = inputs or tuple(name for name in names if name != label)
    require("column", label, bool(given), "a label beside at least one column of inputs")
    vectors = np.concatenate([_vectors(name, columns[name]) for name in given], axis=1)
    name = f"{path.name}: {label}"
    return Labelled(name, vectors, labels_N.astype(np.int32), tuple(map(str, classes)))


def _vectors(name: str, values: list[str]) -> np.ndarray:
    """A column as numbers of mean 0 and variance 1, or as one number for each of its values."""
    try:
        numbers_N = np.array([float(value) for value in values])
    except ValueError:
        classes, index_N = np.unique(np.array(values), return_inverse=True)
        bound = f"a column of numbers, or of at most {MOST_CLASSES} different values; this one has"
        require("column", name, len(classes) <= MOST_CLASSES, f"{bound} {len(classes)}")
        return np.eye(len(classes), dtype=np.float32)[index_N]
    missing = int((~np.isfinite(numbers_N)).sum())
    require("column", name, not missing, f"a column of finite numbers; {missing} are not")
    centred_N = numbers_N - numbers_N.mean()
    deviation = centred_N.std()
    scaled_N = centred_N / deviation if deviation > 0 else centred_N
    return scaled_N.astype(np.float32)[:, None]
