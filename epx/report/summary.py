"""Cells: the numbers of one generator for one observer and code, over seeds.

A record may hold several generators of equal shape, so its members are grouped here. Cells depend
only on the numbers in the records and on the records' names: they have no times and no other paths.
"""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from epx.analysis import ledger
from epx.analysis.anchors import ONLINE
from epx.analysis.measurement import LN2, Estimate, Measurement, interval
from epx.record import Record, RecordError, flatten

Cell = dict[str, Any]

# The symbol of S by code.
SYMBOLS = {"prequential": "S_preq", "excess": "EDL", "requential": "S_req"}
# Rows that are above 0 if the teacher or the student of a requential code learned in a step.
ACTIVITY = {"teacher": "coded_tok", "student": "sampled_tok"}
# With fewer seeds a result is marked exploratory.
PUBLISHED_SEEDS = 5


class Run(NamedTuple):
    """Members of a record that differ only in their seed.

    Attributes:
      record: the record.
      members: their indices in the record.
      varied: the keys and values that distinguish them from the other members.
    """

    record: Record
    members: list[int]
    varied: dict[str, Any]


def cells(
    records: Sequence[Record],
    anchor: str | None = None,
    test_tokens: float | None = None,
    target_loss: float | None = None,
) -> list[Cell]:
    """Make one cell for each run, in the order of the records.

    Args:
      records: records with an evaluation.
      anchor: as in `ledger.measure`.
      test_tokens: as in `ledger.measure`.
      target_loss: bits per coded token above which the surplus description length is computed.

    Returns:
      Dicts of plain JSON values. Estimates are [mean, half width of the 95 % interval, or None for
      a single seed]. `S_bits` is the total S, `H_bits` the H of the coded set of `test_tok` tokens.
      Keys that end in `_per_tok` are bits per coded token, those in `_per_byte` bits per byte of
      the source, for generators that are cut from a source, such as text. If nothing can be
      measured, because every member failed or there is no evaluation yet, the cell has only names
      and `missing`, the reason.

    Raises:
      ValueError: as `ledger.measure`.
    """
    result = []
    for run in runs(records):
        cell = _identity(run)
        try:
            cell |= _numbers(run, anchor, test_tokens)
            if target_loss is not None:
                cell |= _surplus(run, target_loss)
                cell["notes"] += _surplus_notes(run)
        except RecordError as error:
            cell["missing"] = str(error)
        result.append(cell)
    for key in ("generator", "observer", "code"):
        _name(result, key)
    return result


def runs(records: Sequence[Record]) -> list[Run]:
    """The runs of records, in the order of their cells."""
    return [run for record in records for run in _group_by_seed(record)]


def disambiguate(cells: Sequence[Cell]) -> list[Cell]:
    """Lengthen the names of observers where cells share both generator and observer.

    The values of `optim` that differ are added, and the name of the record if some are still equal.
    """
    result = []
    for cell in cells:
        same_name = [
            other
            for other in cells
            if all(other[key] == cell[key] for key in ("generator", "observer"))
        ]
        optim = cell["optim"]
        words = [
            f"{key}={value}"
            for key, value in optim.items()
            if any(other["optim"].get(key) != value for other in same_name)
        ]
        if sum(other["optim"] == optim for other in same_name) > 1:
            words.append(cell["record"])
        result.append(cell | {"observer": ", ".join([cell["observer"], *words])})
    return result


