"""From records to the numbers that are printed and drawn: a cell is one world for one observer,
over its seeds. A record may hold several worlds of equal shape; its members are grouped here."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from epx.analysis import ledger
from epx.analysis.measurement import LN2, Estimate, Measurement, interval
from epx.record import Record, RecordError, flatten

Cell = dict[str, Any]

# Who learns from which tokens of a requential code.
_WAITS = {"teacher": "coded_tok", "student": "sampled_tok"}
# Fewer seeds than this make a figure exploratory, not publishable.
PUBLISHED_SEEDS = 5


def cells(
    records: Sequence[Record],
    anchor: str | None = None,
    test_tokens: float | None = None,
    good_enough: float | None = None,
) -> list[Cell]:
    """One cell for each world and observer, in the order of the records.

    Args:
      records: records with an evaluation.
      anchor, test_tokens: as in `ledger.prequential`.
      good_enough: bits per coded token above which the surplus description length is stated.

    Returns:
      Dicts of plain values that JSON can hold. Estimates are [mean, half width of the 95 %
      interval, or None for a single seed]; `S_bits` is S in all, `H_bits` is H of the coded set of
      `test_tok` tokens, and keys that end in `_per_tok` are bits per coded token, those in
      `_per_byte`, of worlds that are cut from a source such as text, bits per byte of the source.
      Where nothing can be measured, as every member failed or the run has no evaluation yet, the
      cell has only names and `missing`, the reason.

    Raises:
      ValueError: as `ledger.prequential`.
    """
    found = []
    for record, members, varied in runs(records):
        cell = _identity(record, varied)
        try:
            cell |= _numbers(record, members, anchor, test_tokens)
            if good_enough is not None:
                cell |= _surplus(record, members, good_enough, cell)
        except RecordError as error:
            cell["missing"] = str(error)
        found.append(cell)
    _label(found, "generator", "world")
    _label(found, "observer_arguments", "observer")
    _label(found, "code_arguments", "code")
    return found


def runs(records: Sequence[Record]) -> list[tuple[Record, list[int], dict[str, Any]]]:
    """The runs of some records, in the order of their cells: a record, those of its members that
    differ in their seed alone, and what tells them from its other members."""
    return [(record, members, varied) for record in records for varied, members in _worlds(record)]


def told_apart(found: Sequence[Cell]) -> list[Cell]:
    """The cells, with longer names of observers where a world and an observer come twice: what was
    learned with other values of `optim`, or else in another record."""
    longer = []
    for cell in found:
        alike = [c for c in found if all(c[key] == cell[key] for key in ("world", "observer"))]
        optim = cell["optim"]
        words = [f"{k}={v}" for k, v in optim.items() if any(c["optim"].get(k) != v for c in alike)]
        if sum(c["optim"] == optim for c in alike) > 1:
            words.append(cell["record"])
        longer.append(cell | {"observer": ", ".join([cell["observer"], *words])})
    return longer


def measured(found: Sequence[Cell]) -> list[Cell]:
    """The cells that hold numbers."""
    return [cell for cell in found if "missing" not in cell]


def _worlds(record: Record) -> list[tuple[dict[str, Any], list[int]]]:
    """The different worlds among a record's members, each with the members that train on it."""
    groups: dict[str, tuple[dict[str, Any], list[int]]] = {}
    for index, member in enumerate(record.config.get("members") or [{}] * _members(record)):
        varied = {k: v for k, v in member.items() if k != "run.seed"}
        groups.setdefault(json.dumps(varied, sort_keys=True), (varied, []))[1].append(index)
    return list(groups.values())


def _members(record: Record) -> int:
    return len(record.rows["nats"]) if record.rows else 1


def _identity(record: Record, varied: dict[str, Any]) -> Cell:
    config = flatten(record.config) | varied
    return {
        "generator": _section(config, "generator"),
        "observer_arguments": _section(config, "observer"),
        "code_arguments": _section(config, "code") or {"name": "prequential"},
        "optim": _section(config, "optim"),
        "label": _section(config, "label"),
        "record": record.path.name,
        "vocab": record.config["facts"]["vocab"],
        "parameters": record.config["facts"]["parameters"],
    }


def _numbers(
    record: Record, members: list[int], anchor: str | None, test_tokens: float | None
) -> Cell:
    own = ledger.own(record)
    result = own(record, anchor, test_tokens, members)
    offered = ledger.anchors(record, members=members)
    at_anchors = {name: own(record, name, test_tokens, members) for name in offered}
    failed = {m: s for m, s in ledger.failures(record).items() if m in members}
    # A run's time is shared by its members, which run side by side.
    share = len(members) / _members(record)
    return {
        "seeds": len(result.members),
        "exploratory": len(result.members) < PUBLISHED_SEEDS,
        "failed_at_step": {str(m): s for m, s in failed.items()},
        "passes": int(record.rows["passes"][members].max()) + 1,
        "anchor": result.anchor,
        "coded_tok": float(result.coded_tok.mean()),
        "test_tok": float(result.test_tok.mean()),
        "S_bits": _pair(result.structure_bits),
        "S_bits_per_tok": _pair(result.structure_bits_per_tok),
        **_by_code(record, result, anchor),
        "H_bits": _pair(result.entropy_bits),
        "H_bits_per_tok": _pair(result.entropy_bits_per_tok),
        "MDL_bits": _pair(result.description_bits),
        "MDL_bits_per_tok": _pair(result.description_bits_per_tok),
        **_per_byte(record, result),
        "exact_flops": float(result.exact_flops.mean()),
        "paper_flops": float(result.paper_flops.mean()),
        "seconds": float(record.rows["seconds"][0].sum()) * share,
        "anchors": {
            name: {
                "S_bits": _pair(m.structure_bits),
                "H_bits_per_tok": _pair(m.entropy_bits_per_tok),
            }
            for name, m in at_anchors.items()
        },
    } | _rulers(record, result.members)


