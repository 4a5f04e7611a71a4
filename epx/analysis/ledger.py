"""From rows to codelengths, in float64 and without JAX.

With D coded tokens trained on, the plateau (the final loss, in nats per coded token, of the weights
that were charged), an anchor (the held-out loss of those that code further data) and a coded set of
𝒟 tokens,

    S_preq = sum of online nats - D x plateau                     prequential
    S_req  = sum of KL(teacher || student)                        requential
    EDL    = sum of the first pass's nats - n x plateau           excess, n tokens in the first pass
    H      = 𝒟 x anchor            MDL = S + H

(arXiv 2601.03220, equations 8 and 9, with the final loss measured on unseen data; arXiv 2601.04728,
definition 3.2). A negative S is reported, not clipped: the plateau is then above the online loss.
"""

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from epx.analysis.anchors import (
    ANCHORS,
    ONLINE,
    has_tail,
    has_trend,
    mean_nats,
    tail_nats,
    trend_nats,
)
from epx.analysis.measurement import LN2, Estimate, Measurement, interval
from epx.record import Arrays, Record, RecordError
from epx.types import require

# Parts of a first pass over each of which the loss is averaged before the comparison with a target.
PARTS = 20


class CodeRows(NamedTuple):
    """The rows of a record from which a code takes its sums.

    Attributes:
      charged: rows summed to the charges.
      tokens: rows that count the coded tokens learned from.
      online_nats: rows whose end is the anchor `trend` or `tail`.
      anchored: whether the plateau is subtracted for every token.
      first_pass: whether only batches of unseen examples count.
      model: prefix of the model's rows and losses in a requential record.
    """

    charged: str
    tokens: str
    online_nats: str
    anchored: bool
    first_pass: bool
    model: str


CODES = MappingProxyType(
    {
        "prequential": CodeRows("nats", "coded_tok", "nats", True, False, "teacher_"),
        "excess": CodeRows("nats", "coded_tok", "nats", True, True, "teacher_"),
        "requential": CodeRows("kl_nats", "sampled_tok", "sampled_nats", False, False, ""),
    }
)


class Surplus(NamedTuple):
    """The cost of reaching a target loss, one entry per member.

    Attributes:
      nats: surplus description length, a lower bound where `reached` is false.
      tok: coded tokens needed, the sample complexity, a lower bound where `reached` is false.
      reached: whether the target was reached.
    """

    nats: np.ndarray
    tok: np.ndarray
    reached: np.ndarray


def measure(
    record: Record,
    code: str | None = None,
    anchor: str | None = None,
    test_tokens: float | None = None,
    members: Sequence[int] | None = None,
    step: int | None = None,
) -> Measurement:
    """Measure S, H and T of a record by one code.

    Args:
      record: a complete record, or an unfinished one that has an evaluation.
      code: one of CODES. None takes the code that made the record: `requential`, or else `excess`,
        which equals `prequential` where no example is seen twice. With a requential record,
        `prequential` and `excess` measure the teacher.
      anchor: one of ANCHORS, for both S and H. None takes for H the first available: `ema`, or
        `raw` for counters, which have no average; and for S the `trend` of the charges, or the
        anchor of H where the charges are too few, of repeated examples, of averaged weights, of
        counts, or of several learners (blocks, a projected teacher).
      test_tokens: 𝒟, above 0; None takes the config's `eval.test_tokens`, or else D, averaged over
        members.
      members: members to use; None takes all.
      step: the evaluation to use, as if the run had ended there; None takes the last.

    Raises:
      ValueError: an unknown code or anchor, or test tokens that are not above 0.
      RecordError: the record lacks this code or anchor, has no evaluation yet, or every member
        failed.
    """
    code, model = _resolve(record, code)
    columns = CODES[code]
    step = _last_evaluation(record) if step is None else step
    available = anchors(record, code, members, step)
    if anchor is not None:
        require("anchor", anchor, anchor in ANCHORS, ", ".join(ANCHORS))
        if anchor not in available:
            has = ", ".join(available)
            raise RecordError(f"no anchor {anchor} in {record.path}, which has {has}")
    legal = test_tokens is None or 0 < test_tokens < math.inf
    require("test_tokens", test_tokens, legal, "a finite number above 0")
    members = _require_finite(record, step, members)
    rows = {n: np.asarray(row[members, :step], np.float64) for n, row in record.rows.items()}
    counted = rows["passes"] == 0 if columns.first_pass else 1.0
    learned_M = (rows[columns.tokens] * counted).sum(1)
    if not learned_M.all():
        raise RecordError(f"{record.path}: no tokens were learned from up to step {step}")
    if test_tokens is None:
        test_tokens = record.config["eval"]["test_tokens"]
    # The same 𝒟 for all members: otherwise the spread of H would include the spread of 𝒟.
    test_M = np.full_like(learned_M, learned_M.mean() if test_tokens is None else test_tokens)
    # Processed tokens per coded token, as in the held-out examples.
    processed_M = record.config["facts"]["length"] / record.evals[step]["coded_tok"][members].mean(
        1
    )
    plateau = anchor or _default_plateau(record, code, available, rows)
    anchor = anchor or available[0]
    losses = {
        name: _final_loss(record, rows, columns, model, name, step, members)
        for name in {plateau, anchor}
    }
    exact_M, paper_M = _compute(record, rows, model, test_M * processed_M)
    return Measurement(
        members=members,
        coded_tok=learned_M,
        test_tok=test_M,
        # First terms of arXiv 2601.03220, equation 8 (or of EDL), and equation 9.
        charged_nats=(rows[columns.charged] * counted).sum(1),
        # D of equation 8, n of EDL, and 0 of equation 9.
        anchored_tok=learned_M if columns.anchored else 0 * learned_M,
        plateau_nats=losses[plateau][0],
        plateau_error_nats=losses[plateau][1],
        anchor_nats=losses[anchor][0],
        anchor_error_nats=losses[anchor][1],
        exact_flops=exact_M,
        paper_flops=paper_M,
        plateau=plateau,
        anchor=anchor,
        shared_held_out=record.config["facts"]["size"] is not None,
    )


