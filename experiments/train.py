"""Train one observer on one generator and keep the record.

    python -m experiments.train --config=configs/life.py:tiny --workdir=runs/life
    python -m experiments.report --records=runs/life

Takes 10 s for a `tiny` config and one to two minutes for a `cpu` one on 2 cores. Override any key
with --config.KEY=VALUE. The same command resumes; with more run.steps it extends a finished run.
"""

from typing import Any

import jax
from absl import flags, logging

from epx import files, record
from epx.analysis import ledger
from epx.run import train
from epx.run.setup import assemble
from experiments.cli import app, host, progress, running

FLAGS = flags.FLAGS
flags.DEFINE_string("config", None, "config file, or the name of a shipped one, and its size")
flags.DEFINE_string("workdir", None, "folder of the record")
flags.DEFINE_bool("quiet", False, "no progress")


def main(config: dict[str, Any]) -> int:
    """Train, or resume; return the exit code."""
    if not FLAGS.workdir:
        app.fail("--workdir is missing: the folder of the record", 2)
    with app.config_errors():
        workdir = files.folder("--workdir", FLAGS.workdir)
    running.prepare_host()
    with app.config_errors():
        setup = assemble(config)
    _log_start()
    with running.run_errors():
        with progress.display("train", FLAGS.quiet) as show:
            stopped = progress.follow(train(setup, workdir), show)
        if stopped:
            logging.info("state saved in %s; the same command resumes from there", workdir)
            return 128 + stopped
        _log_result(record.load(workdir))
    return 0


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