def measured(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that hold numbers."""
    return [cell for cell in cells if "missing" not in cell]


def seeds(run: Run) -> dict[int, int]:
    """The member of each seed of a run."""
    members = run.record.config.get("members")
    if members is None:
        return {member: member for member in run.members}
    first = run.record.config.get("run", {}).get("seed", 0)
    return {members[member].get("run.seed", first): member for member in run.members}


def _group_by_seed(record: Record) -> list[Run]:
    groups: dict[str, Run] = {}
    # `figure.seeded` of a config: keys whose values belong to a seed, such as a file for each.
    of_seed = {"run.seed", *record.config.get("figure", {}).get("seeded", [])}
    count = len(record.rows["nats"]) if record.rows else 1
    for index, member in enumerate(record.config.get("members") or [{}] * count):
        varied = {key: value for key, value in member.items() if key not in of_seed}
        run = groups.setdefault(json.dumps(varied, sort_keys=True), Run(record, [], varied))
        run.members.append(index)
    return list(groups.values())


def _identity(run: Run) -> Cell:
    config = flatten(run.record.config) | run.varied
    return {
        "generator_arguments": _section(config, "generator"),
        "observer_arguments": _section(config, "observer"),
        "code_arguments": _section(config, "code") or {"name": "prequential"},
        "optim": _section(config, "optim"),
        "label": _section(config, "label"),
        "record": run.record.path.name,
        "vocab": run.record.config["facts"]["vocab"],
        "parameters": run.record.config["facts"]["parameters"],
    }


def _numbers(run: Run, anchor: str | None, test_tokens: float | None) -> Cell:
    record, members, _ = run
    measurement = ledger.measure(record, None, anchor, test_tokens, members)
    at_anchors = {
        name: ledger.measure(record, None, name, test_tokens, members)
        for name in ledger.anchors(record, members=members)
    }
    failed = {m: s for m, s in ledger.failures(record).items() if m in members}
    return {
        "seeds": len(measurement.members),
        "exploratory": len(measurement.members) < PUBLISHED_SEEDS,
        "failed_at_step": {str(m): s for m, s in failed.items()},
        "passes": int(record.rows["passes"][members].max()) + 1,
        "plateau": measurement.plateau,
        "anchor": measurement.anchor,
        "coded_tok": float(measurement.coded_tok.mean()),
        "test_tok": float(measurement.test_tok.mean()),
        "S_bits": _pair(measurement.structure_bits),
        "S_bits_per_tok": _pair(measurement.structure_bits_per_tok),
        **_by_code(record, measurement, anchor),
        "H_bits": _pair(measurement.entropy_bits),
        "H_bits_per_tok": _pair(measurement.entropy_bits_per_tok),
        "MDL_bits": _pair(measurement.description_bits),
        "MDL_bits_per_tok": _pair(measurement.description_bits_per_tok),
        **_per_byte(record, measurement),
        "exact_flops": float(measurement.exact_flops.mean()),
        "paper_flops": float(measurement.paper_flops.mean()),
        "anchors": {
            name: {
                "S_bits": _pair(at_anchor.structure_bits),
                "H_bits_per_tok": _pair(at_anchor.entropy_bits_per_tok),
            }
            for name, at_anchor in at_anchors.items()
        },
        **_baselines(record, measurement.members),
    }


def _by_code(record: Record, default: Measurement, anchor: str | None) -> Cell:
    """S by every code of a record, in total and per token of the coded set.

    `default` is the measurement by the code that made the record. EDL is per token of its first
    pass, and where it rests on held-out examples it comes with their standard error.
    """
    members = default.members.tolist()
    extended = record.env.get("extended", [])
    notes = [f"extended after {steps} steps" for steps in extended]
    result: Cell = {}
    for code in ledger.codes(record):
        name = SYMBOLS[code]
        try:
            measurement = ledger.measure(record, code, anchor, members=members)
        except RecordError as error:  # such as an anchor that the teacher lacks
            notes.append(f"no {name}: {error}")
            continue
        result[f"{name}_bits"] = _pair(measurement.structure_bits)
        set_tok = measurement.coded_tok if code == "excess" else default.test_tok
        per_tok = measurement._replace(test_tok=set_tok).structure_bits_per_tok
        result[f"{name}_bits_per_tok"] = _pair(per_tok)
        if code == "excess" and measurement.plateau not in ONLINE:
            errors_M = measurement.anchored_tok * measurement.plateau_error_nats / LN2
            result["EDL_held_out_error_bits"] = float(errors_M.mean())
    if ledger.is_requential(record):
        result |= _requential(record, members)
        notes += _teacher_step_notes(record, members)
    return result | {"notes": notes}


def _requential(record: Record, members: list[int]) -> Cell:
    """Messages, compute and pauses of a requential record."""
    rows = {k: v[members, : max(record.evals)] for k, v in record.rows.items()}
    active_MxK = np.maximum(rows["coded_tok"], rows["sampled_tok"]) > 0
    # Steps up to the last one in which teacher or student learned.
    unfinished_MxK = np.cumsum(active_MxK[:, ::-1], axis=1)[:, ::-1] > 0
    return {
        "decodable_bits": _pair(ledger.decodable_bits(record, members)),
        "messages": float(rows["messages"].sum(1).mean()),
        "message_examples": record.config["code"]["message"] or record.config["run"]["batch"],
        "teacher_flops": float((rows["teacher_flops"] + rows["draw_flops"]).sum(1).mean()),
        "paused": {
            model: float((rows[tok][unfinished_MxK] == 0).mean()) for model, tok in ACTIVITY.items()
        },
    }


def _teacher_step_notes(record: Record, members: list[int]) -> list[str]:
    """A note if the run ended before the teacher had taken all its steps."""
    steps = record.config["code"]["teacher_steps"]
    taken_M = (record.rows["coded_tok"][members, : max(record.evals)] > 0).sum(1)
    if steps is None or taken_M.min() >= steps:
        return []
    taken = f"{taken_M.min()} to {taken_M.max()}"
    return [f"its teachers took {taken} of code.teacher_steps={steps}: run.steps ended the run"]


def _surplus(run: Run, target_loss: float) -> Cell:
    """Surplus description length and sample complexity, averaged over seeds.

    Both are lower bounds if not all seeds reached the target; `SDL_reached` counts those that did.
    """
    surplus = ledger.surplus(run.record, target_loss * LN2, run.members)
    return {
        "target_bits_per_tok": target_loss,
        "SDL_bits": _pair(interval(surplus.nats / LN2)),
        "SDL_tok": _pair(interval(surplus.tok)),
        "SDL_reached": int(surplus.reached.sum()),
    }


def _surplus_notes(run: Run) -> list[str]:
    single = len(run.record.evals) == 1
    return ["one evaluation: the tokens that SDL needs are an upper bound"] if single else []


def _per_byte(record: Record, measurement: Measurement) -> Cell:
    """S and H in bits per byte of the source, which compares tokenisations."""
    size = record.config["facts"].get("source_bytes_per_tok")
    if size is None:
        return {}
    parts = {"S": measurement.structure_bits_per_tok, "H": measurement.entropy_bits_per_tok}
    return {
        f"{name}_bits_per_byte": _pair(Estimate(bits.mean / size, bits.half_width / size))
        for name, bits in parts.items()
    }


def _pair(estimate: Estimate) -> list[float | None]:
    """An estimate as a JSON value; None for a half width that a single member does not have."""
    return [estimate.mean, None if math.isnan(estimate.half_width) else estimate.half_width]


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in config.items() if k.startswith(prefix)}


def _baselines(record: Record, members: np.ndarray) -> Cell:
    """gzip, xz and the generator's own law, in bits per coded token of held-out examples.

    And the reservoir score above its floor, in bits, a mean over members with its interval.
    """
    arrays = record.baselines
    if not arrays:
        return {}
    tok = arrays["compressed_tok"][members].sum()
    result: Cell = {
        f"{name}_bits_per_tok": float(arrays[f"{name}_bits"][members].sum() / tok)
        for name in ("gzip", "xz")
    }
    if "oracle_nats" in arrays:
        law = ledger.measure(record, "excess", "oracle", members=members.tolist())
        result["oracle_bits_per_tok"] = _pair(law.entropy_bits_per_tok)
    if "reservoir_bits" in arrays:
        above = arrays["reservoir_bits"] - arrays["reservoir_floor_bits"]
        result["reservoir_bits"] = _pair(interval(above[members]))
    return result


def _name(cells: list[Cell], key: str) -> None:
    """Name the generator, observer or code of each cell.

    The name is the label of the config, or the module with the arguments that distinguish the cell
    from others of that module.
    """
    for cell in cells:
        arguments = cell[f"{key}_arguments"]
        if key in cell["label"]:
            cell[key] = cell["label"][key].format(**arguments)
            continue
        same_module = [
            other[f"{key}_arguments"]
            for other in cells
            if other[f"{key}_arguments"].get("name") == arguments.get("name")
        ]
        distinguishing = [
            k for k in arguments if any(other.get(k) != arguments[k] for other in same_module)
        ]
        words = [f"{k}={arguments[k]}" for k in distinguishing if arguments[k] is not None]
        cell[key] = " ".join([str(arguments.get("name", "")).rpartition(".")[2], *words]).strip()
