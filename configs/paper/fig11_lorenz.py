"""Figure 11: after 30 Lyapunov times X tells nothing of Y, and the law of Y alone is left.

    python -m experiments.sweep --sweep=paper/fig11_lorenz --workdir=runs/fig11

Claim 21; 7 minutes on 2 cores. Bits of the state Y of the flow of Lorenz, after bits of the state X
30 Lyapunov times earlier or alone. The charges of each bit are kept, so that S and H are known bit
by bit. Expected: the first bits have structure, the last are noise, and X makes no difference. The
size is enough for the bits; five seeds see no effect of X, and do not bound it by half a percent.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs.paper import _figure
from epx.analysis import ledger
from epx.analysis.anchors import trend_nats
from epx.analysis.measurement import LN2, interval
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    21: "Given X or not, the loss of Y and its structure are the same; the first bits have "
    "structure, the last are noise"
}
BITS = 10
COORDINATES = 3


def get_config(size: str = "cpu") -> _figure.ConfigDict:
    """The config shared by all runs."""
    config = _figure.get_config("fig11_lorenz", size)
    paper = size == "paper"
    config.generator.update(name="lorenz", system="lorenz", bits=BITS, time=30.0)
    config.observer.update(depth=3 if paper else 2, width=256 if paper else 32)
    config.code.positions = True
    config.run.update(batch=1536 if paper else 64, steps=10_000 if paper else 2000)
    config.eval.examples = 16_384 if paper else 4096
    config.checkpoint.every = 500
    config.label = dict(generator="X given: {inputs}", observer="{depth} layers of {width}")
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Y after X, and Y alone."""
    return product(vary("generator.inputs", (True, False)), vary("run.seed", range(5)))


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Both tasks paired by seed, and the bits of Y alone."""
    given, alone = (evidence.pick(runs, generator__inputs=inputs) for inputs in (True, False))
    loss = [evidence.by_seed(run, evidence.entropy_bits_per_tok) for run in (given, alone)]
    structure = [evidence.by_seed(run, evidence.structure_bits) for run in (given, alone)]
    ratio = evidence.paired(lambda a, b: a / b, *structure)
    s_MxB, h_MxB = by_bit(alone)
    return [
        Check("H given X - H alone, bit per bit", evidence.difference(*loss), -0.005, 0.005),
        Check("S given X / S alone", ratio, 0.8, 1.25),
        Check("S of the first bits - S of the last, bit", interval(s_MxB[:, 0] - s_MxB[:, -1]), 0),
        Check("H of the last bits, bit per bit", interval(h_MxB[:, -1]), 0.99, 1.01),
    ]


def by_bit(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """S in bits and H in bits per bit of the leading, the second, ... bits of Y, of shape MxB.

    H is the end of the charges: held-out losses are not kept by position.
    """
    rows = run.record.rows
    members = ledger.finite_members(run.record, max(run.record.evals), run.members)
    nats_MxKxT, tok_MxKxT = (
        np.asarray(rows[name][members], float) for name in ("position_nats", "position_coded_tok")
    )
    shape = (*nats_MxKxT.shape[:2], COORDINATES, BITS)
    coded = COORDINATES * BITS
    nats, tok = (x[..., -coded:].reshape(shape).sum(2) for x in (nats_MxKxT, tok_MxKxT))
    structure, loss = [], []
    for bit in range(BITS):
        end_M, _ = trend_nats(nats[..., bit], tok[..., bit])
        structure.append((nats[..., bit].sum(1) - tok[..., bit].sum(1) * end_M) / LN2)
        loss.append(end_M / LN2)
    return np.stack(structure, axis=1), np.stack(loss, axis=1)


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S and H of each bit of Y, summed over coordinates."""
    series: tuple[dict, dict] = ({}, {})
    for run in runs:
        name = "after X" if evidence.config(run)["generator.inputs"] else "alone"
        for into, values_MxB in zip(series, by_bit(run)):
            into[name] = [(bit + 1, interval(of_bit)) for bit, of_bit in enumerate(values_MxB.T)]
    x = "bit of a coordinate, highest first"
    return lines.panels(
        [
            lines.Panel("structure S", x, "bit", series[0]),
            lines.Panel("entropy H", x, "bit per bit", series[1]),
        ],
        path,
    )
