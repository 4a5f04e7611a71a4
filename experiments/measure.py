"""Measure the structure of your own data, beside controls and compressors, in minutes.

    python -m experiments.measure book.txt
    python -m experiments.measure book.txt photos/ tokens.npy --minutes=15 --workdir=runs/mine
    python -m experiments.measure table.csv --label=price --inputs=area,rooms

Text is read by character, other files by byte, `.npy` and `.npz` as whole numbers, a folder of
pictures in patches of 8x8 pixels; --label takes a column of a CSV file, given its other columns.
Several files are cut to equal tokens. The controls are the same tokens in random order, noise of
the same frequencies, and a constant. A line of the table is of the observer with the shortest
description; rates and observers are chosen by the held-out tenth that is shown. Writes records,
summary.json and figure.png below --workdir; the same command resumes. --save writes a sweep file
for a longer run.
"""

import math
import pprint
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from epx import files, record
from epx.analysis import compressors, reservoir
from epx.data import anything
from epx.report import summary, tables
from epx.report.figures import own
from epx.types import require
from experiments import sweep
from experiments.cli import app, measuring, own_data, running
from experiments.cli.own_data import Data

FLAGS = flags.FLAGS
flags.DEFINE_float("minutes", 5.0, "about how long it may take", 1.0)
flags.DEFINE_string("label", "", "column of a CSV file whose labels are measured")
flags.DEFINE_list("inputs", [], "columns that are given with a label; none: all others")
flags.DEFINE_string("workdir", None, "where records and results go; none: runs/measure-FILE")
flags.DEFINE_string("save", None, "write a sweep file for a longer run to this path (.py)")
flags.DEFINE_bool("quiet", False, "no progress")

RULED_TOKENS = 2**20  # of each, for compressors and the score


def main(words: list[str], overrides: dict[str, str]) -> int:
    """Measure the files, print the table and draw the figure; return the exit code."""
    began = time.monotonic()
    if overrides or not words:
        app.fail("name the files or folders to measure, and flags of --help", 2)
    with app.config_errors():
        accepted = "none without --label"
        require("--inputs", FLAGS.inputs, not FLAGS.inputs or bool(FLAGS.label), accepted)
        require("--minutes", FLAGS.minutes, math.isfinite(FLAGS.minutes), "a finite number")
        if FLAGS.save:
            files.output("--save", FLAGS.save, ("py",))
        found = own_data.read(words, FLAGS.label, FLAGS.inputs)
        workdir = files.folder("--workdir", FLAGS.workdir or f"runs/measure-{_stem(words)}")
        paths = own_data.write(found, workdir / "data")
    _announce(found)
    rulers = {
        name: _rulers(data, tokens_NxT)
        for data in found
        for name, tokens_NxT in own_data.variants(data).items()
    }
    rates, speed, status = _tune(found, paths, workdir)
    if status:
        return status
    steps = _steps(found, speed, workdir, time.monotonic() - began)
    runs = measuring.sweep(found, paths, rates, steps, FLAGS.minutes)
    app.say(f"measure: {_size(found, steps)}, {measuring.SEEDS} seeds, beside three controls")
    config = measuring.get_config()
    groups, status = sweep.train("measure", sweep.Sweep(config, runs), workdir)
    if status > 1:
        return status
    _report(found, sweep.load(groups, workdir), rulers, workdir)
    if FLAGS.save:
        _save(found, paths, rates)
    minutes = (time.monotonic() - began) / 60
    app.say(f"measure: done in {minutes:.1f} minutes; figure and numbers in {workdir}")
    return status


def _stem(words: Sequence[str]) -> str:
    return Path(words[0]).absolute().stem + f"-and-{len(words) - 1}" * (len(words) > 1)


def _announce(found: Sequence[Data]) -> None:
    """Say what will be done."""
    for data in found:
        count, length = data.tokens_NxT.shape
        app.say(
            f"measure: {data.name}: {count} examples of {length} {data.unit}s, {data.vocab} "
            "different"
        )
    small, larger = measuring.sizes(FLAGS.minutes)
    families = " and ".join(dict.fromkeys(f for data in found for f in measuring.families(data)))
    exact = ", and an exact counter" if measuring.counter(found[0]) else ""
    app.say(
        f"measure: {families}, {small} and {larger}{exact}; first each learner at "
        f"{len(measuring.RATES)} rates on a part of the data"
    )


