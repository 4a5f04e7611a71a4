"""Training logs of other programs as charges.

Columns are found by the names in `NAMES`, or given. Steps that were repeated after a resume count
once, losses that are not finite are left out, and gaps are filled.
"""

import re
from typing import NamedTuple

import numpy as np

from epx.analysis.logs.log_files import Table
from epx.analysis.measurement import LN2
from epx.types import require

# Names of columns in lower case, those that are surer first.
NAMES = {
    "loss": (
        "train/loss", "train_loss", "training_loss", "train/nll", "train/ce_loss",
        "train/cross_entropy", "train/epoch_loss", "loss/train", "train loss", "lm_loss",
        "lm loss", "loss", "nll",
    ),
    "eval": (
        "eval/loss", "eval_loss", "val/loss", "val_loss", "validation_loss", "valid_loss",
        "validation/loss", "validation/epoch_loss", "test_loss", "test/loss", "loss/eval",
        "loss/val", "loss/validation",
    ),
    "step": (
        "step", "global_step", "train/global_step", "trainer/global_step", "_step", "steps",
        "iteration", "iterations", "iter",
    ),
    "tokens": (
        "tokens", "tokens_seen", "num_tokens", "num_input_tokens_seen",
        "train/num_input_tokens_seen", "consumed_tokens", "total_tokens", "train/tokens",
    ),
    "epoch": ("epoch", "train/epoch", "epochs"),
}  # fmt: skip
LOGGED = ("points", "means")
UNITS = {"nats": 1.0, "bits": LN2}
# A block of the log is a gap if it is so many times longer than most.
GAP = 5.0
# An evaluation is at the end if it has seen this share of the tokens.
AT_END = 0.95
UNCOUNTED = "one pass over the data is assumed: there are neither epochs in the log nor data_tokens"


class Log(NamedTuple):
    """The charges of a training.

    Attributes:
      nats_K: of each block of the log, summed over its tokens.
      tokens_K: of each block.
      held_out_nats_per_tok_N: losses on unseen data in the order of the log, or none.
      passes: over the data, as far as the log says; None if it does not.
      notes: what was mended, and what a reader has to know.
    """

    nats_K: np.ndarray
    tokens_K: np.ndarray
    held_out_nats_per_tok_N: np.ndarray
    passes: float | None
    notes: tuple[str, ...]


def find_columns(table: Table, given: dict[str, str]) -> dict[str, str]:
    """The column of each kind in `NAMES` that there is.

    Args:
      table: of `read`.
      given: names of columns by kind, for those that are not found by name.

    Raises:
      ValueError: a given column or kind that there is not, or no column of a loss.
    """
    found = {}
    plain = {_plain(name): name for name in table if not re.search(r"__M(IN|AX)$", name)}
    for kind, names in NAMES.items():
        known = [plain[name] for name in names if name in plain]
        if known:
            found[kind] = known[0]
    for kind, name in given.items():
        require("columns", kind, kind in NAMES, ", ".join(NAMES))
        require("columns", name, name in table, f"the columns of the log: {', '.join(table)}")
    found |= given
    accepted = f"a log with a column of the training loss; this one has {', '.join(table)}"
    require("columns", given or "none", "loss" in found, f"{accepted}. Name it: loss=COLUMN")
    return found


def _plain(name: str) -> str:
    """A name in lower case, without the run that wandb puts before it."""
    return name.rpartition(" - ")[2].strip().lower()


def interpret(
    table: Table,
    columns: dict[str, str],
    tokens_per_step: float | None = None,
    unit: str = "nats",
    logged: str = "points",
    data_tokens: float | None = None,
) -> Log:
    """The charges of a log: gaps are filled, repeated steps and undefined losses left out.

    Args:
      table: of `read`.
      columns: of `find_columns`.
      tokens_per_step: tokens of a batch, where the log has no column of tokens.
      unit: of the losses, `nats` or `bits` per token.
      logged: a loss is that of its step (`points`), or the mean since the last entry (`means`).
      data_tokens: tokens of the data, if the training may pass over them several times.

    Raises:
      ValueError: no number of tokens, no loss, or a training loss over several passes without a
        loss on unseen data.
    """
    require("unit", unit, unit in UNITS, ", ".join(UNITS))
    require("logged", logged, logged in LOGGED, ", ".join(LOGGED))
    loss_N = table[columns["loss"]] * UNITS[unit]
    at_N, notes = _positions(table, columns, tokens_per_step)
    keep, said = _kept(loss_N, at_N)
    notes += said
    at_K, loss_K = at_N[keep], loss_N[keep]
    tokens_K = np.diff(at_K, prepend=0.0)
    notes += _gaps(tokens_K)
    mean_K = loss_K
    if logged == "points":  # the trapezoid between two entries
        mean_K = np.concatenate([loss_K[:1], (loss_K[1:] + loss_K[:-1]) / 2])
    held_out, said = _held_out(table, columns, at_N, at_K[-1])
    notes += said
    passes = _passes(table, columns, keep, float(at_K[-1]), data_tokens)
    if passes is not None and passes > 1:
        accepted = (
            "one pass, or a log with a loss on unseen data: over several passes the training loss "
            "ends below that of unseen data, and what was memorised would count as structure"
        )
        require("passes", round(passes, 2), len(held_out) > 0, accepted)
        first = at_K <= at_K[-1] / passes * (1 + 1e-9)
        mean_K, tokens_K = mean_K[first], tokens_K[first]
        notes.append(f"{passes:.3g} passes over the data: the charges are those of the first (EDL)")
    elif passes is None:
        notes.append(UNCOUNTED)
    return Log(mean_K * tokens_K, tokens_K, held_out * UNITS[unit], passes, tuple(notes))


