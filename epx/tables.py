"""From records to the numbers that are printed and drawn: a cell is one world for one observer,
over its seeds. A record may hold several worlds of equal shape; its members are grouped here."""

import json
import math
from collections.abc import Sequence
from typing import Any

from epx import ledger
from epx.ledger import Estimate
from epx.record import Record, RecordError, flatten

Cell = dict[str, Any]

# Fewer seeds than this make a figure exploratory, not publishable.
PUBLISHED_SEEDS = 5


def cells(
    records: Sequence[Record], anchor: str | None = None, test_tokens: float | None = None
) -> list[Cell]:
    """One cell for each world and observer, in the order of the records.

    Args:
      records: records with an evaluation.
      anchor, test_tokens: as in `ledger.prequential`.

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
    for record in records:
        for varied, members in _worlds(record):
            cell = _identity(record, varied)
            try:
                cell |= _numbers(record, members, anchor, test_tokens)
            except RecordError as error:
                cell["missing"] = str(error)
            found.append(cell)
    _label(found, "generator", "world")
    _label(found, "observer_arguments", "observer")
    return found


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
        "optim": _section(config, "optim"),
        "label": _section(config, "label"),
        "record": record.path.name,
        "vocab": record.config["facts"]["vocab"],
        "parameters": record.config["facts"]["parameters"],
    }


def _numbers(
    record: Record, members: list[int], anchor: str | None, test_tokens: float | None
) -> Cell:
    result = ledger.prequential(record, anchor, test_tokens, members)
    at_anchors = {
        name: ledger.prequential(record, name, test_tokens, members)
        for name in ledger.anchors(record)
    }
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
        "H_bits": _pair(result.entropy_bits),
        "H_bits_per_tok": _pair(result.entropy_bits_per_tok),
        "MDL_bits": _pair(result.description_bits),
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


def _per_byte(record: Record, result: ledger.Measurement) -> dict[str, Any]:
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
        words = [f"{k}={own[k]}" for k in telling]
        cell[key] = " ".join([str(own.get("name", "")).rpartition(".")[2], *words]).strip()


# Head, key of a cell, format of the value and of its half width.
COLUMNS = (
    ("world", "world", "", ""),
    ("observer", "observer", "", ""),
    ("S bit/token", "S_bits_per_tok", ".4f", ".4f"),
    ("H bit/token", "H_bits_per_tok", ".4f", ".4f"),
    ("H bit/byte", "H_bits_per_byte", ".4f", ".4f"),
    ("S bit", "S_bits", ".3g", ".1g"),
    ("H bit", "H_bits", ".3g", ".1g"),
    ("tokens D", "coded_tok", ".2g", ""),
    ("T FLOP", "exact_flops", ".1e", ""),
    ("T 6ND+2N𝒟", "paper_flops", ".1e", ""),
    ("gzip", "gzip_bits_per_tok", ".3f", ""),
    ("xz", "xz_bits_per_tok", ".3f", ""),
    ("law", "oracle_bits_per_tok", ".3f", ".3f"),
)


def text(found: Sequence[Cell]) -> str:
    """The table of a terminal. Intervals are 95 %; gzip, xz and the world's own law are in bits
    per coded token, to be read beside H. Bits per byte have a column where a world has a source."""
    sourced = any("H_bits_per_byte" in cell for cell in found)
    columns = [c for c in COLUMNS if sourced or c[1] != "H_bits_per_byte"]
    rows = [[head for head, *_ in columns]]
    rows += [[_text(c.get(key), *form) for _, key, *form in columns] for c in measured(found)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(columns))]
    lines = ["  ".join(word.ljust(w) for word, w in zip(row, widths)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [
        f"{cell['world']} / {cell['observer']}: {note}" for cell in found for note in _notes(cell)
    ]
    return "\n".join([*lines, *notes])


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


def _notes(cell: Cell) -> list[str]:
    if "missing" in cell:
        return [cell["missing"]]
    notes = [f"member {m} failed at step {s}" for m, s in cell["failed_at_step"].items()]
    if cell["passes"] > 1:
        notes.append(f"{cell['passes']} passes over the corpus: repeats are charged as if new")
    return notes


def _text(value: Any, form: str, half_form: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, list):
        return f"{value:{form}}"
    mean, half_width = value
    return f"{mean:{form}}" + ("" if half_width is None else f" ± {half_width:{half_form}}")
