"""The prequential code with rehearsal: every step also learns again from earlier examples.

Source: Bornschein, Li and Hutter 2022, *Sequential learning of neural networks for prequential
MDL*. Each batch is charged before the observer learns from it, as in the prequential code; the step
then takes the gradient of this batch and of one earlier batch from each of several streams. A
stream reads the history in order and goes back, every `segment` steps, to a random place in it, so
that no buffer is needed. The code is decodable: the receiver has the history. It buys a shorter
code of little data by compute, as several passes do, but charges no example twice.
"""

import jax
import jax.numpy as jnp
import optax

from epx import streams
from epx.learning import flops, optim
from epx.learning.batch import Batch
from epx.learning.learner import (
    Charge,
    Learning,
    finish,
    freeze_failed,
    training_examples,
)
from epx.types import Code, Generator, Hyper, Observer, Row, State, require, require_whole

MOST_STREAMS = 2**10


def make(observer: Observer, batch: Batch, readers: int = 3, segment: int = 16) -> Code:
    """The prequential code with replay streams.

    Args:
      observer: the learner, by gradient.
      batch: the examples of a step and their division.
      readers: streams, each of which adds a batch to every step, and its compute.
      segment: steps that a stream reads in order; the streams go back at different steps.

    Returns:
      Its `init` and `step`. Rows are those of the prequential code; `flops` and `all_tok` have
      the replayed batches, `nats` and `coded_tok` only the new one, under the observer before the
      step.

    Raises:
      ValueError: a counter, or an argument out of range.
    """
    learns = observer.update is None
    require("code.name", "replay", learns, "prequential for an observer without a gradient")
    require_whole("code.readers", readers, 1, MOST_STREAMS, "each takes the compute of a batch")
    require_whole("code.segment", segment, 1, 2**24)
    learning = Learning(observer, batch)

    def step(generator: Generator, hyper: Hyper, state: State) -> tuple[State, Row]:
        size = generator.spec.size
        new_NxB = batch.indices(size, state.step)
        earlier_R = earlier(hyper, state.step, readers, segment)
        replayed_RxNxB = jax.vmap(lambda other: batch.indices(size, other))(earlier_R)
        replayed_NxB = replayed_RxNxB.reshape(-1, replayed_RxNxB.shape[-1])

        def examples(index_B):
            return training_examples(generator, hyper, index_B)

        params = state.learner.params
        grads, sums = learning.gradient(params, new_NxB, examples)
        again, replayed = learning.gradient(params, replayed_NxB, examples)
        # The mean over the coded tokens of all batches.
        coded = sums.coded_T.sum()
        share = coded / jnp.maximum(coded + replayed.coded_T.sum(), 1)
        grads = jax.tree.map(lambda a, b: share * a + (1 - share) * b, grads, again)
        rate = optim.rate(hyper, state.step)
        learner, update_norm = learning.update(hyper, grads, state.learner, rate, hyper.ema_steps)
        grad_norm = optax.tree.norm(grads)
        finite = jnp.isfinite(sums.nats_T.sum() + replayed.nats_T.sum() + grad_norm + update_norm)
        state = freeze_failed(state, state._replace(learner=learner), finite)
        length, count = generator.spec.length, (1 + readers) * batch.size
        row = {
            **Charge(sums, grad_norm, finite).row(),
            "all_tok": jnp.int32(count * length),
            "flops": jnp.float32(flops.step_flops(observer, length, count)),
            "passes": batch.passes(size, state.step),
        }
        return finish(state, row)

    return Code(init=learning.init, step=step)


def earlier(hyper: Hyper, step: jax.Array, readers: int, segment: int) -> jax.Array:
    """The steps whose batches are replayed in a step, one of each stream, int32 of shape R.

    They are at most the step itself, whose batch is already charged when it is learned.
    """
    reader_R = jnp.arange(readers, dtype=jnp.int32)
    # The streams begin their segments at different steps.
    shifted_R = step + reader_R * segment // readers
    number_R, place_R = jnp.divmod(shifted_R, segment)
    key = streams.stream(hyper.seed, "replay")

    def start(reader, number):
        first = jnp.maximum(number * segment - reader * segment // readers, 0)
        drawn = jax.random.fold_in(jax.random.fold_in(key, reader), number)
        return jax.random.randint(drawn, (), 0, first + 1, jnp.int32)

    return (jax.vmap(start)(reader_R, number_R) + place_R) % (step + 1)
