"""Run a sweep, a list of overrides, and report on its records.

    python -m experiments.sweep --sweep=paper/fig3_automata --workdir=runs/fig3
    python -m experiments.sweep --sweep=codes --tune --workdir=runs/tune
    python -m experiments.sweep --config=eca:tiny --vary=optim.lr=0.05,0.1,0.2 \\
        --vary=run.seed=0,1 --workdir=runs/rates

A sweep file defines `sweep()`, which returns the overrides of each run, and `get_config()`, the
shared config. It may define `draw(runs, path)`, its figure; a sweep without runs has only that.
`--vary` gives keys and values on the command line, and all combinations are run. Runs of equal
shapes share one compiled program and one record. The same command resumes; started several times
on one folder, on one machine or on many, the processes share the work.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags

from epx import files, record
from epx.report import compact, summary, tables
from epx.run.config import components
from epx.run.config.keys import Config, Overrides
from epx.run.setup import Setup
from epx.sweeps import grid, local, ray, slurm, status
from epx.sweeps.ensembles import Ensemble, ensembles
from epx.types import require
from experiments.cli import app, configs, host, progress, rendering, running, standing

FLAGS = flags.FLAGS
FIGURE = "figure.png"
# Learning rates of --tune for a file without RATES.
RATES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
Execute = Callable[[list[Ensemble], list[Setup], Path], Iterator[local.Step]]


def define_flags() -> None:
    """Define the flags of this binary; `demo` runs sweeps without them."""
    flags.DEFINE_string("sweep", None, "file with sweep() and get_config(), or shipped name[:size]")
    flags.DEFINE_string("config", None, "instead of a sweep file: the shared config of --vary")
    flags.DEFINE_multi_string("vary", [], "KEY=VALUE,VALUE,...: a key and its values; may repeat")
    flags.DEFINE_string("workdir", None, "folder of the records and results")
    executors = ["local", "ray", "slurm"]
    flags.DEFINE_enum("executor", "local", executors, "this process, or workers of a cluster")
    flags.DEFINE_integer("workers", None, "of a cluster; none: one for each GPU or core of Ray", 1)
    flags.DEFINE_string("address", None, "of a running Ray cluster; none: one for this call")
    flags.DEFINE_list("slurm", [], "NAME=VALUE options of a SLURM job, such as partition, time")
    flags.DEFINE_bool("tune", False, "instead vary the learning rate on one seed")
    flags.DEFINE_bool("dry_run", False, "print the ensembles with their compute; run nothing")
    flags.DEFINE_bool("status", False, "print which are done, running, failed; run nothing")
    flags.DEFINE_bool("retry", False, "run once more what has failed")
    flags.DEFINE_bool("quiet", False, "no progress")


def main() -> int:
    """Run the unfinished ensembles and report; return the exit code."""
    if not FLAGS.workdir or bool(FLAGS.sweep) == bool(FLAGS.config):
        app.fail("--workdir and one of --sweep and --config are needed: the folder of the records, "
                 "and what to run", 2)  # fmt: skip
    if FLAGS.sweep and FLAGS.vary:
        app.fail("--vary needs --config; a sweep file already defines what varies", 2)
    with app.config_errors():
        workdir = files.folder("--workdir", FLAGS.workdir)
        sweep = read(FLAGS.sweep) if FLAGS.sweep else _from_flags()
    if FLAGS.dry_run or FLAGS.status:
        return show(sweep, workdir, FLAGS.tune, with_compute=FLAGS.dry_run)
    with app.config_errors():
        execute = _executor()
    return run("sweep", sweep, workdir, Manner(FLAGS.tune, FLAGS.retry, execute))


def _executor() -> Execute:
    """What runs the ensembles, by the flags."""
    given = [name for name in ("workers", "address", "slurm") if FLAGS[name].present]
    of_executor = {"local": [], "ray": ["workers", "address"], "slurm": ["workers", "slurm"]}
    for name in given:
        legal = name in of_executor[FLAGS.executor]
        require(f"--{name}", FLAGS[name].value, legal, f"none with --executor={FLAGS.executor}")
    if FLAGS.executor == "ray":
        return lambda groups, _, workdir: ray.train(
            groups, workdir, host.prepare, FLAGS.workers, FLAGS.address
        )
    if FLAGS.executor == "slurm":
        accepted = "the number of jobs, with --executor=slurm"
        require("--workers", FLAGS.workers, FLAGS.workers is not None, accepted)
        options = slurm.options(FLAGS.slurm)
        return lambda groups, _, workdir: slurm.train(
            groups, workdir, host.prepare, FLAGS.workers, options
        )
    return local.train


class Sweep(NamedTuple):
    """What a sweep file says.

    Attributes:
      config: shared by the runs.
      overrides: of each run.
      rates: learning rates of `--tune`.
      draw: (runs, path) draws the figure of a file; None: bars of S and H.
    """

    config: Config
    overrides: list[Overrides]
    rates: Sequence[float] = RATES
    draw: Callable | None = None


def read(reference: str) -> Sweep:
    """The sweep of PATH[:SIZE], or of a shipped NAME[:SIZE]."""
    path, _, size = reference.partition(":")
    sizes = [size] if size else []
    file = configs.module(path, "sweep", "sweep")
    overrides = configs.call(file, "sweep", "sweep", *sizes)
    shares = callable(getattr(file, "get_config", None))
    require("--sweep", path, shares, "a file that also has get_config(), what the runs share")
    config = configs.call(file, "sweep", "get_config", *sizes)
    rates = getattr(file, "RATES", RATES)
    legal = isinstance(rates, list | tuple) and len(rates) > 0
    require("RATES", rates, legal, f"a list of learning rates, in --sweep={path}")
    return Sweep(config, overrides, rates, getattr(file, "draw", None))


def _from_flags() -> Sweep:
    config = configs.load(FLAGS.config, {})
    axes = []
    for text in FLAGS.vary:
        key, _, values = text.partition("=")
        require("--vary", text, bool(key and values), "a key and its values, KEY=VALUE,VALUE,...")
        axes.append(grid.vary(key, values.split(",")))
    if not any("run.seed" in axis[0] for axis in axes):
        first, count = config["run"]["seed"], config["run"]["seeds"]
        axes.append(grid.vary("run.seed", range(first, first + count)))
    return Sweep(config, grid.product(*axes))


def _ensembles(sweep: Sweep, tuned: bool) -> list[Ensemble]:
    """The ensembles of a sweep, or of its tuning, in the order in which they can run."""
    runs = grid.tuning(sweep.overrides, sweep.rates) if tuned else sweep.overrides
    # The records of a tuning are not those of a figure.
    config = {k: v for k, v in sweep.config.items() if k != "figure" or not tuned}
    return local.in_order(ensembles(config, runs))


def show(sweep: Sweep, workdir: Path, tuned: bool, with_compute: bool) -> int:
    """Print where the ensembles of a sweep stand, and run nothing.

    Args:
      sweep, workdir, tuned: as in `run`.
      with_compute: also the compute that is left, and the time that it takes at the speed of what
        has run here.
    """
    if not sweep.overrides:
        print("nothing to train")
        return 0
    running.prepare_host()
    with app.config_errors(), running.run_errors():
        groups = _ensembles(sweep, tuned)
        local.check_workdir(groups, workdir)
        setups = local.prepare(groups) if with_compute else []
        flops = {group.name: local.whole_flops(setup) for group, setup in zip(groups, setups)}
    print(standing.table([status.of(workdir, group) for group in groups], flops))
    return 0


class Manner(NamedTuple):
    """How a sweep is run.

    Attributes:
      tuned: instead run each at every rate, on the seed for tuning.
      retry: run once more what has failed.
      execute: runs the ensembles.
    """

    tuned: bool = False
    retry: bool = False
    execute: Execute = local.train


PLAIN = Manner()


def run(label: str, sweep: Sweep, workdir: Path, manner: Manner = PLAIN) -> int:
    """Run a sweep and report on it.

    Args:
      label: the name of the binary, at the start of every line.
      sweep: its runs and its figure.
      workdir: folder of the records and results.
      manner: how it is run.

    Returns:
      0; 1 if an ensemble has no member of finite loss; 128 + the signal that stopped the sweep.
    """
    if not sweep.overrides:
        workdir.mkdir(parents=True, exist_ok=True)
        _draw(sweep, [], workdir)
        app.say(f"{label}: nothing to train; figure in {workdir / FIGURE}")
        return 0
    groups, status = train(label, sweep, workdir, manner)
    if status <= 1:
        report(label, sweep, groups, workdir, manner.tuned)
    return status


def train(
    label: str, sweep: Sweep, workdir: Path, manner: Manner = PLAIN
) -> tuple[list[Ensemble], int]:
    """Run the unfinished ensembles of a sweep; return all of them, and a status as `run`."""
    running.prepare_host()
    with app.config_errors(), running.run_errors():
        groups = _ensembles(sweep, manner.tuned)
        local.check_workdir(groups, workdir)
        setups = local.prepare(groups)
        if manner.retry:
            status.forget_failures(workdir, groups)
    count = sum(setup.members for setup in setups)
    app.say(
        f"{label}: {len(groups)} ensembles, {count} runs in {workdir}. Stop it at any time: the "
        "same command resumes"
    )
    failed: list[str] = []
    with (
        app.config_errors(), running.run_errors(), progress.display(label, FLAGS.quiet) as display
    ):  # fmt: skip
        stopped = progress.follow_sweep(manner.execute(groups, setups, workdir), display, failed)
    for line in failed:  # the other ensembles are reported below
        app.say(f"{label}: {line}")
    if stopped:
        app.say(f"{label}: stopped; the same command resumes from {workdir}")
        return groups, 128 + stopped
    return groups, int(bool(failed))


def report(label: str, sweep: Sweep, groups: list[Ensemble], workdir: Path, tuned: bool) -> None:
    """Print the table, and write summary.json, times.json and figure.png.

    For a tuned sweep print only the description length at each rate, and write the rates of the
    shortest ones to rates.json. There is no figure if nothing could be measured.
    """
    with running.run_errors():
        records = load(groups, workdir)
        cells = summary.cells(records)
        if tuned:
            print(tables.tuning(cells))
            for line in tables.at_the_edge(cells):
                app.say(f"{label}: {line}; a better one may lie beyond")
            record.write_json(workdir / "rates.json", tables.chosen_rates(cells))
            return
        cells = summary.disambiguate(cells)
        record.write_json(workdir / "summary.json", {"cells": cells})
        seconds = {r.path.name: float(r.rows["seconds"][0].sum()) for r in records}
        record.write_json(workdir / "times.json", {"seconds": seconds})
        if summary.measured(cells) and not sweep.draw:
            from epx.report.figures import bars  # only now: matplotlib and scipy take half a second

            bars.generators_by_observers(cells, workdir / FIGURE)
    print(compact.table(cells, rendering.terminal_width()))
    if sweep.draw and summary.measured(cells):
        _draw(sweep, summary.runs(records), workdir)
    written = "numbers in summary.json" + ", figure in figure.png" * bool(summary.measured(cells))
    app.say(
        f"{label}: {written} of {workdir}; to recompute them from the records: "
        f"python -m experiments.report --records={workdir}"
    )


def load(groups: list[Ensemble], workdir: Path) -> list[record.Record]:
    """The records of the ensembles that have begun, in their order."""
    folders = [status.folder(workdir, group) for group in groups]
    return [record.load(path) for path in folders if (path / "config.json").exists()]


def _draw(sweep: Sweep, runs: list[summary.Run], workdir: Path) -> None:
    """Draw the figure of a sweep file, or exit with one line."""
    try:
        sweep.draw(runs, workdir / FIGURE)
    except Exception as error:  # the user's function may raise anything
        app.fail(f"the draw of the sweep file raised {components.place(error)}; the records and "
                 "the numbers are kept", 1)  # fmt: skip


if __name__ == "__main__":
    define_flags()
    app.launch(main, __doc__)
