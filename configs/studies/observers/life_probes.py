"""How plainly an observer of Life shows its patterns: the description length of labels.

    python -m experiments.sweep --sweep=life_probes --tune --workdir=runs/life_tune
    python -m experiments.sweep --sweep=life_probes --workdir=runs/life
    python -m experiments.probe --record=runs/life/records/00-life-transformer --workdir=runs/probe

The sweep trains the observers, one for each seed; a glider is left on one of 80 of their boards.
`experiments.probe` writes their vectors and runs probes on them: a perceptron that reads a vector
and predicts its label, under the code in blocks, at the best of three rates, whose name is charged.
The fewer bits the labels take, the more of the pattern the vector shows; labels in random order
take 1 bit or more. There are three patterns and two labellings of each; a claim is about all six.

The rate is still to be chosen, by the first command. Claims 121 to 125, not measured yet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs import base
from epx.analysis.exact import patterns
from epx.analysis.measurement import LN2, Estimate, Measurement, widened
from epx.record import RecordError, read_json
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import vary

CLAIMS = {
    121: "A trained observer of Life shows patterns more plainly than a randomised one",
    122: "It shows patterns more plainly than the cells do that it has read",
    123: "Labels in random order are noise to every probe",
    124: "Without the direction of a pattern it predicts the next frame around it worse",
    125: "The observer has learned the next frame",
}
SEEDS = range(5)
SIDE = 10  # a window of 9 x 9 cells still fits
RATES = (0.05, 0.1, 0.2, 0.4)
LR = 0.1  # to be chosen
EXAMPLES, FIRST_BLOCK, STAGE_STEPS = 1024, 16, 200
PROBE_RATES = (0.01, 0.03, 0.1)
SHUFFLED = ", labels shuffled"
# Beside the records of the probes, by seed: the loss of the observer, the average precision of
# linear probes by label and vector, and the bits lost by label, layer and direction.
OBSERVER = "observer.json"
LOSS, PRECISION, EDITS = "entropy_bits_per_cell", "average_precision", "bits_lost"
LEARNED = 0.05  # bit per cell; a cell alone has 0.6

Values = dict[int, float]  # by seed


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config of the observers."""
    config = base.get_config(size)
    config.figure = dict(name="life_probes", size=size)
    config.generator.update(name="life", height=SIDE, width=SIDE, burnin=30)
    config.observer.update(depth=2, width=64, head_dim=16)
    config.optim.lr = LR
    config.run.update(batch=32, steps=2000)
    config.eval.update(every=500, examples=1024)
    config.checkpoint.update(every=500, keep=1)
    config.tuning = dict(rates=RATES, seed=1000, chosen_by="smallest S + H")
    return config


def sweep() -> list[dict[str, Any]]:
    """The observers, one for each seed."""
    return vary("run.seed", SEEDS)


def probe_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all probes."""
    config = base.get_config(size)
    # Every seed has files of its own.
    config.figure = dict(name="life_probes", size=size, seeded=["generator.path"])
    config.generator.name = "tokens"
    config.observer.update(name="mlp", depth=1, width=32, window=1)
    config.code.update(name="blocks", first_block=FIRST_BLOCK, stage_steps=STAGE_STEPS)
    stages = (EXAMPLES // FIRST_BLOCK).bit_length()
    config.run.update(batch=FIRST_BLOCK, examples=EXAMPLES, steps=stages * STAGE_STEPS)
    config.run.repeats = -(-config.run.steps * FIRST_BLOCK // EXAMPLES)
    config.eval.examples = EXAMPLES // 10
    config.checkpoint.update(every=None, keep=1)
    return config


def probes(vectors: dict[tuple[str, str], list[Path]]) -> list[dict[str, Any]]:
    """The probes of files of vectors at each rate, one for each seed, by label and vector."""
    return [
        {"generator.path": str(path), "label.generator": label, "label.observer": shown,
         "optim.lr": rate, "run.seed": seed}
        for (label, shown), paths in vectors.items()
        for rate in PROBE_RATES
        for seed, path in enumerate(paths)
    ]  # fmt: skip


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Bits of a label, bits lost by an edit, and the observer's loss, paired by its seed."""
    runs = _probes(runs)
    if number == 124:
        return [_edited(label, lost) for label, lost in _observer(runs)[EDITS].items()]
    if number == 125:
        loss = evidence.mean(_by_seed(_observer(runs)[LOSS]))
        return [Check("H of the observer, bit per cell", loss, high=LEARNED)]
    others = {121: "untrained", 122: "cells"}
    return [
        _least(label, bits, others[number]) if number in others else _shuffled(label, bits)
        for label, bits in ((label, _bits(runs, label)) for label in _labels(runs))
    ]


def _least(label: str, bits: dict[str, Values], other: str) -> Check:
    """The least bits of other vectors minus the least of the layers, as the best of all pairs."""
    (first, count), (second, layers) = _best(bits, other), _best(bits, "layer")
    gap = evidence.difference(bits[first], bits[second])
    gap = widened(gap, len(bits[first]), count * layers)
    return Check(f"{label}: {first} - {second}, bit per label", gap, 0)


