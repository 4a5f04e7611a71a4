"""From rows to codelengths, in float64 and without JAX. With D coded tokens trained on, an anchor
(held-out nats per coded token at the end) and a coded set of 𝒟 tokens,

    S_preq = sum of online nats - D x anchor                      prequential
    S_req  = sum of KL(teacher || student)                        requential
    EDL    = sum of the first pass's nats - n x anchor            excess, for n tokens seen often
    H      = 𝒟 x anchor            MDL = S + H

(arXiv 2601.03220, equations 8 and 9 with the final loss measured on unseen data; arXiv 2601.04728,
definition 3.2). A negative S is reported, not clipped: it says that the anchor is above the online
loss. Bits are `measurement.py`'s.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from epx.analysis.measurement import LN2, Estimate, Measurement, heldout, interval
from epx.record import Arrays, Record, RecordError

# What the end loss may be taken from. `ema` and `raw` are held-out losses of the averaged and of
# the last weights, `tail` the online loss of the last tenth of the steps, `oracle` the world's law.
ANCHORS = ("ema", "raw", "tail", "oracle")
TAIL = 0.1
# Parts of a first pass over each of which a loss is averaged before it is called good enough.
PARTS = 20


class Surplus(NamedTuple):
    """What it costs to get good enough, one entry per member.

    Attributes:
      nats: surplus description length; where `reached` is false a lower bound.
      tok: coded tokens that it took, the sample complexity; where `reached` is false a lower bound.
      reached: whether the loss got as low.
    """

    nats: np.ndarray
    tok: np.ndarray
    reached: np.ndarray


def prequential(
    record: Record,
    anchor: str | None = None,
    test_tokens: float | None = None,
    members: list[int] | None = None,
    step: int | None = None,
) -> Measurement:
    """The prequential measurement of a record; of a requential one, that of its teacher.

    Args:
      record: a complete record, or one under way that has an evaluation.
      anchor: one of ANCHORS; None takes the first that is offered: `ema`, or `raw` for counters,
        which have no average.
      test_tokens: 𝒟, above 0; None takes the config's `eval.test_tokens`, or else D, the mean over
        members.
      members: members to use; None takes all.
      step: the evaluation to take, as if the run had ended there; None takes the last.

    Raises:
      ValueError: an anchor that is none of ANCHORS, or no test tokens.
      RecordError: this record does not offer the anchor, or has no evaluation yet, or every member
        failed.
    """

    def charges(rows: Arrays) -> Charges:
        tok_M = rows["coded_tok"].sum(1)
        return Charges(rows["nats"].sum(1), tok_M, tok_M, "nats", "coded_tok")

    who = "teacher_" if is_requential(record) else ""
    return _measure(record, charges, who, anchor, test_tokens, members, step)


def requential(
    record: Record,
    anchor: str | None = None,
    test_tokens: float | None = None,
    members: list[int] | None = None,
    step: int | None = None,
) -> Measurement:
    """The requential measurement of a record of that code: the KL that the student paid, and its
    own held-out loss. Arguments and errors are those of `prequential`; RecordError also where the
    record is of another code."""
    if not is_requential(record):
        raise RecordError(f"{record.path} holds no requential code")

    def charges(rows: Arrays) -> Charges:
        tok_M = rows["sampled_tok"].sum(1)
        return Charges(rows["kl_nats"].sum(1), tok_M, 0 * tok_M, "sampled_nats", "sampled_tok")

    return _measure(record, charges, "", anchor, test_tokens, members, step)


def excess(
    record: Record,
    anchor: str | None = None,
    test_tokens: float | None = None,
    members: list[int] | None = None,
    step: int | None = None,
) -> Measurement:
    """Excess description length: the code of the first pass above what the n tokens of it would
    cost under the final model, whatever number of passes that took; 𝒟 is n by default. Batches that
    hold an example for the second time are left out of n. It is the prequential measurement where
    each example is seen once. Arguments and errors are those of `prequential`."""

    def charges(rows: Arrays) -> Charges:
        first_MxK = rows["passes"] == 0
        tok_M = (rows["coded_tok"] * first_MxK).sum(1)
        nats_M = (rows["nats"] * first_MxK).sum(1)
        return Charges(nats_M, tok_M, tok_M, "nats", "coded_tok")

    who = "teacher_" if is_requential(record) else ""
    return _measure(record, charges, who, anchor, test_tokens, members, step)


def surplus(record: Record, loss_nats: float, members: list[int] | None = None) -> Surplus:
    """Surplus description length above a loss that is good enough, sum of [L_i - loss_nats]_+ over
    the coded tokens of the first pass, and how many it took (arXiv 2009.07368). L is expected: here
    the mean over a twentieth of the charges, as that of a batch is below by chance. It is reached
    at the first evaluation where the last weights are as good. Of a requential record it is the
    teacher's. Members that failed are left out.

    Raises:
      RecordError: the record has no evaluation yet, or every member failed.
    """
    who = "teacher_" if is_requential(record) else ""
    last, steps = _last(record), sorted(record.evals)
    found = []
    for member in _well(record, last, members):
        rows = {name: row[member, :last] for name, row in record.rows.items()}
        tok_K = np.where(rows["passes"] == 0, rows["coded_tok"], 0).astype(np.float64)
        parts = np.array_split(np.flatnonzero(tok_K), PARTS)
        nats = [
            max(0.0, rows["nats"][k].sum(dtype=np.float64) - loss_nats * tok_K[k].sum())
            for k in parts
        ]
        evals = [record.evals[step] for step in steps]
        losses = [e[f"{who}raw_nats"][member].sum() / e["coded_tok"][member].sum() for e in evals]
        good = np.array(losses) <= loss_nats
        until = steps[np.argmax(good)] if good.any() else last
        found.append((sum(nats), tok_K[:until].sum(), good.any()))
    nats_M, tok_M, reached_M = zip(*found)
    return Surplus(np.array(nats_M), np.array(tok_M), np.array(reached_M))


def decodable_bits(
    record: Record, members: list[int] | None = None, step: int | None = None
) -> Estimate:
    """What a decodable code of the draws of a requential record takes at most, in bits: sum of KL +
    2 log2 (1 + KL) + 5.21 over its messages, which bounds the expected length (arXiv 2607.11883).
    The KL of a message is summed along what was drawn of it: right in the mean, but its logarithm
    is a little below that of the mean. Arguments and errors are those of `prequential`."""
    if not is_requential(record):
        raise RecordError(f"{record.path} holds no requential code")
    step = _last(record) if step is None else step
    chosen = _well(record, step, members)
    nats_M = sum(
        record.rows[name][chosen, :step].sum(1, dtype=np.float64)
        for name in ("kl_nats", "overhead_nats")
    )
    return interval(nats_M / LN2, 0 * nats_M)


def own(record: Record) -> Callable[..., Measurement]:
    """The code that a record was made by: `requential`, or `excess`, which is `prequential` where
    nothing is seen twice."""
    return requential if is_requential(record) else excess


def is_in_blocks(record: Record) -> bool:
    """Whether its rows are the charges of the online code in blocks, which is no prequential one
    but has an excess as that does."""
    return record.config.get("code", {}).get("name") == "blocks"


def is_requential(record: Record) -> bool:
    """Whether a student was charged for what a teacher drew."""
    return "kl_nats" in record.rows


class Charges(NamedTuple):
    """What a code takes from the rows: the nats charged, the tokens learned from, those for which
    the anchor is taken off, and the rows whose tail is the loss of the model."""

    nats_M: np.ndarray
    learned_tok_M: np.ndarray
    anchored_tok_M: np.ndarray
    tail_nats: str
    tail_tok: str


def _measure(
    record: Record,
    charges: Callable[[Arrays], Charges],
    who: str,
    anchor: str | None,
    test_tokens: float | None,
    members: list[int] | None,
    step: int | None,
) -> Measurement:
    """One code's reading of a record; `who` is the prefix of the model's held-out losses."""
    step = _last(record) if step is None else step
    offered = anchors(record, who, members, step)
    anchor = anchor or offered[0]
    if anchor not in ANCHORS:
        raise ValueError(f"anchor={anchor}: accepted are {', '.join(ANCHORS)}")
    if anchor not in offered:
        raise RecordError(f"no anchor {anchor} in {record.path}, which has {', '.join(offered)}")
    rows = {name: np.asarray(v[:, :step], np.float64) for name, v in record.rows.items()}
    chosen = _well(record, step, members)
    rows = {name: value[chosen] for name, value in rows.items()}
    found = charges(rows)
    if test_tokens is not None and not 0 < test_tokens < math.inf:
        raise ValueError(f"test_tokens={test_tokens}: must be above 0")
    if test_tokens is None:
        test_tokens = record.config["eval"]["test_tokens"]
    learned_M = found.learned_tok_M
    if not learned_M.all():
        raise RecordError(f"{record.path}: nothing is learned from up to step {step}")
    training_M, all_M = _training(record, rows, who)
    # Tokens that are processed for a coded one, as the held-out examples have them.
    processed_M = record.config["facts"]["length"] / record.evals[step]["coded_tok"][chosen].mean(1)
    # One coded set for all members, or the spread of its size would be taken for that of H.
    test_M = np.full_like(learned_M, learned_M.mean() if test_tokens is None else test_tokens)
    value_M, error_M = _anchor(record, rows, anchor, step, chosen, who, found)
    exact_M, paper_M = _compute(record, training_M, all_M, test_M * processed_M)
    return Measurement(
        members=chosen,
        coded_tok=learned_M,
        test_tok=test_M,
        charged_nats=found.nats_M,
        anchored_tok=found.anchored_tok_M,
        anchor_nats=value_M,
        anchor_error_nats=error_M,
        exact_flops=exact_M,
        paper_flops=paper_M,
        anchor=anchor,
        shared_heldout=record.config["facts"]["size"] is not None,
    )


def anchors(
    record: Record, who: str = "", members: list[int] | None = None, step: int | None = None
) -> list[str]:
    """The anchors that a record offers for its observer, or for its `teacher_`: at an evaluation,
    the last if none is named, and for these members, or all. Raises RecordError where it has no
    evaluation yet."""
    step = _last(record) if step is None else step
    tok = "sampled_tok" if is_requential(record) and not who else "coded_tok"
    offered = {
        "ema": f"{who}ema_nats" in record.evals[step],
        "raw": True,
        "tail": record.rows[tok][well(record, step, members), _tail(step)].any(1).all(),
        "oracle": "oracle_nats" in record.baselines,
    }
    return [name for name in ANCHORS if offered[name]]


def _last(record: Record) -> int:
    """The step of the last evaluation. Raises RecordError where there is none."""
    if not record.evals:
        raise RecordError(f"{record.path} has no evaluation yet")
    return max(record.evals)


def _tail(step: int) -> slice:
    """The steps whose online loss is the anchor `tail`."""
    return slice(step - max(1, round(TAIL * step)), step)


def failures(record: Record) -> dict[int, int]:
    """Members whose loss was not finite, and the step where that happened."""
    if not record.rows:
        return {}
    finite_MxS = record.rows["finite"].astype(bool)
    return {int(m): int(np.argmin(finite_MxS[m])) for m in np.flatnonzero(~finite_MxS.all(1))}


def _training(record: Record, rows: Arrays, who: str) -> tuple[np.ndarray, np.ndarray]:
    """FLOPs and processed tokens of learning: the observer's, or the `teacher_`'s, which is not
    charged for what it draws."""
    if not who:
        return rows["flops"].sum(1), rows["all_tok"].sum(1)
    lessons_M = (rows["coded_tok"] > 0).sum(1)
    examples_M = lessons_M * record.config["run"]["batch"]
    return rows["teacher_flops"].sum(1), examples_M * record.config["facts"]["length"]


def _compute(record: Record, training_M: np.ndarray, all_M: np.ndarray, test_all_M: np.ndarray):
    """T in both accountings: training, and coding examples of `test_all_M` tokens in all. The
    paper's needs parameters that are all used for every token, which a counter's are not."""
    facts = record.config["facts"]
    exact_M = training_M + test_all_M / facts["length"] * facts["forward_flops"]
    if not facts["learns_by_gradient"]:
        return exact_M, exact_M
    return exact_M, facts["parameters"] * (6 * all_M + 2 * test_all_M)


def well(record: Record, step: int, members: list[int] | None = None) -> np.ndarray:
    """Those of the members, or of all, whose loss was finite up to a step."""
    finite_M = record.rows["finite"][:, :step].astype(bool).all(1)
    asked = range(len(finite_M)) if members is None else members
    return np.array([member for member in asked if finite_M[member]], int)


def _well(record: Record, step: int, members: list[int] | None) -> np.ndarray:
    found = well(record, step, members)
    if not found.size:
        raise RecordError(f"{record.path}: every member of it failed; nothing can be measured")
    return found


def _anchor(
    record: Record,
    rows: Arrays,
    anchor: str,
    step: int,
    members: np.ndarray,
    who: str,
    found: Charges,
) -> tuple[np.ndarray, np.ndarray]:
    final = record.evals[step]
    if anchor == "oracle":
        return heldout(
            record.baselines["oracle_nats"][members], record.baselines["oracle_tok"][members]
        )
    if anchor == "tail":
        # Steps of the tail differ by the noise of their batches and by what is still learned.
        tail = _tail(step)
        return heldout(rows[found.tail_nats][:, tail], rows[found.tail_tok][:, tail])
    return heldout(final[f"{who}{anchor}_nats"][members], final["coded_tok"][members])
