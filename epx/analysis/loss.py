"""Loss curves: online and held-out bits per coded token against tokens, as member means."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from epx.analysis import ledger
from epx.analysis.measurement import LN2
from epx.record import Record, RecordError


class LossCurve(NamedTuple):
    """Loss against coded tokens learned from.

    Attributes:
      tokens, bits_per_tok: online loss, averaged over bins of steps.
      held_out_tokens, held_out_bits_per_tok: evaluations of the last weights.
    """

    tokens: np.ndarray
    bits_per_tok: np.ndarray
    held_out_tokens: np.ndarray
    held_out_bits_per_tok: np.ndarray


def curve(record: Record, members: Sequence[int] | None = None, bins: int = 60) -> LossCurve:
    """The loss curve of a record's model, in a requential record of its student.

    Args:
      record: a record with rows.
      members: members to average, without failed ones.
      bins: most bins of steps, evenly spaced in the logarithm of the step.

    Raises:
      RecordError: every member failed, or nothing was learned from.
    """
    if not record.rows:
        raise RecordError(f"{record.path} has no rows yet")
    student = ledger.is_requential(record)
    nats, tok = ("sampled_nats", "sampled_tok") if student else ("nats", "coded_tok")
    steps = record.rows[nats].shape[1]
    members = ledger.finite_members(record, steps, members)
    nats_K = record.rows[nats][members].sum(0, dtype=np.float64)
    tok_K = record.rows[tok][members].sum(0, dtype=np.float64)
    if not tok_K.any():
        raise RecordError(f"{record.path}: no finite member has learned from any token")
    edges = np.unique(np.geomspace(1, steps + 1, bins + 1).astype(int)) - 1
    nats_N, tok_N = np.add.reduceat(nats_K, edges[:-1]), np.add.reduceat(tok_K, edges[:-1])
    total_N = np.cumsum(tok_K)[edges[1:] - 1] / len(members)
    keep = tok_N > 0
    at = sorted(step for step in record.evals if step <= steps)
    losses = [
        record.evals[step]["raw_nats"][members].sum(dtype=np.float64)
        / record.evals[step]["coded_tok"][members].sum()
        for step in at
    ]
    return LossCurve(
        total_N[keep],
        nats_N[keep] / tok_N[keep] / LN2,
        np.array([tok_K[:step].sum() / len(members) for step in at]),
        np.array(losses) / LN2,
    )
