"""Life, frames ahead: S and H against the steps between two frames, the board and the patch.

    python -m experiments.sweep --sweep=rates --tune --workdir=runs/rates      the rates, once
    python -m experiments.sweep --sweep=life_frames --workdir=runs/life_frames

The next frame follows by a rule of nine cells; a frame eight steps later depends on 17 x 17. Direct
layers and weight-tied ones at equal FLOPs (epx-7) predict it. All numbers are bits per cell, so
that patches and boards compare. The size `paper` has boards of 32 x 32 in patches of 2 x 2, and
takes 4e16 FLOP.

Claims 131 and 132, not measured yet.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base, observers
from configs.studies.observers import _data
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import chain, product, vary

CLAIMS = {
    131: "The more steps ahead, the more of a frame of Life stays unpredictable",
    132: "Weight-tied layers describe Life more shortly than direct ones at equal FLOPs, and the "
    "more so the further ahead",
}
SIDE = {"cpu": 6, "paper": 32}
STRIDES = {"cpu": (1, 2, 4, 8), "paper": (1, 2, 4, 8, 16)}
DIRECT, TIED = "direct", "weight-tied"


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs.

    Raises:
      SizeError: a size that is not cpu or paper.
    """
    base.require_size(size, tuple(SIDE))
    config = base.get_config(size)
    paper = size == "paper"
    config.figure = dict(name="life_frames", size=size, observers=observers.TAG)
    side = SIDE[size]
    config.generator.update(name="life", height=side, width=side, burnin=8, patch=2 if paper else 1)
    config.run.update(batch=128 if paper else 32, steps=2000 if paper else 1000)
    config.run.require_accelerator = paper
    config.eval.update(every=250, examples=2048)
    config.checkpoint.update(every=250, keep=1)
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Frames ahead; at `cpu` size also larger boards, and patches."""
    ahead = [
        {"generator.stride": stride, "label.generator": f"{stride} ahead"}
        for stride in STRIDES[size]
    ]
    boards = [
        {"generator.height": side, "generator.width": side, "label.generator": f"{side} x {side}"}
        for side in (8, 10)
    ]
    patches = [boards[0] | {"generator.patch": 2, "label.generator": "8 x 8, patches of 2 x 2"}]
    part = "paper" if size == "paper" else "larger"
    learners = [
        observers.overrides(family, part, observers.EQUAL_FLOPS)
        | {"label.observer": name, "optim.lr": _data.rate(_data.LIFE, family, "larger")}
        for family, name in (("transformer", DIRECT), ("looped", TIED))
    ]
    frames = ahead if size == "paper" else chain(ahead, boards, patches)
    return product(frames, learners, vary("run.seed", range(5)))


def per_cell(run: Run, quantity: evidence.Quantity) -> dict[int, float]:
    """By seed a quantity per token, for one of the cells of the token."""
    cells = evidence.config(run)["generator.patch"] ** 2
    return {seed: bits / cells for seed, bits in evidence.by_seed(run, quantity).items()}


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Losses and description lengths, paired by seed."""
    strides = STRIDES[evidence.config(runs[0])["figure.size"]]
    found = {
        (stride, name): evidence.pick(
            runs, label__generator=f"{stride} ahead", label__observer=name
        )
        for stride in strides
        for name in (DIRECT, TIED)
    }
    if number == 131:
        loss = {s: per_cell(found[s, DIRECT], evidence.entropy_bits_per_tok) for s in strides}
        return [
            Check(f"H({b}) - H({a} ahead), bit per cell", evidence.difference(loss[b], loss[a]), 0)
            for a, b in itertools.pairwise(strides)
        ]
    bits = evidence.description_bits_per_tok
    length = {key: per_cell(run, bits) for key, run in found.items()}
    both = {stride: (length[stride, DIRECT], length[stride, TIED]) for stride in strides}
    first, last = strides[0], strides[-1]
    more = evidence.paired(lambda a, b, c, d: (a - b) - (c - d), *both[last], *both[first])
    near = evidence.difference(*both[first])
    return [
        Check(f"MDL direct - weight-tied, {first} ahead, bit per cell", near, 0),
        Check(f"the same {last} ahead, above that", more, 0),
    ]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S and H of each kind of frame, direct and weight-tied."""
    labels = list(dict.fromkeys(evidence.config(run)["label.generator"] for run in runs))
    quantities = (
        ("structure S", evidence.structure_bits_per_tok),
        ("entropy H", evidence.entropy_bits_per_tok),
    )
    panels = []
    for title, quantity in quantities:
        series = {
            name: [
                (
                    float(labels.index(evidence.config(run)["label.generator"])),
                    evidence.mean(per_cell(run, quantity)),
                )
                for run in evidence.select(runs, label__observer=name)
            ]
            for name in (DIRECT, TIED)
        }
        panels.append(lines.Panel(title, "", "bit per cell", series, names=labels))
    return lines.panels(panels, path)
