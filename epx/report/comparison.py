"""Paired differences between generators, observers or records with the same seeds."""

import math
from collections.abc import Sequence

import numpy as np

from epx.analysis import ledger
from epx.analysis.measurement import LN2, Measurement, interval
from epx.record import Record, RecordError
from epx.report import summary
from epx.report.summary import Cell, Run
from epx.types import require

NAMES = ("generator", "observer", "record")


def compare(
    records: Sequence[Record],
    cells: Sequence[Cell],
    first: str,
    second: str,
    anchor: str | None = None,
    test_tokens: float | None = None,
) -> list[Cell]:
    """Mean differences over common seeds, first minus second, with their intervals.

    Runs with the same seed draw the same streams, so that common variation cancels.

    Args:
      records: the records.
      cells: their cells, in the same order, with the names of the tables.
      first: name of a generator, an observer, a record, or `generator / observer`.
      second: as `first`. Each run of `first` is paired with the run of `second` with which it has
        most names in common.
      anchor: as in `ledger.measure`.
      test_tokens: as in `ledger.measure`.

    Returns:
      A cell for each pair: the names, the number of seeds, and `S_bits`, `H_bits_per_tok` and
      `MDL_bits_per_tok` as [mean difference, half width or None].

    Raises:
      ValueError: no measured run has the name.
      RecordError: two runs have no seed in common.
    """
    runs = summary.runs(records)
    pairs = []
    for index in _select(cells, first):
        candidates = [other for other in _select(cells, second) if other != index]
        require("compare", second, bool(candidates), "a name of other runs than the first")
        partner = max(candidates, key=lambda other: _common(cells[index], cells[other]))
        pairs.append((index, partner))
    result = []
    for pair in pairs:
        names = [f"{cells[n]['generator']} / {cells[n]['observer']}" for n in pair]
        if names[0] == names[1]:
            names = [f"{name} / {cells[n]['record']}" for name, n in zip(names, pair)]
        differences = difference(*(runs[n] for n in pair), anchor, test_tokens)
        result.append({"first": names[0], "second": names[1], **differences})
    return result


def _select(cells: Sequence[Cell], name: str) -> list[int]:
    """Indices of the measured cells with this name."""
    selected, known = [], {}
    for index, cell in enumerate(cells):
        if "missing" in cell:
            continue
        names = [cell[key] for key in NAMES] + [f"{cell['generator']} / {cell['observer']}"]
        known |= dict.fromkeys(names)
        if name in names:
            selected.append(index)
    require("compare", name, bool(selected), "one of " + "; ".join(sorted(known)))
    return selected


def _common(first: Cell, second: Cell) -> int:
    return sum(first[key] == second[key] for key in (*NAMES, "code"))


def difference(
    first: Run, second: Run, anchor: str | None = None, test_tokens: float | None = None
) -> Cell:
    """The mean difference of two runs over their common seeds; as `compare` for one pair.

    Raises:
      RecordError: they have no seed in common.
    """
    measurements = [
        ledger.measure(run.record, None, anchor, test_tokens, run.members)
        for run in (first, second)
    ]
    positions = [
        {seed: finite.index(member) for seed, member in members.items() if member in finite}
        for members, finite in zip(
            map(summary.seeds, (first, second)), (m.members.tolist() for m in measurements)
        )
    ]
    seeds = sorted(positions[0].keys() & positions[1].keys())
    if not seeds:
        raise RecordError(f"{first.record.path} and {second.record.path} have no seed in common")
    indices = [[position[seed] for seed in seeds] for position in positions]
    result: Cell = {"seeds": len(seeds)}
    for key, values in (
        ("S_bits", _structure),
        ("H_bits_per_tok", _entropy_per_tok),
        ("MDL_bits_per_tok", _description_per_tok),
    ):
        values_M, errors = zip(*(values(m, i) for m, i in zip(measurements, indices)))
        # Errors of held-out examples shared by the seeds. If both runs have the same examples, the
        # errors partly cancel, and the interval is too wide.
        estimate = interval((values_M[0] - values_M[1]) / LN2, math.hypot(*errors) / LN2)
        result[key] = [estimate.mean, None if math.isnan(estimate.half_width) else estimate[1]]
    return result


def _structure(measurement: Measurement, index: list[int]) -> tuple[np.ndarray, float]:
    errors_M = measurement.structure_shared_error_nats[index]
    return measurement.structure_nats[index], float(np.mean(errors_M))


def _entropy_per_tok(measurement: Measurement, index: list[int]) -> tuple[np.ndarray, float]:
    errors_M = (measurement.entropy_shared_error_nats / measurement.test_tok)[index]
    return measurement.anchor_nats[index], float(np.mean(errors_M))


def _description_per_tok(measurement: Measurement, index: list[int]) -> tuple[np.ndarray, float]:
    nats_M = measurement.structure_nats + measurement.entropy_nats
    errors_M = measurement.description_shared_error_nats / measurement.test_tok
    return (nats_M / measurement.test_tok)[index], float(np.mean(errors_M[index]))
