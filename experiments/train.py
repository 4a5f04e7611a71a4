"""Train one observer on one generator and keep the record.

    python -m experiments.train --config=life:tiny --workdir=runs/life
    python -m experiments.report --records=runs/life

Takes 10 s for a `tiny` config and one to two minutes for a `cpu` one on 2 cores. Override any key
with --config.KEY=VALUE. The same command resumes; with more run.steps it extends a finished run.
"""

import contextlib
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from absl import flags, logging

from epx import files, record
from epx.analysis import ledger
from epx.run import train
from epx.run.setup import assemble
from epx.types import require
from experiments.cli import app, host, progress, running

FLAGS = flags.FLAGS
flags.DEFINE_string("config", None, "config file, or the name of a shipped one, and its size")
flags.DEFINE_string("workdir", None, "folder of the record")
flags.DEFINE_string("coordinator", None, "of run.distributed: MACHINE:PORT of the first process")
flags.DEFINE_integer("processes", None, "of run.distributed: how many there are", 1)
flags.DEFINE_integer("process", None, "of run.distributed: number of this one, from 0", 0)
flags.DEFINE_bool("quiet", False, "no progress")


def main(config: dict[str, Any]) -> int:
    """Train, or resume; return the exit code."""
    if not FLAGS.workdir:
        app.fail("--workdir is missing: the folder of the record", 2)
    with app.config_errors():
        workdir = files.folder("--workdir", FLAGS.workdir)
    with app.config_errors():
        process = _process(config["run"]["distributed"])
    running.prepare_host(process)
    with _ends_at_once(process):
        return _train(config, workdir)


def _train(config: dict[str, Any], workdir: Path) -> int:
    with app.config_errors():
        setup = assemble(config)
    _log_start()
    with running.run_errors():
        with progress.display("train", FLAGS.quiet) as show:
            stopped = progress.follow(train(setup, workdir), show)
        if stopped:
            logging.info("state saved in %s; the same command resumes from there", workdir)
            return 128 + stopped
        if jax.process_index() == 0:
            _log_result(record.load(workdir))
    return 0


@contextlib.contextmanager
def _ends_at_once(process: host.Process | None) -> Iterator[None]:
    """End one of several processes at once if it fails: JAX would wait for the others, and they
    for this one."""
    try:
        yield
    except BaseException as failed:
        if process:
            if not isinstance(failed, SystemExit):
                traceback.print_exc()
            os._exit(failed.code if isinstance(failed, SystemExit) else 1)
        raise


def _process(distributed: bool) -> host.Process | None:
    """Which of several processes this is, by the flags."""
    found = host.Process(FLAGS.coordinator, FLAGS.processes, FLAGS.process)
    given = [value is not None for value in found]
    accepted = "none without --config.run.distributed=true"
    require("--coordinator", FLAGS.coordinator, distributed or not any(given), accepted)
    accepted = (
        "a MACHINE:PORT, with --processes and --process; or none of the three under SLURM and Ray "
        "Train"
    )
    require("--coordinator", FLAGS.coordinator, all(given) or not any(given), accepted)
    return found if distributed else None


def _log_start() -> None:
    devices = jax.devices()
    logging.info(
        "%s: %d x %s, process %d of %d",
        jax.default_backend(), len(devices), devices[0].device_kind,
        jax.process_index() + 1, jax.process_count(),
    )  # fmt: skip
    if warning := host.unused_gpu():
        logging.warning(warning)


def _log_result(done: record.Record) -> None:
    measured = ledger.measure(done)
    structure, entropy = measured.structure_bits, measured.entropy_bits_per_tok
    seeds = len(measured.members)
    logging.info(
        "S = %.4g%s bits, H = %.4f%s bits per coded token, %d members; record in %s",
        structure.mean, f" ± {structure.half_width:.2g}" if seeds > 1 else "",
        entropy.mean, f" ± {entropy.half_width:.4f}" if seeds > 1 else "",
        seeds, done.path,
    )  # fmt: skip


if __name__ == "__main__":
    app.launch(main, __doc__, takes_config=True)