def codes(record: Record) -> list[str]:
    """The codes by which a record can be measured: of charges in blocks only `excess`."""
    names = ["prequential"] if record.config.get("code", {}).get("name") != "blocks" else []
    return [*names, "excess", *(["requential"] if is_requential(record) else [])]


def is_requential(record: Record) -> bool:
    """Whether a student was charged for samples of a teacher."""
    return "kl_nats" in record.rows


def anchors(
    record: Record,
    code: str | None = None,
    members: Sequence[int] | None = None,
    step: int | None = None,
) -> list[str]:
    """The anchors available to a code in a record; arguments and errors as in `measure`."""
    code, model = _resolve(record, code)
    step = _last_evaluation(record) if step is None else step
    tok = record.rows[CODES[code].tokens][finite_members(record, step, members), :step]
    available = {
        "ema": f"{model}ema_nats" in record.evals[step],
        "raw": True,
        "trend": has_trend(tok),
        "tail": has_tail(tok),
        "oracle": "oracle_nats" in record.baselines,
    }
    return [name for name in ANCHORS if available[name]]


def surplus(record: Record, target_nats: float, members: Sequence[int] | None = None) -> Surplus:
    """Surplus description length above a target loss, and the tokens needed to reach it.

    The sum of [L_i - target_nats]_+ over the coded tokens of the first pass (arXiv 2009.07368). L_i
    is an expected loss, estimated by the mean over a twentieth of the charges, because single
    batches can be below the target by chance. The target is reached at the first evaluation of the
    last weights that is not above it. A requential record gives the surplus of its teacher.

    Args:
      record: as in `measure`.
      target_nats: nats per coded token.
      members: members to use, without failed ones.

    Raises:
      RecordError: the record has no evaluation yet, or every member failed.
    """
    _, model = _resolve(record, "excess")
    last, steps = _last_evaluation(record), sorted(record.evals)
    members = _require_finite(record, last, members)
    nats_M, tok_M = np.zeros((2, len(members)))
    reached_M = np.zeros(len(members), bool)
    for rank, member in enumerate(members):
        rows = {name: row[member, :last] for name, row in record.rows.items()}
        tok_K = np.where(rows["passes"] == 0, rows["coded_tok"], 0).astype(np.float64)
        for part in np.array_split(np.flatnonzero(tok_K), PARTS):
            charged = rows["nats"][part].sum(dtype=np.float64)
            # arXiv 2009.07368: [L_i - target]_+, summed over the tokens of the part.
            nats_M[rank] += max(0.0, charged - target_nats * tok_K[part].sum())
        evals = [record.evals[step] for step in steps]
        losses = [e[f"{model}raw_nats"][member].sum() / e["coded_tok"][member].sum() for e in evals]
        good = np.array(losses) <= target_nats
        reached_M[rank] = good.any()
        # arXiv 2009.07368: sample complexity, the fewest tokens with L <= target.
        tok_M[rank] = tok_K[: steps[np.argmax(good)] if good.any() else last].sum()
    return Surplus(nats_M, tok_M, reached_M)