def _positions(
    table: Table, columns: dict[str, str], tokens_per_step: float | None
) -> tuple[np.ndarray, list[str]]:
    """Tokens seen up to and including each row; nan where unknown."""
    if "tokens" in columns and tokens_per_step is None:
        return table[columns["tokens"]], []
    given = tokens_per_step is not None and 0 < tokens_per_step < np.inf
    accepted = "the tokens of a batch, above 0, as this log has no column of tokens"
    require("tokens_per_step", tokens_per_step, given, accepted)
    loss = table[columns["loss"]]
    steps = table[columns["step"]] if "step" in columns else np.arange(len(loss), dtype=float)
    notes = [] if "step" in columns else ["the log has no steps: each row is one"]
    done = np.isfinite(loss) & np.isfinite(steps)
    # Counted from 0, the loss of a step is that of the batch after so many.
    first = 1.0 if done.any() and steps[done].min() == 0 else 0.0
    return (steps + first) * float(tokens_per_step or 0), notes


def _kept(loss_N: np.ndarray, at_N: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The rows with a loss, in order; of steps that were repeated the last."""
    notes = []
    has_place = np.flatnonzero(np.isfinite(at_N))
    logged = has_place[~np.isnan(loss_N[has_place])]
    kept = logged[np.isfinite(loss_N[logged])]
    if len(kept) < len(logged):
        notes.append(f"{len(logged) - len(kept)} losses are not finite and were left out")
    accepted = "a log with losses that are numbers"
    require("loss", len(kept), len(kept) > 0, accepted)
    later = np.minimum.accumulate(np.append(at_N[kept], np.inf)[::-1])[::-1][1:]
    in_order = kept[at_N[kept] < later]
    if len(in_order) < len(kept):
        notes.append(f"{len(kept) - len(in_order)} entries were repeated, as after a resume: the "
                     "last ones count")  # fmt: skip
    return in_order, notes


def _gaps(tokens_K: np.ndarray) -> list[str]:
    if len(tokens_K) < 3:
        return []
    usual = float(np.median(tokens_K[1:]))
    notes = []
    if tokens_K[0] > GAP * usual:
        notes.append(
            f"the log begins after {tokens_K[0]:.3g} tokens: they count at its first loss, so that "
            "S is too small"
        )
    gaps = int((tokens_K[1:] > GAP * usual).sum())
    if gaps:
        share = float(tokens_K[1:][tokens_K[1:] > GAP * usual].sum() / tokens_K.sum())
        notes.append(f"{gaps} gaps in the log, {share:.0%} of the tokens, were filled by a line")
    return notes


def _held_out(
    table: Table, columns: dict[str, str], at_N: np.ndarray, end: float
) -> tuple[np.ndarray, list[str]]:
    values = table[columns["eval"]] if "eval" in columns else np.array([])
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return values[known], []
    last = known[-1]
    place = at_N[: last + 1][np.isfinite(at_N[: last + 1])]
    seen = float(place[-1]) / end if len(place) else 0.0
    notes = []
    if seen < AT_END:
        notes.append(f"the last loss on unseen data is from {seen:.0%} of the training")
    return values[known], notes


def _passes(
    table: Table, columns: dict[str, str], keep: np.ndarray, end: float, data_tokens: float | None
) -> float | None:
    if data_tokens is not None:
        require("data_tokens", data_tokens, 0 < data_tokens < np.inf, "tokens of the data, above 0")
        return end / data_tokens
    if "epoch" not in columns:
        return None
    epochs = table[columns["epoch"]][keep]
    epochs = epochs[np.isfinite(epochs)]
    if not len(epochs):
        return None
    counted = (epochs == np.round(epochs)).all() and epochs.min() == 0
    return float(epochs.max()) + (1.0 if counted else 0.0)
