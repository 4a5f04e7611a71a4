"""Ask what an observer of Life holds of blocks, blinkers and gliders.

    python -m experiments.train --config=life --config.generator.height=12 \\
        --config.generator.width=12 --config.generator.burnin=30 --workdir=runs/life
    python -m experiments.probe --record=runs/life --workdir=runs/probe
    python -m experiments.report --records=runs/probe --claims

Finds the patterns on new boards, writes vectors of the observer at as many places with a pattern as
without, and trains probes on them: how many bits do the labels take, given the residual stream of
each layer, that of an untrained observer, the cells around, or the place alone?
"""

from pathlib import Path

import numpy as np
from absl import flags

from configs.studies import life_probes
from epx import files
from epx.analysis import patterns
from epx.run import probing, trained
from epx.types import require_whole
from experiments import sweep
from experiments.cli import app, running

FLAGS = flags.FLAGS
flags.DEFINE_string("record", None, "folder of a record of Life with a saved state")
flags.DEFINE_string("workdir", None, "folder of the vectors, the records and the results")
flags.DEFINE_list("patterns", list(patterns.PATTERNS), "of block, blinker, glider")
flags.DEFINE_list(
    "labels", list(probing.LABELS), "centre: the pattern is there; part: of its cells"
)
flags.DEFINE_integer("member", 0, "member of the ensemble")
flags.DEFINE_bool("quiet", False, "no progress")


def main() -> int:
    """Write the vectors, and run and report the probes; return the exit code."""
    if not (FLAGS.record and FLAGS.workdir):
        app.fail("--record and --workdir are needed: what was trained, and a folder", 2)
    with app.config_errors():
        folder = files.folder("--record", FLAGS.record)
        workdir = files.folder("--workdir", FLAGS.workdir)
    running.prepare_host()
    with running.run_errors(), app.config_errors():
        require_whole("--member", FLAGS.member, 0, 2**12)
        found = trained.load(folder, FLAGS.member)
        vectors = {
            (f"{pattern}, {label}", shown): path
            for pattern in FLAGS.patterns
            for label in FLAGS.labels
            for shown, path in _write(found, pattern, label, workdir / "vectors").items()
        }
    config = life_probes.get_config().to_dict()
    runs = sweep.Sweep(config, life_probes.probes(vectors), draw=life_probes.draw)
    return sweep.run("probe", runs, workdir)


def _write(found: trained.Trained, pattern: str, label: str, folder: Path) -> dict[str, Path]:
    """Write the vectors of a pattern that are not there yet; return their files."""
    # A tenth is held out by the generator `tokens`.
    count = 2 * -(-life_probes.EXAMPLES * 10 // 18)
    places = probing.collect(found, pattern, label, count)
    shown = probing.vectors(found, places)
    last = max(name for name in shown if name.startswith("layer"))
    shown[last + life_probes.SHUFFLED] = shown[last]
    written = {}
    for name, vectors in shown.items():
        path = folder / f"{pattern}-{label}-{name.replace(' ', '_').replace(',', '')}.npz"
        labels = places.label_N
        if name.endswith(life_probes.SHUFFLED):
            labels = np.random.default_rng(0).permutation(labels)
        if not path.exists():
            probing.write(path, vectors, labels)
        written[name] = path
    return written


if __name__ == "__main__":
    app.launch(main, __doc__)