def _by_code(record: Record, result: Measurement, anchor: str | None) -> dict[str, Any]:
    """S by every code that the record allows, in all and per token of the coded set: `S_preq`;
    `EDL`, per token of its first pass, with the standard error that it has from the held-out set;
    and of a requential record, whose first two are its teacher's, `S_req`."""
    codes = {"S_preq": ledger.prequential, "EDL": ledger.excess}
    if ledger.is_in_blocks(record):
        del codes["S_preq"]
    if ledger.is_requential(record):
        codes["S_req"] = ledger.requential
    found: dict[str, Any] = {"notes": []}
    for name, code in codes.items():
        try:
            measured = code(record, anchor, members=list(result.members))
        except RecordError as error:  # such as an anchor that the teacher does not offer
            found["notes"].append(f"no {name}: {error}")
            continue
        found[f"{name}_bits"] = _pair(measured.structure_bits)
        set_tok = measured.coded_tok if name == "EDL" else result.test_tok
        per_tok = measured._replace(test_tok=set_tok).structure_bits_per_tok
        found[f"{name}_bits_per_tok"] = _pair(per_tok)
        if name == "EDL":
            errors = measured.anchored_tok * measured.anchor_error_nats / LN2
            found["EDL_heldout_error_bits"] = float(errors.mean())
    if "S_req" in codes:
        found |= _requential(record, result)
        found["notes"] += _lessons(record, result)
    return found


def _requential(record: Record, result: Measurement) -> dict[str, Any]:
    """What else there is to say of a requential record."""
    rows = {k: v[result.members, : max(record.evals)] for k, v in record.rows.items()}
    busy = np.maximum(rows["coded_tok"], rows["sampled_tok"]) > 0
    under_way = np.cumsum(busy[:, ::-1], axis=1)[:, ::-1] > 0  # behind that both rest
    waited = {who: float((rows[k][under_way] == 0).mean()) for who, k in _WAITS.items()}
    return {
        "decodable_bits": _pair(ledger.decodable_bits(record, list(result.members))),
        "messages": float(rows["messages"].sum(1).mean()),
        "message_examples": record.config["code"]["message"] or record.config["run"]["batch"],
        "teacher_flops": float((rows["teacher_flops"] + rows["draw_flops"]).sum(1).mean()),
        "waited": waited,
    }


def _lessons(record: Record, result: Measurement) -> list[str]:
    """What is to be said where the run ended before the teacher had its lessons."""
    wanted = record.config["code"]["teacher_steps"]
    had_M = (record.rows["coded_tok"][result.members, : max(record.evals)] > 0).sum(1)
    if wanted is None or had_M.min() >= wanted:
        return []
    words = f"{had_M.min()} to {had_M.max()}"
    return [f"its teachers had {words} of code.teacher_steps={wanted}: run.steps ended it"]


def _surplus(record: Record, members: list[int], good_enough: float, cell: Cell) -> Cell:
    """Surplus description length and sample complexity, the mean of all seeds: lower bounds where
    fewer than all, `SDL_reached`, got as good."""
    found = ledger.surplus(record, good_enough * LN2, members)
    notes = ["one evaluation: what SDL needs is an upper bound"] if len(record.evals) == 1 else []
    return {
        "notes": cell["notes"] + notes,
        "good_enough_bits_per_tok": good_enough,
        "SDL_bits": _pair(interval(found.nats / LN2, 0 * found.nats)),
        "SDL_tok": _pair(interval(found.tok, 0 * found.tok)),
        "SDL_reached": int(found.reached.sum()),
    }


def _per_byte(record: Record, result: Measurement) -> dict[str, Any]:
    """S and H in bits per byte of the source, which worlds with other tokens share."""
    size = record.config["facts"].get("source_bytes_per_tok")
    if size is None:
        return {}
    parts = {"S": result.structure_bits_per_tok, "H": result.entropy_bits_per_tok}
    return {
        f"{name}_bits_per_byte": _pair(Estimate(bits.mean / size, bits.half_width / size))
        for name, bits in parts.items()
    }


def _pair(estimate: Estimate) -> list[float | None]:
    """An estimate as JSON can hold it: null where one member gives no interval."""
    return [estimate.mean, None if math.isnan(estimate.half_width) else estimate.half_width]


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in config.items() if k.startswith(prefix)}


def _rulers(record: Record, members: Any) -> dict[str, Any]:
    """gzip, xz and the world's own law, in bits per coded token of held-out examples."""
    arrays = record.baselines
    if not arrays:
        return {}
    tok = arrays["compressed_tok"][members].sum()
    rulers: dict[str, Any] = {
        f"{name}_bits_per_tok": float(arrays[f"{name}_bits"][members].sum() / tok)
        for name in ("gzip", "xz")
    }
    if "oracle_nats" in arrays:
        law = ledger.prequential(record, "oracle", members=list(members))
        rulers["oracle_bits_per_tok"] = _pair(law.entropy_bits_per_tok)
    return rulers


def _label(found: list[Cell], arguments: str, key: str) -> None:
    """Names each cell by the label of its config, or by what tells it from the others of the same
    module."""
    for cell in found:
        own = cell[arguments]
        if key in cell["label"]:
            cell[key] = cell["label"][key].format(**own)
            continue
        alike = [
            other[arguments] for other in found if other[arguments].get("name") == own.get("name")
        ]
        telling = [k for k in own if any(other.get(k) != own[k] for other in alike)]
        words = [f"{k}={own[k]}" for k in telling if own[k] is not None]
        cell[key] = " ".join([str(own.get("name", "")).rpartition(".")[2], *words]).strip()
