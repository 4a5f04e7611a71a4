"""Numbers of the parts of a mixture: held-out losses, what was charged, and comparisons."""

import numpy as np

from epx.analysis import ledger
from epx.analysis.measurement import LN2
from epx.record import RecordError
from epx.report import evidence, summary
from epx.report.summary import Run


def losses(run: Run, step: int | None = None) -> dict[int, np.ndarray]:
    """By seed the held-out loss of each part, in bits per token; nan where it has no example.

    Args:
      run: of a mixture.
      step: of an evaluation; None: the last.
    """
    step = max(run.record.evals) if step is None else step
    count = run.record.rows["part_nats"].shape[2]
    return {
        seed: np.array([_loss(run, step, member, part) for part in range(count)]) / LN2
        for seed, member in finite(run).items()
    }


def finite(run: Run) -> dict[int, int]:
    """The member of each seed, without those that failed."""
    failed = ledger.failures(run.record)
    return {seed: member for seed, member in summary.seeds(run).items() if member not in failed}


def shares(run: Run) -> dict[int, np.ndarray]:
    """By seed the share of each part in the coded tokens of the run."""
    tokens_MxP = run.record.rows["part_coded_tok"].sum(1, dtype=np.float64)
    return {seed: tokens_MxP[m] / tokens_MxP[m].sum() for seed, m in finite(run).items()}


def charges(run: Run, part: int, examples: int | None = None) -> dict[int, tuple[float, float]]:
    """By seed the bits that were charged for a part in the first pass, and its coded tokens.

    With `examples` only those of so many first examples, in whole steps.
    """
    rows = run.record.rows
    first = rows["passes"] == 0
    if examples is not None:
        first = first & (np.arange(first.shape[1]) < examples // evidence.config(run)["run.batch"])
    found = {}
    for seed, member in finite(run).items():
        nats, tokens = (
            rows[name][member, first[member], part].sum(dtype=np.float64)
            for name in ("part_nats", "part_coded_tok")
        )
        found[seed] = float(nats) / LN2, float(tokens)
    return found


def real_loss(run: Run) -> dict[int, float]:
    """By seed the held-out loss of the last part, in bits per token.

    It is the real one of a mixture in which learners draw the others.
    """
    return {seed: float(loss_P[-1]) for seed, loss_P in losses(run).items()}


def own_loss(run: Run) -> dict[int, float]:
    """By seed H of the other parts, as many of each as were charged, in bits per token."""
    own = shares(run)
    return {seed: float(loss_P[:-1] @ own[seed][:-1]) for seed, loss_P in losses(run).items()}


def structure_bits(
    run: Run, part: int, above: int | None = None, examples: int | None = None
) -> dict[int, float]:
    """By seed the charges of a part above its held-out loss at the end, or above that of another.

    Above the loss of real data it says whether a learner of other data is taught falsehoods: it is
    then negative. With `examples` only so many first ones are charged.
    """
    floors = losses(run)
    return {
        seed: bits - tokens * float(floors[seed][part if above is None else above])
        for seed, (bits, tokens) in charges(run, part, examples).items()
    }


def own_structure(run: Run, examples: int | None = None) -> dict[int, float]:
    """By seed S of the other parts than the last, in bits, of so many first examples."""
    return _above(run, False, examples)


def real_excess(run: Run, examples: int | None = None) -> dict[int, float]:
    """By seed EDL of the other parts against the last, the real one, in bits."""
    return _above(run, True, examples)


def _above(run: Run, real: bool, examples: int | None) -> dict[int, float]:
    last = run.record.rows["part_nats"].shape[2] - 1
    above = last if real else None
    found = [structure_bits(run, part, above, examples) for part in range(last)]
    return {seed: sum(of_part[seed] for of_part in found) for seed in found[0]}


def compared(run: Run, name: str) -> dict[int, float]:
    """By seed a number of the comparison with a part (`eval.against`), such as `support`.

    Raises:
      RecordError: the record has none.
    """
    values_M = run.record.baselines.get(name)
    if values_M is None:
        raise RecordError(f"{run.record.path} has no {name} of a comparison; give eval.against")
    return {seed: float(values_M[member]) for seed, member in finite(run).items()}


def _loss(run: Run, step: int, member: int, part: int) -> float:
    part_E, nats_E, coded_E = (
        evidence.held_out(run, name, step)[member] for name in ("part", "nats", "coded_tok")
    )
    is_own_E = part_E == part
    if not is_own_E.any():
        return float("nan")
    return float(nats_E[is_own_E].sum(dtype=np.float64) / coded_E[is_own_E].sum())