def _best(bits: dict[str, Values], wanted: str) -> tuple[str, int]:
    """The vectors of a kind that show a label most plainly, and among how many."""
    names = [name for name in bits if kind(name) == wanted]
    if not names:
        raise RecordError(f"no probes of {wanted} vectors")
    return min(names, key=lambda name: evidence.mean(bits[name]).mean), len(names)


def _shuffled(label: str, bits: dict[str, Values]) -> Check:
    least, count = _best(bits, "shuffled")
    estimate = widened(evidence.mean(bits[least]), len(bits[least]), count)
    return Check(f"{label}: {least}, bit per label", estimate, 0.95)


def _edited(label: str, lost: dict[str, dict[str, list[float]]]) -> Check:
    """The layer in which the pattern's direction costs most above the dearest other direction."""
    gaps: dict[str, Estimate] = {}
    for layer, directions in lost.items():
        bits = {name: _by_seed(values) for name, values in directions.items()}
        own = bits.pop(patterns.OWN_DIRECTION)
        other = max(bits, key=lambda name: evidence.mean(bits[name]).mean)
        gaps[f"{layer}, bits lost by its direction - {other}"] = evidence.difference(
            own, bits[other]
        )
    what = max(gaps, key=lambda name: gaps[name].mean)
    return Check(f"{label}: {what}", widened(gaps[what], len(own), len(gaps)), 0)


def kind(shown: str) -> str:
    """Whether a vector is of a layer, untrained, cells or a place, or its labels are shuffled."""
    if shown.endswith(SHUFFLED):
        return "shuffled"
    return "cells" if " cells" in shown else shown.partition(" ")[0].rstrip(",")


def bits_per_label(measured: Measurement) -> np.ndarray:
    """The length of the code in blocks, in bits per label."""
    return measured.charged_nats / LN2 / measured.coded_tok


def _probes(runs: Sequence[Run]) -> list[Run]:
    """The runs without those of the observers."""
    found = [run for run in runs if evidence.config(run)["generator.name"] == "tokens"]
    if not found:
        raise RecordError("no probes: python -m experiments.probe makes them")
    return found


def _labels(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(evidence.config(run)["label.generator"] for run in runs))


def _bits(runs: Sequence[Run], label: str) -> dict[str, Values]:
    """The bits per label of each vector and seed, at the best rate of that probe."""
    found: dict[str, list[Values]] = {}
    for run in evidence.select(runs, label__generator=label):
        shown = evidence.config(run)["label.observer"]
        found.setdefault(shown, []).append(evidence.by_seed(run, bits_per_label))
    return {shown: _shortest(by_rate) for shown, by_rate in found.items()}


def _shortest(by_rate: list[Values]) -> Values:
    """The least of several codes of a seed, and the name of that code."""
    named = np.log2(len(by_rate)) / EXAMPLES
    seeds = set.intersection(*map(set, by_rate))
    return {seed: min(values[seed] for values in by_rate) + named for seed in sorted(seeds)}


def _by_seed(values: Sequence[float]) -> Values:
    return dict(enumerate(values))


def _observer(runs: Sequence[Run]) -> dict[str, Any]:
    """The file beside the records of the probes, which are in a folder of their own or not."""
    folder = runs[0].record.path.parent
    found = [place / OBSERVER for place in (folder, folder.parent) if (place / OBSERVER).exists()]
    if not found:
        raise RecordError(f"no {OBSERVER} beside the records in {folder}")
    return read_json(found[0])


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The loss of the observers, and of every vector the bits per label and the precision."""
    panels = [
        lines.Panel(
            "an observer of Life", "steps", "bit per frame",
            {"held-out loss": evidence.example_bits_by_step(run)},
        )
        for run in runs
        if evidence.config(run)["generator.name"] == "life"
    ]  # fmt: skip
    if len(panels) < len(runs):
        panels += _panels(_probes(runs))
    return lines.panels(panels, path)


def _panels(runs: Sequence[Run]) -> list[lines.Panel]:
    precision, panels = _observer(runs)[PRECISION], []
    for label in _labels(runs):
        bits = _bits(runs, label)
        names = [name for name in bits if kind(name) != "shuffled"]
        series = {
            "labels": [(n, evidence.mean(bits[name])) for n, name in enumerate(names)],
            "labels in random order": [
                (n, evidence.mean(bits[name + SHUFFLED])) for n, name in enumerate(names)
            ],
        }
        panels.append(
            lines.Panel(label, "", "bit per label", series, names=names, y_scale="linear")
        )
        linear = [
            (n, evidence.mean(_by_seed(precision[label][name]))) for n, name in enumerate(names)
        ]
        panels.append(
            lines.Panel(
                f"{label}: linear probe", "", "average precision", {"labels": linear},
                names=names, y_scale="linear",
            )
        )  # fmt: skip
    return panels
