"""Ask what an observer of Life holds of blocks, blinkers and gliders.

    python -m experiments.sweep --sweep=life_probes --workdir=runs/life
    python -m experiments.probe --record=runs/life/records/00-life-transformer --workdir=runs/probe
    python -m experiments.report --records=runs/probe --claims

Finds the patterns on new boards, writes vectors of the observer at as many places with a pattern as
without, and trains probes on them: how many bits do the labels take, given the residual stream of
each layer, that of a randomised observer, the cells that were read, or the place alone, and with
labels in random order? Every member of the record is a seed. Writes to observer.json the loss of
the observer, the average precision of linear probes, and what the prediction of the next frame
loses without the direction of a pattern.
"""

import functools
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from configs.studies.observers import life_probes
from epx import files, record
from epx.analysis import ledger, rank
from epx.analysis.exact import patterns
from epx.analysis.measurement import LN2
from epx.run import trained
from epx.run.probing import edits, linear, places, vectors
from experiments import sweep
from experiments.cli import app, running

# A tenth is held out by the generator `tokens`, and half have the pattern.
COUNT = 2 * -(-life_probes.EXAMPLES * 10 // 18)
HALF = COUNT // 2
Found = tuple[places.Places, dict[str, np.ndarray]]  # places, and their vectors by name

FLAGS = flags.FLAGS
flags.DEFINE_string("record", None, "folder of a record of Life with a saved state")
flags.DEFINE_string("workdir", None, "folder of the vectors, the records and the results")
flags.DEFINE_list("patterns", list(patterns.PATTERNS), "of block, blinker, glider")
flags.DEFINE_list("labels", list(places.LABELS), "centre: the pattern is there; part: of its cells")
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
        measured = ledger.measure(record.load(folder))
        of_seeds = [
            _of_member(trained.load(folder, int(member)), workdir / "vectors", seed)
            for seed, member in enumerate(measured.members)
        ]
    shown, precision, lost = map(_with_lists, zip(*of_seeds))
    loss = (measured.anchor_nats / LN2).tolist()
    names = (life_probes.LOSS, life_probes.PRECISION, life_probes.EDITS)
    record.write_json(workdir / life_probes.OBSERVER, dict(zip(names, (loss, precision, lost))))
    config = life_probes.probe_config().to_dict()
    runs = sweep.Sweep(config, life_probes.probes(shown), draw=life_probes.draw)
    return sweep.run("probe", runs, workdir)


def _of_member(observer: trained.Trained, folder: Path, seed: int) -> tuple[dict, dict, dict]:
    """Of an observer the files of vectors by label and vector, precisions, and bits lost."""

    @functools.cache
    def found(pattern: str, label: str) -> Found:
        at = places.collect(observer, pattern, label, COUNT)
        return at, vectors.vectors(observer, at)

    shown, precision, lost = {}, {}, {}
    for pattern, label in itertools.product(FLAGS.patterns, FLAGS.labels):
        name, of_pattern = f"{pattern}, {label}", found(pattern, label)
        written = _write(of_pattern, folder / name, seed)
        shown |= {(name, what): path for what, path in written.items()}
        precision[name] = _precisions(of_pattern)
        if observer.setup.observer.edited is not None:
            others = patterns.PATTERNS
            other = others[(others.index(pattern) + 1) % len(others)]
            lost[name] = _lost(observer, of_pattern, found(other, label))
    return shown, precision, lost


def _with_lists(of_seeds: Sequence[dict | float | Path]) -> dict | list:
    """Dicts with the same keys as one, with a list in place of each value."""
    first = of_seeds[0]
    if not isinstance(first, dict):
        return list(of_seeds)
    return {key: _with_lists([of_seed[key] for of_seed in of_seeds]) for key in first}


def _write(found: Found, folder: Path, seed: int) -> dict[str, Path]:
    """Write the vectors that are not there yet, also with shuffled labels; return their files."""
    at, shown = found
    shuffled_N = np.random.default_rng(0).permutation(at.label_N)
    written = {}
    for end, label_N in (("", at.label_N), (life_probes.SHUFFLED, shuffled_N)):
        for name, values in shown.items():
            path = folder / f"{name}{end}" / f"{seed}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                vectors.write(path, values, label_N)
            written[f"{name}{end}"] = path
    return written


def _precisions(found: Found) -> dict[str, float]:
    """The average precision, on the second half of the places, of linear probes of the first."""
    at, shown = found
    precisions = {}
    for name, values in shown.items():
        probe = linear.fit(values[:HALF], at.label_N[:HALF])
        scores = probe.log_odds(values[HALF:])
        precisions[name] = rank.average_precision(scores, at.label_N[HALF:])
    return precisions


def _lost(observer: trained.Trained, found: Found, other: Found) -> dict[str, dict[str, float]]:
    """Mean bits lost around the patterns of the second half, by layer and direction."""
    (at, shown), (other_at, other_shown) = found, other
    fitted, rest = at.at(slice(HALF)), at.at(slice(HALF, None))
    layers = [name for name in shown if life_probes.kind(name) == "layer"]
    result = {}
    for number, name in enumerate(layers[1:], start=1):  # before the first there is no context
        along = edits.directions(
            shown[name][:HALF], fitted.label_N, other_shown[name][:HALF], other_at.label_N[:HALF]
        )
        lost = edits.bits_lost(observer, number, along, fitted, rest.at(rest.label_N))
        result[name] = {direction: float(bits.mean()) for direction, bits in lost.items()}
    return result


if __name__ == "__main__":
    app.launch(main, __doc__)
