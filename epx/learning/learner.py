"""The parts of a step that all codes share.

Examples, the charge and the gradient of a batch, one step of Adam, and the freezing of members
whose loss is not finite.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import lax

from epx import streams
from epx.learning import nll, optim
from epx.learning.batch import Batch
from epx.types import Example, Generator, Hyper, Learner, Observer, PyTree, Row, State

# A `Learner`, or another type with its fields.
AnyLearner = TypeVar("AnyLearner")


class Charge(NamedTuple):
    """The charge of a batch, summed over the examples of all devices.

    Attributes:
      nats_T: float32, nats of the coded tokens at each position, before the update.
      coded_T: int32, coded tokens at each position.
      grad_norm: norm of the gradient of the mean, nats per coded token.
      finite: bool, whether nats, gradient and update are finite.
    """

    nats_T: jax.Array
    coded_T: jax.Array
    grad_norm: jax.Array
    finite: jax.Array

    @property
    def nats(self) -> jax.Array:
        """Nats of the batch."""
        return nll.pairwise_sum(self.nats_T, axis=0)

    @property
    def coded_tok(self) -> jax.Array:
        """Coded tokens of the batch, int32."""
        return self.coded_T.sum(dtype=jnp.int32)


class Learning(NamedTuple):
    """How one observer learns from batches.

    Attributes:
      observer: predicts, and learns by gradient.
      batch: how the examples of a step are divided.
    """

    observer: Observer
    batch: Batch

    def init(self, hyper: Hyper, params: PyTree = None) -> State:
        """The state of a member before its first step, with the given parameters or new ones."""
        if params is None:
            params = self.observer.init(streams.stream(hyper.seed, "init"))
        learner = Learner(params)
        if not self.observer.update:
            opt = self._optimiser(hyper, params, jnp.float32(0)).init(params)
            learner = Learner(params, opt, ema=params)
        return State(step=jnp.int32(0), failed_step=jnp.int32(-1), learner=learner)

    def step(
        self,
        hyper: Hyper,
        learner: AnyLearner,
        parts: PyTree,
        make_examples: Callable[[PyTree], Example],
        rate: jax.Array,
        window: jax.Array,
    ) -> tuple[AnyLearner, Charge]:
        """Charge a batch under the learner before the step, then take one step of Adam.

        Args:
          hyper: of the member.
          learner: before the step.
          parts: this device's microbatches along a leading axis.
          make_examples: a microbatch -> its examples, with a leading axis B.
          rate: learning rate.
          window: steps that the average of the weights spans.
        """
        grads, nats_T, coded_T = self.gradient(learner.params, parts, make_examples)
        learner, update_norm = self.update(hyper, grads, learner, rate, window)
        grad_norm = optax.tree.norm(grads)
        finite = jnp.isfinite(nats_T.sum() + grad_norm + update_norm)
        return learner, Charge(nats_T, coded_T, grad_norm, finite)

    def gradient(
        self, params: PyTree, parts: PyTree, make_examples: Callable[[PyTree], Example]
    ) -> tuple[PyTree, jax.Array, jax.Array]:
        """Loss and gradient of a batch, accumulated over microbatches.

        Args:
          params: of the observer.
          parts: this device's microbatches along a leading axis.
          make_examples: a microbatch -> its examples, with a leading axis B.

        Returns:
          For the batch of all devices: the gradient of the mean over coded tokens; the nats of the
          coded tokens and their number, both summed over examples, of shape T.
        """

        def charge(params: PyTree, example: Example):
            nats_T, coded_T = self._nats(params, example)
            return nats_T.sum(), (nats_T, coded_T)

        def microbatch(total, part):
            grads, sums = jax.grad(charge, has_aux=True)(params, make_examples(part))
            return jax.tree.map(jnp.add, total, (grads, *sums)), None

        zeros = (jax.tree.map(jnp.zeros_like, params), *self._no_nats(parts, make_examples))
        grads, nats_T, coded_T = self.batch.total(lax.scan(microbatch, zeros, parts)[0])
        mean = jax.tree.map(lambda g: g / jnp.maximum(coded_T.sum(), 1), grads)
        return mean, nats_T, coded_T

    def charge(
        self, params: PyTree, parts: PyTree, make_examples: Callable[[PyTree], Example]
    ) -> tuple[jax.Array, jax.Array]:
        """The nats and the number of the coded tokens of a batch, as `gradient` returns them."""

        def microbatch(total, part):
            sums = self._nats(params, make_examples(part))
            return jax.tree.map(jnp.add, total, sums), None

        zeros = self._no_nats(parts, make_examples)
        return self.batch.total(lax.scan(microbatch, zeros, parts)[0])

    def _nats(self, params: PyTree, example: Example) -> tuple[jax.Array, jax.Array]:
        logits_BxTxV = self.observer.logits(params, example.tokens_T, example.side)
        nats_BxT = nll.nats(logits_BxTxV, example.tokens_T)
        nats_T = nll.coded_sum(nats_BxT, example.coded_T, axis=0)
        return nats_T, example.coded_T.sum(0, dtype=jnp.int32)

    def _no_nats(
        self, parts: PyTree, make_examples: Callable[[PyTree], Example]
    ) -> tuple[jax.Array, jax.Array]:
        first = jax.eval_shape(make_examples, jax.tree.map(lambda leaf: leaf[0], parts))
        length = first.tokens_T.shape[-1]
        return jnp.zeros(length, jnp.float32), jnp.zeros(length, jnp.int32)

    def update(
        self, hyper: Hyper, grads: PyTree, learner: AnyLearner, rate: jax.Array, window: jax.Array
    ) -> tuple[AnyLearner, jax.Array]:
        """One Adam step.

        Returns:
          The learner with its weights, moments and average (over `window` steps) updated, and the
          norm of the update.
        """
        optimiser = self._optimiser(hyper, learner.params, rate)
        updates, opt = optimiser.update(grads, learner.opt, learner.params)
        params = optax.apply_updates(learner.params, updates)
        ema = optim.average(window, learner.ema, params)
        return learner._replace(params=params, opt=opt, ema=ema), optax.tree.norm(updates)

    def _optimiser(self, hyper: Hyper, params: PyTree, rate: jax.Array):
        # Its state does not depend on the rate.
        return optim.chain(hyper, self.observer.scales(params), rate)


def training_examples(generator: Generator, hyper: Hyper, index_B: jax.Array) -> Example:
    """The training examples with these indices, with a leading axis B."""
    key = streams.stream(hyper.seed, "train")
    return jax.vmap(lambda i: generator.example(streams.example_key(key, i), i))(index_B)


def freeze_failed(state: State, new: State, finite: jax.Array) -> State:
    """The new state, or the old one once a step was not finite."""
    works = state.failed_step < 0
    kept = jax.tree.map(lambda a, b: jnp.where(works & finite, a, b), new, state)
    return kept._replace(failed_step=jnp.where(works & ~finite, state.step, state.failed_step))


def finish(state: State, row: Row) -> tuple[State, Row]:
    """Count the step, and zero the rows of a failed member after the failing step."""
    frozen = (state.failed_step >= 0) & (state.failed_step < state.step)
    row = {name: jnp.where(frozen, 0, value) for name, value in row.items()}
    return state._replace(step=state.step + 1), row | {"finite": state.failed_step < 0}
