"""Measure the structure of seven kinds of data for three observers, in minutes.

    python -m experiments.demo          5 to 13 minutes on 2 cores
    python -m experiments.demo --fast   under 90 s: two seeds, half the steps, no larger model,
                                        no chess, no ChaCha20
    python -m experiments.demo --tune   the sweep that chose the rates of configs/studies/demo.py

The data are frames of the Game of Life, elementary automata, English read forward and in reverse,
chess as moves then board and board then moves, low and high bits of a weak generator, ChaCha20, and
noise; the observers an exact counter, a small and a larger transformer. Writes records,
summary.json and figure.png below --workdir and prints the table. The same command resumes.
"""

import time

from absl import flags

from epx import files
from experiments.cli import app

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "where records and results go; none: runs/demo[-fast|-tune]")
flags.DEFINE_bool(
    "fast", False, "two seeds, half the steps, no larger transformer, chess or ChaCha20"
)
flags.DEFINE_bool("tune", False, "vary the learning rate on one seed instead")
flags.DEFINE_bool("quiet", False, "no progress")


def main() -> int:
    """Run the unfinished ensembles and report; return the exit code."""
    began = time.monotonic()
    if FLAGS.fast and FLAGS.tune:
        app.fail("--fast and --tune: one or the other", 2)
    app.say("demo: starting; loading JAX")
    from configs.studies import demo  # after the first line, because these imports take seconds
    from experiments import sweep

    kind = "-tune" if FLAGS.tune else "-fast" if FLAGS.fast else ""
    with app.config_errors():
        workdir = files.folder("--workdir", FLAGS.workdir or f"runs/demo{kind}")
    config = demo.get_config().to_dict()
    runs = sweep.Sweep(config, demo.sweep(FLAGS.fast, FLAGS.tune), demo.RATES)
    status = sweep.run("demo", runs, workdir, sweep.Manner(tuned=FLAGS.tune))
    if status <= 1:
        app.say(f"demo: done in {(time.monotonic() - began) / 60:.1f} minutes")
    return status


if __name__ == "__main__":
    app.launch(main, __doc__)
