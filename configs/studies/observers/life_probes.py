"""How plainly an observer of Life shows its patterns: the description length of labels.

`python -m experiments.probe` writes the vectors of a trained observer and runs these probes on
them: a perceptron that reads a vector and predicts its label, under the code in blocks. The fewer
bits the labels take, the more of the pattern the vector shows; labels in random order take 1 bit.

Claims 121 to 124, not measured yet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from configs import base
from epx.analysis.exact import patterns
from epx.analysis.measurement import LN2, Measurement
from epx.record import RecordError, read_json
from epx.report import evidence
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run

CLAIMS = {
    121: "A trained observer of Life shows gliders more plainly than an untrained one",
    122: "It shows gliders more plainly than the cells around them do",
    123: "Labels in random order are noise to every probe",
    124: "Without the direction of a glider it predicts the next frame of gliders worse",
}
EXAMPLES, FIRST_BLOCK, STAGE_STEPS = 1024, 16, 200
SHUFFLED = ", labels shuffled"
GLIDERS = "glider, centre"
EDITS = "edits.json"  # beside the records: bits lost by pattern and direction, one for each seed


def probe_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all probes."""
    config = base.get_config(size)
    # Every seed has files of its own.
    config.figure = dict(name="life_probes", size=size, seeded=["generator.path"])
    config.generator.name = "tokens"
    config.observer.update(name="mlp", depth=1, width=32, window=1)
    config.optim.lr = 0.1
    config.code.update(name="blocks", first_block=FIRST_BLOCK, stage_steps=STAGE_STEPS)
    stages = (EXAMPLES // FIRST_BLOCK).bit_length()
    config.run.update(batch=FIRST_BLOCK, examples=EXAMPLES, steps=stages * STAGE_STEPS)
    config.run.repeats = -(-config.run.steps * FIRST_BLOCK // EXAMPLES)
    config.eval.examples = EXAMPLES // 10
    config.checkpoint.update(every=None, keep=1)
    return config


def probes(vectors: dict[tuple[str, str], list[Path]]) -> list[dict[str, Any]]:
    """The probes of files of vectors, one for each seed, by the label and by what they show."""
    return [
        {"generator.path": str(path), "label.generator": label, "label.observer": shown}
        | {"run.seed": seed}
        for (label, shown), paths in vectors.items()
        for seed, path in enumerate(paths)
    ]


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Bits of a label, or bits lost by an edit, paired by the seed of the observer."""
    if number == 124:
        return _edited(runs[0].record.path.parent)
    bits: dict[str, dict[int, float]] = {}
    for run in runs:
        config = evidence.config(run)
        if config["label.generator"] == GLIDERS:
            bits[config["label.observer"]] = evidence.by_seed(run, bits_per_label)
    shuffled = {name: found for name, found in bits.items() if name.endswith(SHUFFLED)}
    layers = {name: found for name, found in bits.items() if name.startswith("layer")}
    plain = {name: found for name, found in layers.items() if name not in shuffled}
    best = min(plain, key=lambda name: evidence.mean(plain[name]).mean)
    if number == 123:
        return [
            Check(f"{name}, bit per label", evidence.mean(found), 0.95)
            for name, found in shuffled.items()
        ]
    others = ["untrained"] if number == 121 else [n for n in bits if n.endswith("cells")]
    return [
        Check(f"{name} - {best}, bit per label", evidence.difference(bits[name], bits[best]), 0)
        for name in others
    ]


def _edited(folder: Path) -> list[Check]:
    """From the file beside the records, which are in a folder of their own or not."""
    places = [place / EDITS for place in (folder, folder.parent) if (place / EDITS).exists()]
    if not places:
        raise RecordError(f"no {EDITS} beside the records in {folder}")
    lost = read_json(places[0]).get(GLIDERS, {})
    if not lost:
        raise RecordError(f"{places[0]} has no edits of {GLIDERS}")
    by_seed = {name: dict(enumerate(bits)) for name, bits in lost.items()}
    own = by_seed.pop(patterns.OWN_DIRECTION)
    return [
        Check(f"bits lost, the glider's direction - {name}", evidence.difference(own, other), 0)
        for name, other in by_seed.items()
    ]


def bits_per_label(measured: Measurement) -> np.ndarray:
    """The length of the code in blocks, in bits per label."""
    return measured.charged_nats / LN2 / measured.coded_tok


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """Bits per label of every vector, a panel for each pattern and labelling."""
    labels = list(dict.fromkeys(evidence.config(run)["label.generator"] for run in runs))
    panels = []
    for label in labels:
        chosen = evidence.select(runs, label__generator=label)
        names = [evidence.config(run)["label.observer"] for run in chosen]
        points = [
            (float(place), evidence.mean(evidence.by_seed(run, bits_per_label)))
            for place, run in enumerate(chosen)
        ]
        series = {"code in blocks": points}
        panels.append(lines.Panel(label, "", "bit per label", series, names=names))
    return lines.panels(panels, path)
