"""Runs a sweep, the ensembles that a file of configs/ lists, and reports on them.

    python -m experiments.sweep --sweep=book --workdir=runs/book
    python -m experiments.sweep --sweep=book --tune --workdir=runs/book-tune

The same command goes on where it was stopped. It says beforehand how long it takes.
"""

from pathlib import Path

from absl import flags

from experiments.cli import app, ensembles

FLAGS = flags.FLAGS
flags.DEFINE_string("sweep", None, "file with a function ensembles(tune), or name of a shipped one")
flags.DEFINE_string("workdir", None, "where records and results go")
flags.DEFINE_bool("tune", False, "vary the learning rate on one seed instead")
flags.DEFINE_bool("quiet", False, "no progress")


def main() -> int:
    """Runs what is not done yet, then reports; returns the exit code."""
    if not FLAGS.sweep or not FLAGS.workdir:
        app.fail("--sweep and --workdir are needed: what to run, and where the records go", 2)
    with app.config_errors():
        chosen = app.module(FLAGS.sweep, "sweep", "ensembles").ensembles(tune=FLAGS.tune)
    app.say(f"sweep: {FLAGS.sweep} in {FLAGS.workdir}; reading its worlds")
    status = ensembles.train("sweep", chosen, Path(FLAGS.workdir), FLAGS.quiet)
    if status <= 1:
        ensembles.report("sweep", chosen, Path(FLAGS.workdir), FLAGS.tune)
    return status


if __name__ == "__main__":
    app.launch(main, __doc__)