def _rulers(data: Data, tokens_NxT: np.ndarray) -> own.Rulers:
    """What needs no learner, from the coded tokens."""
    tokens_N = tokens_NxT[:, -data.coded :].reshape(-1)[:RULED_TOKENS]
    bits = compressors.compressed_bits(tokens_N, data.vocab, compressors.available())
    per_token = {name.removesuffix("_bits"): size / len(tokens_N) for name, size in bits.items()}
    scored = data.inputs_NxR is None and data.vocab <= measuring.MOST_SCORED
    return own.Rulers(
        per_token,
        reservoir.score(tokens_N, data.vocab).above_floor_bits if scored else None,
        anything.repeated(tokens_N) if data.inputs_NxR is None else 0.0,
        data.bytes_per_token,
    )


def _tune(
    found: Sequence[Data], paths: dict[str, Path], workdir: Path
) -> tuple[dict[str, dict[str, float]], measuring.Speed, int]:
    """The rates by data and observer, the speed, and a status as `sweep.train`."""
    runs = measuring.tuning(found, paths, FLAGS.minutes)
    trial = sweep.Sweep(measuring.get_config(), runs)
    groups, status = sweep.train("measure", trial, workdir / "rates")
    if status:
        return {}, measuring.Speed({}, 0.0), status
    with running.run_errors():
        records = sweep.load(groups, workdir / "rates")
        cells = summary.cells(records)
    for name, cell in own.best(cells).items():
        s, h = cell["S_bits_per_tok"][0], cell["H_bits_per_tok"][0]
        app.say(
            f"measure: {name}, after {cell['coded_tok']:.3g} tokens: S {s:.3g}, H {h:.3g} bit per "
            f"token ({cell['observer']})"
        )
    return tables.chosen_rates(cells), measuring.speed(records), 0


def _steps(found: Sequence[Data], speed: measuring.Speed, workdir: Path, elapsed: float) -> int:
    """The steps of each run: those of the first call, if this one resumes it."""
    file = workdir / "plan.json"
    if file.exists():
        plan = record.read_json(file)
        accepted = f"{plan['minutes']:g}, for which {workdir} was planned, or another --workdir"
        with app.config_errors():
            require("--minutes", FLAGS.minutes, plan["minutes"] == FLAGS.minutes, accepted)
        return plan["steps"]
    steps = measuring.fitting_steps(found, speed, FLAGS.minutes, elapsed)
    record.write_json(file, {"minutes": FLAGS.minutes, "steps": steps})
    return steps


def _size(found: Sequence[Data], steps: int) -> str:
    """The tokens that are learned from, of each file."""
    sizes = (f"{steps * data.batch * data.coded:,} tokens of {data.name}" for data in found)
    return ", ".join(sizes) + " (all)" * (steps == found[0].steps)


def _report(
    found: Sequence[Data],
    records: list[record.Record],
    rulers: dict[str, own.Rulers],
    workdir: Path,
) -> None:
    """Print the table, and write summary.json and the figure."""
    with running.run_errors():
        runs = summary.runs(records)
        cells = [cell | _marks(rulers[cell["generator"]]) for cell in summary.cells(records)]
        record.write_json(workdir / "summary.json", {"cells": cells})
    print(own.table(cells, runs, rulers))
    own.draw(cells, runs, [data.name for data in found], workdir / sweep.FIGURE)


def _marks(ruler: own.Rulers) -> summary.Cell:
    """The rulers as keys of a cell."""
    marks: summary.Cell = {f"{n}_bits_per_tok": bits for n, bits in ruler.bits_per_tok.items()}
    if ruler.reservoir_bits is not None:
        marks["reservoir_bits"] = [ruler.reservoir_bits, None]
    return marks


def _save(found: Sequence[Data], paths: dict[str, Path], rates: dict) -> None:
    """Write a sweep file: the same observers and rates, a whole pass, five seeds."""
    config = measuring.get_config()
    runs = measuring.sweep(
        found, paths, rates, found[0].steps, FLAGS.minutes, measuring.LONGER_SEEDS
    )
    text = (
        f'"""A longer run of `measure` on {", ".join(data.name for data in found)}.\n\n'
        f"    python -m experiments.sweep --sweep={FLAGS.save} --workdir=runs/longer\n"
        '"""\n\n'
        f"CONFIG = {pprint.pformat(config, width=96, sort_dicts=False)}\n"
        f"RUNS = {pprint.pformat(runs, width=96, sort_dicts=False)}\n\n\n"
        "def get_config():\n    return CONFIG\n\n\ndef sweep():\n    return RUNS\n"
    )
    with files.replacing(Path(FLAGS.save)) as handle:
        handle.write(text.encode())
    app.say(f"measure: python -m experiments.sweep --sweep={FLAGS.save} --workdir=runs/longer")


if __name__ == "__main__":
    app.launch(main, __doc__, takes_words=True)