def decodable_bits(
    record: Record, members: Sequence[int] | None = None, step: int | None = None
) -> Estimate:
    """Upper bound, in bits, on a decodable code of the samples of a requential record.

    The sum of KL + 2 log2 (1 + KL) + 5.21 over messages bounds the expected length (arXiv
    2607.11883). The KL of a message is evaluated along its sample, which is unbiased; the mean of
    its logarithm is slightly below the logarithm of the mean. Arguments and errors as in `measure`.
    """
    _resolve(record, "requential")
    step = _last_evaluation(record) if step is None else step
    members = _require_finite(record, step, members)
    # arXiv 2607.11883: KL, and 2 log2 (1 + KL) + 5.21 in nats, both per step.
    nats_M = sum(
        record.rows[name][members, :step].sum(1, dtype=np.float64)
        for name in ("kl_nats", "overhead_nats")
    )
    return interval(nats_M / LN2)


def failures(record: Record) -> dict[int, int]:
    """Members whose loss was not finite, and the step at which that happened."""
    if not record.rows:
        return {}
    finite_MxS = record.rows["finite"].astype(bool)
    return {int(m): int(np.argmin(finite_MxS[m])) for m in np.flatnonzero(~finite_MxS.all(1))}


def finite_members(record: Record, step: int, members: Sequence[int] | None = None) -> np.ndarray:
    """Indices of those members (None: of all) whose loss was finite up to a step."""
    finite_M = record.rows["finite"][:, :step].astype(bool).all(1)
    candidates = range(len(finite_M)) if members is None else members
    return np.array([member for member in candidates if finite_M[member]], int)


def _require_finite(record: Record, step: int, members: Sequence[int] | None) -> np.ndarray:
    finite = finite_members(record, step, members)
    if not finite.size:
        raise RecordError(f"{record.path}: every member failed; nothing can be measured")
    return finite


def _resolve(record: Record, code: str | None) -> tuple[str, str]:
    """The code's name, and the prefix of its model's rows in this record."""
    if code is None:
        code = "requential" if is_requential(record) else "excess"
    require("code", code, code in CODES, ", ".join(CODES))
    if code == "requential" and not is_requential(record):
        raise RecordError(f"{record.path} holds no requential code")
    return code, CODES[code].model if is_requential(record) else ""


def _last_evaluation(record: Record) -> int:
    if not record.evals:
        raise RecordError(f"{record.path} has no evaluation yet")
    return max(record.evals)


def _compute(
    record: Record, rows: Arrays, model: str, test_all_M: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """T in both accountings: to train, and to code examples with `test_all_M` tokens in total.

    A teacher pays for its own steps, not for its samples. The paper's accounting assumes that every
    token uses all parameters. A counter does not, so both of its values are exact.
    """
    facts = record.config["facts"]
    if model:
        steps_M = (rows["coded_tok"] > 0).sum(1)
        training_M = rows["teacher_flops"].sum(1)
        all_M = steps_M * record.config["run"]["batch"] * facts["length"]
    else:
        training_M, all_M = rows["flops"].sum(1), rows["all_tok"].sum(1)
    exact_M = training_M + test_all_M / facts["length"] * facts["forward_flops"]
    if not facts["learns_by_gradient"]:
        return exact_M, exact_M
    # arXiv 2601.03220: T = 6ND + 2N𝒟.
    return exact_M, facts["parameters"] * (6 * all_M + 2 * test_all_M)


def _default_plateau(record: Record, code: str, available: list[str], rows: Arrays) -> str:
    """The estimator of the final loss of the charged weights, of the available ones.

    The end of the charges, if each is of new examples under the weights of one learner. The charges
    of averaged weights are above the loss of the average.
    """
    section = record.config.get("code", {})
    of_one_learner = (
        section.get("name") != "blocks"
        and section.get("charged", "raw") == "raw"
        and section.get("pacing") != "projection"  # which replaces the teacher
    )
    by_gradient = record.config["facts"]["learns_by_gradient"]
    new = not rows["passes"].any()
    follows = "trend" in available and of_one_learner and by_gradient and new
    return "trend" if follows and CODES[code].anchored else available[0]


def _final_loss(
    record: Record,
    rows: Arrays,
    columns: CodeRows,
    model: str,
    anchor: str,
    step: int,
    members: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The final loss in nats per coded token, and its standard error."""
    if anchor == "oracle":
        nats, tok = (record.baselines[f"oracle_{name}"][members] for name in ("nats", "tok"))
    elif anchor in ONLINE:
        estimate = trend_nats if anchor == "trend" else tail_nats
        return estimate(rows[columns.online_nats], rows[columns.tokens])
    else:
        evaluation = record.evals[step]
        nats, tok = evaluation[f"{model}{anchor}_nats"][members], evaluation["coded_tok"][members]
        if "examples" in evaluation:  # means of a small copy: their spread is not known
            return mean_nats(nats.sum(1, keepdims=True), tok.sum(1, keepdims=True))
    return mean_nats(nats, tok)
