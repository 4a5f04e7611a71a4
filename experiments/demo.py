"""The same data holds different structure for different observers: measures it in minutes.

    python -m experiments.demo          about 8 minutes on 2 cores
    python -m experiments.demo --fast   about a minute: two seeds, half the steps, no larger model
    python -m experiments.demo --tune   the learning-rate sweep behind configs/demo.py

Game of Life frames, elementary automata, English prose read forward and in reverse, a generator's
low and high bits, and noise, each under an exact counter, a small and a larger transformer. Writes
records, summary.json and figure.png below --workdir and prints the table. The same command goes on
where it was stopped.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from epx import plots, record, tables
from experiments import cli

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "where records and results go; none: runs/demo[-fast|-tune]")
flags.DEFINE_bool("fast", False, "two seeds, half the steps, no larger transformer")
flags.DEFINE_bool("tune", False, "vary the learning rate on one seed instead")
flags.DEFINE_bool("quiet", False, "no progress")

# What this code reached on the two cores where the README's figure was drawn, to say beforehand
# how long the demo takes: FLOP/s by observer, and seconds around the training of an ensemble.
SPEED = {"counts": 1.5e8, "small": 3.5e10, "larger": 7e10}
OVERHEAD_SECONDS = 8.0


def main() -> int:
    """Runs what is not done yet, then reports; returns the exit code."""
    began = time.monotonic()
    kind = "-tune" if FLAGS.tune else "-fast" if FLAGS.fast else ""
    workdir = Path(FLAGS.workdir or f"runs/demo{kind}")
    _say("the demo starts; loading JAX")
    from configs import demo  # after the first word: these imports take seconds on a cold disk
    from epx import run, sweeps
    from experiments import host

    host.prepare()
    ensembles = demo.ensembles(FLAGS.fast, FLAGS.tune)
    with cli.config_errors():
        setups = [sweeps.assemble(e.config, e.members) for e in ensembles]
        for setup in setups:
            setup.plan.check(setup.generators[0].spec, len(setup.hypers))
    seconds = [_seconds(e.name, setup) for e, setup in zip(ensembles, setups)]
    _say(
        f"{len(setups)} ensembles, {sum(len(s.hypers) for s in setups)} runs; this takes about "
        f"{sum(seconds) / 60:.1f} minutes on two cores. Stop it whenever you like: the same "
        "command goes on"
    )
    try:
        stopped = _train(ensembles, setups, seconds, workdir / "records")
        if stopped:
            _say(f"stopped; the same command goes on from {workdir}")
            return 128 + stopped
        _report([e.name for e in ensembles], workdir)
    except (record.RecordError, run.RunError) as error:
        cli.fail(str(error), 1)
    _say(f"done in {(time.monotonic() - began) / 60:.1f} minutes")
    return 0


def _train(ensembles: Sequence, setups: Sequence, seconds: Sequence[float], folder: Path) -> int:
    """Every ensemble in turn; 0, or the signal that stopped it."""
    from epx import run
    from experiments import progress

    done, total = 0.0, sum(seconds)
    with progress.display("demo", FLAGS.quiet) as show:
        for ensemble, setup, own in zip(ensembles, setups, seconds):

            def named(part, text, name=ensemble.name):
                show(part, f"{name}: {text}")

            chunks = run.train(setup, folder / ensemble.name)
            stopped = progress.follow(chunks, named, done / total, (done + own) / total)
            if stopped:
                return stopped
            done += own
    return 0


def _report(names: Sequence[str], workdir: Path) -> None:
    found = tables.cells([record.load(workdir / "records" / name) for name in names])
    if FLAGS.tune:
        print(tables.tuning(found))
        return
    record.write_json(workdir / "summary.json", {"cells": found})
    plots.worlds_by_observers(found, workdir / "figure.png")
    print(tables.text(found))
    _say(f"numbers in {workdir / 'summary.json'}, figure in {workdir / 'figure.png'}; again from "
         f"records alone: python -m experiments.report --records={workdir}")  # fmt: skip


def _seconds(name: str, setup) -> float:
    spec, plan = setup.generators[0].spec, setup.plan
    forward, update = setup.observer.flops(spec.length)
    flops = len(setup.hypers) * (
        plan.steps * plan.batch * (forward + update) + 2 * plan.eval_examples * forward
    )
    return OVERHEAD_SECONDS + flops / SPEED[name.rpartition("-")[2]]


def _say(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    cli.launch(main, __doc__)
