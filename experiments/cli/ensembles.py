"""Runs a list of ensembles one after the other, says beforehand how long that takes, and reports:
what the demo and the sweeps share."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from epx import record
from epx.report import bars, summary, tables
from epx.run import loop
from epx.run.plan import Setup
from epx.sweeps import grid
from experiments.cli import app, host, progress

# FLOP/s that this code reached on the two cores where the README's figures were drawn, by family
# and width of the observer, and seconds around the training of an ensemble.
SPEED = {("counts", 0): 1.5e8, ("transformer", 16): 4e10, ("transformer", 32): 7.2e10}
OVERHEAD_SECONDS = 7.0
# What a step takes beside the prequential code's: the requential one has two learners, and draws.
COST = {"requential": 3.3}


def train(
    label: str, ensembles: Sequence[grid.Ensemble], workdir: Path, quiet: bool = False
) -> int:
    """Runs what is not done yet, with a record for each ensemble below `workdir/records`.

    Args:
      label: the name of the binary, in front of every line.
      ensembles: what to run, in order.
      workdir: where records and results go.
      quiet: no progress.

    Returns:
      0; 1 where no member of an ensemble has a finite loss; 128 + the signal that stopped it. A
      mistake ends the process with one line.
    """
    host.prepare()
    with app.config_errors():
        setups = [grid.assemble(e.config, e.members) for e in ensembles]
        for setup in setups:
            setup.check()
    folders = [workdir / "records" / ensemble.name for ensemble in ensembles]
    others = [path.name for path in record.find(workdir / "records") if path not in folders]
    if others:
        app.fail(f"{workdir} holds other records: {', '.join(others)}; choose another --workdir", 1)
    seconds = [_seconds(setup, folder) for setup, folder in zip(setups, folders)]
    runs = sum(len(setup.hypers) for setup in setups)
    app.say(
        f"{label}: {len(setups)} ensembles, {runs} runs; this takes about {sum(seconds) / 60:.0f} "
        "minutes on two cores. Stop it whenever you like: the same command goes on"
    )
    done, total, status = 0.0, max(sum(seconds), 1.0), 0
    with run_errors(), progress.display(label, quiet) as show:
        for setup, folder, own in zip(setups, folders, seconds):

            def named(part, text, name=folder.name):
                show(part, f"{name}: {text}")

            chunks = loop.train(setup, folder)
            try:
                stopped = progress.follow(chunks, named, done / total, (done + own) / total)
            except loop.RunError as error:  # the others can still be measured
                app.say(f"{label}: {folder.name}: {error}")
                stopped, status = 0, 1
            if stopped:
                app.say(f"{label}: stopped; the same command goes on from {workdir}")
                return 128 + stopped
            done += own
    return status


def report(label: str, ensembles: Sequence[grid.Ensemble], workdir: Path, tune: bool) -> None:
    """Prints the table and writes summary.json and figure.png; of a sweep of rates, prints what
    each rate comes to. Where nothing could be measured there is no figure."""
    with run_errors():
        found = summary.cells([record.load(workdir / "records" / e.name) for e in ensembles])
        if tune:
            print(tables.tuning(found))
            return
        found = summary.disambiguate(found)
        record.write_json(workdir / "summary.json", {"cells": found})
        if summary.measured(found):
            bars.generators_by_observers(found, workdir / "figure.png")
    print(tables.compact(found, shutil.get_terminal_size((100, 24)).columns))
    written = "numbers in summary.json" + ", figure in figure.png" * bool(summary.measured(found))
    app.say(
        f"{label}: {written} of {workdir}; again from records alone: python -m experiments.report "
        f"--records={workdir}"
    )


@contextlib.contextmanager
def run_errors() -> Iterator[None]:
    """A run or a record that cannot go on ends the process with one line."""
    try:
        yield
    except (record.RecordError, loop.RunError) as error:
        app.fail(str(error), 1)


def _seconds(setup: Setup, folder: Path) -> float:
    """Forecast of what is left to do of an ensemble."""
    spec, plan = setup.generators[0].spec, setup.plan
    if record.is_complete(folder, plan.steps):
        return 0.0
    steps = plan.steps - record.intact_steps(folder)
    forward, update = setup.observer.flops(spec.length)
    flops = len(setup.hypers) * (
        steps * plan.batch * (forward + update) + 2 * plan.eval_examples * forward
    )
    cost = COST.get(setup.config["code"]["name"], 1.0)
    return OVERHEAD_SECONDS + cost * flops / _speed(setup.config["observer"])


def _speed(observer: dict) -> float:
    """Of the family's width that is nearest; an unknown family is taken for a transformer."""
    family = observer["name"] if observer["name"] == "counts" else "transformer"
    widths = [width for name, width in SPEED if name == family]
    wanted = observer.get("width", 0)
    return SPEED[family, min(widths, key=lambda width: abs(width - wanted))]
