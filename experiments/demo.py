"""The same data holds different structure for different observers: measures it in minutes.

    python -m experiments.demo          about 8 minutes on 2 cores
    python -m experiments.demo --fast   under 90 s: two seeds, half the steps, no larger model,
                                        no chess, no ChaCha20
    python -m experiments.demo --tune   the learning-rate sweep behind configs/studies/demo.py

Game of Life frames, elementary automata, English prose read forward and in reverse, chess as moves
then board and board then moves, a generator's low and high bits, ChaCha20, and noise, each under an
exact counter, a small and a larger transformer. Writes records, summary.json and figure.png below
--workdir and prints the table. The same command goes on where it was stopped.
"""

import time

from absl import flags

from epx import paths
from experiments.cli import app

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "where records and results go; none: runs/demo[-fast|-tune]")
flags.DEFINE_bool(
    "fast", False, "two seeds, half the steps, no larger transformer, chess or ChaCha20"
)
flags.DEFINE_bool("tune", False, "vary the learning rate on one seed instead")
flags.DEFINE_bool("quiet", False, "no progress")


def main() -> int:
    """Runs what is not done yet, then reports; returns the exit code."""
    began = time.monotonic()
    if FLAGS.fast and FLAGS.tune:
        app.fail("--fast and --tune: one or the other", 2)
    app.say("demo: it starts; loading JAX")
    from configs.studies import demo  # after the first word: these imports take seconds
    from experiments import sweep

    kind = "-tune" if FLAGS.tune else "-fast" if FLAGS.fast else ""
    with app.config_errors():
        workdir = paths.folder("--workdir", FLAGS.workdir or f"runs/demo{kind}")
    config = demo.get_config().to_dict()
    overrides = demo.sweep(FLAGS.fast, FLAGS.tune)
    status = sweep.run("demo", config, overrides, workdir, demo.RATES if FLAGS.tune else None)
    if status <= 1:
        app.say(f"demo: done in {(time.monotonic() - began) / 60:.1f} minutes")
    return status


if __name__ == "__main__":
    app.launch(main, __doc__)
