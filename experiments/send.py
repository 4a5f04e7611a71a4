"""Send a requential code at toy scale; the decoder ends with the student's weights.

    python -m experiments.send --figure=send.png

A sample of the teacher is sent as its number in a list of proposals that both sides compute; the
decoder never sees the data. The data are an automaton on a ring of 8 cells: a message is the 8
cells that follow from 8 cells known to both sides. Takes 15 s on 2 cores.
"""

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from epx import files
from epx.coders import relative_entropy
from epx.codes import requential
from epx.generators.automata import eca
from epx.learning import optim
from epx.learning.batch import Batch
from epx.observers import transformer
from epx.report.figures import curves
from experiments.cli import app, running

FLAGS = flags.FLAGS
flags.DEFINE_integer("steps", 200, "batches to send", 1, 10**6)
flags.DEFINE_integer("batch", 8, "messages in a batch", 1, 4096)
flags.DEFINE_integer("width", 8, "cells of the ring: bits of a message", 2, 12)
flags.DEFINE_integer("rule", 15, "rule of the automaton", 0, 255)
flags.DEFINE_integer("seed", 0, "seed of weights, data and proposals", 0, 2**32 - 1)
flags.DEFINE_string("figure", None, "draw lengths and proposals against the KL to this file")


def main() -> int:
    """Send, receive, compare and print; return the exit code."""
    with app.config_errors():
        if FLAGS.figure:
            files.output("--figure", FLAGS.figure, files.FIGURES)
    running.prepare_host()
    with app.config_errors():
        automaton = eca.make(jax.random.key(0), rule=FLAGS.rule, width=FLAGS.width, steps=1)
        observer = transformer.make(2, automaton.spec.length, depth=1, width=16)
        hyper = optim.make_hyper(FLAGS.seed, lr=0.2, warmup_steps=10, ema_steps=10)
        batch = Batch(FLAGS.batch, FLAGS.batch)
        sides = relative_entropy.prepare(observer, hyper, automaton, batch)
    transmission = relative_entropy.send(sides, FLAGS.steps)
    inputs = [sides.inputs(jnp.int32(step)) for step in range(FLAGS.steps)]
    student = relative_entropy.receive(sides, transmission.bits, inputs)
    equal = jax.tree.map(np.array_equal, student, transmission.student)
    kl, length = transmission.kl_bits, transmission.length_bits
    bound = kl + 2 * np.log2(1 + kl) + requential.MESSAGE_BITS
    for name, bits in (("KL", kl), ("sent", length), ("bound", bound)):
        half = 1.96 * bits.std(ddof=1) / np.sqrt(bits.size) if bits.size > 1 else np.nan
        print(f"{name:8}{bits.sum():12.1f} bit {bits.mean():8.3f} ± {half:.3f} bit/message")
    proposals = transmission.proposals
    print(f"proposals{proposals.sum():11d}     {proposals.mean():8.1f} per message")
    if not all(jax.tree.leaves(equal)):
        app.fail("the decoder ended with other weights", 1)
    print("the decoder, which never saw the data, has the student's exact weights")
    if FLAGS.figure:
        with app.config_errors():  # too few messages
            curves.messages(kl, length, proposals, requential.MESSAGE_BITS, FLAGS.figure)
    return 0


if __name__ == "__main__":
    app.launch(main, __doc__)
