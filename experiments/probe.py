"""Ask what an observer of Life holds of blocks, blinkers and gliders.

    python -m experiments.train --config=life --config.generator.height=12 \\
        --config.generator.width=12 --config.generator.burnin=30 --workdir=runs/life
    python -m experiments.probe --record=runs/life --workdir=runs/probe
    python -m experiments.report --records=runs/probe --claims

Finds the patterns on new boards, writes vectors of the observer at as many places with a pattern as
without, and trains probes on them: how many bits do the labels take, given the residual stream of
each layer, that of an untrained observer, the cells around, or the place alone? Every member of the
record is a seed. Also takes the direction of a pattern out of the stream of the middle layer, and
writes to edits.json what the prediction of the next frame loses.
"""

import itertools
from pathlib import Path

import numpy as np
from absl import flags

from configs.studies.observers import life_probes
from epx import files, record
from epx.analysis.exact import patterns
from epx.run import probing, trained
from experiments import sweep
from experiments.cli import app, running

# A tenth is held out by the generator `tokens`, and half have the pattern.
COUNT = 2 * -(-life_probes.EXAMPLES * 10 // 18)

FLAGS = flags.FLAGS
flags.DEFINE_string("record", None, "folder of a record of Life with a saved state")
flags.DEFINE_string("workdir", None, "folder of the vectors, the records and the results")
flags.DEFINE_list("patterns", list(patterns.PATTERNS), "of block, blinker, glider")
flags.DEFINE_list(
    "labels", list(probing.LABELS), "centre: the pattern is there; part: of its cells"
)
flags.DEFINE_bool("quiet", False, "no progress")


def main() -> int:
    """Write the vectors, and run and report the probes; return the exit code."""
    if not (FLAGS.record and FLAGS.workdir):
        app.fail("--record and --workdir are needed: what was trained, and a folder", 2)
    with app.config_errors():
        folder = files.folder("--record", FLAGS.record)
        workdir = files.folder("--workdir", FLAGS.workdir)
    running.prepare_host()
    edits: dict[str, dict[str, list[float]]] = {}
    vectors: dict[tuple[str, str], list[Path]] = {}
    with running.run_errors(), app.config_errors():
        members = trained.load(folder).setup.members
        for member in range(members):
            found = trained.load(folder, member)
            for pattern, label in itertools.product(FLAGS.patterns, FLAGS.labels):
                name = f"{pattern}, {label}"
                places = probing.collect(found, pattern, label, COUNT)
                shown = probing.vectors(found, places)
                for what, path in _write(shown, places, workdir / "vectors" / name, member).items():
                    vectors.setdefault((name, what), []).append(path)
                for direction, bits in _edit(found, shown, places).items():
                    edits.setdefault(name, {}).setdefault(direction, []).append(bits)
    record.write_json(workdir / life_probes.EDITS, edits)
    config = life_probes.probe_config().to_dict()
    runs = sweep.Sweep(config, life_probes.probes(vectors), draw=life_probes.draw)
    return sweep.run("probe", runs, workdir)


def _write(
    shown: dict[str, np.ndarray], places: probing.Places, folder: Path, member: int
) -> dict[str, Path]:
    """Write the vectors of a member that are not there yet; return their files."""
    labels = dict.fromkeys(shown, places.label_N)
    last = _layers(shown)[-1]
    shown = shown | {last + life_probes.SHUFFLED: shown[last]}
    labels[last + life_probes.SHUFFLED] = np.random.default_rng(0).permutation(places.label_N)
    written = {}
    for name, vectors in shown.items():
        path = folder / name / f"{member}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            probing.write(path, vectors, labels[name])
        written[name] = path
    return written


def _edit(
    found: trained.Trained, shown: dict[str, np.ndarray], places: probing.Places
) -> dict[str, float]:
    """Mean bits lost at places with the pattern, in the middle layer, by direction."""
    if found.setup.observer.edited is None:
        return {}
    layers = _layers(shown)
    middle = len(layers) // 2
    along = probing.directions(shown[layers[middle]], places.label_N)
    lost = probing.without_direction(found, places, middle, along)
    return {name: float(bits[places.label_N].mean()) for name, bits in lost.items()}


def _layers(shown: dict[str, np.ndarray]) -> list[str]:
    return [name for name in shown if name.startswith("layer") and "," not in name]


if __name__ == "__main__":
    app.launch(main, __doc__)
