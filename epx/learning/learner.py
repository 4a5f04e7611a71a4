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


class Sums(NamedTuple):
    """Nats and numbers of coded tokens, summed over examples.

    Attributes:
      nats_T: float32, at each position.
      coded_T: int32, at each position.
      nats_P: float32, of each part of a mixture; of shape 0 where there are no parts.
      coded_P: int32, of each part.
    """

    nats_T: jax.Array
    coded_T: jax.Array
    nats_P: jax.Array
    coded_P: jax.Array

    @classmethod
    def of(cls, example: Example, nats_BxT: jax.Array) -> "Sums":
        """The sums of examples with a leading axis B, at these prices."""
        coded_BxT, part_BxP = example.coded_T, example.part_P
        if part_BxP is None:
            part_BxP = jnp.zeros((len(coded_BxT), 0), bool)
        nats_B = nll.coded_sum(nats_BxT, coded_BxT, axis=1)
        coded_B = coded_BxT.sum(1, dtype=jnp.int32)
        return cls(
            nll.coded_sum(nats_BxT, coded_BxT, axis=0),
            coded_BxT.sum(0, dtype=jnp.int32),
            nll.coded_sum(nats_B[:, None], part_BxP, axis=0),
            jnp.where(part_BxP, coded_B[:, None], 0).sum(0, dtype=jnp.int32),
        )

    @property
    def nats(self) -> jax.Array:
        """Nats of the batch."""
        return nll.pairwise_sum(self.nats_T, axis=0)

    @property
    def coded_tok(self) -> jax.Array:
        """Coded tokens of the batch, int32."""
        return self.coded_T.sum(dtype=jnp.int32)


class Charge(NamedTuple):
    """The charge of a batch, over the examples of all devices.

    Attributes:
      sums: before the update.
      grad_norm: norm of the gradient of the mean, nats per coded token.
      finite: bool, whether nats, gradient and update are finite.
    """

    sums: Sums
    grad_norm: jax.Array
    finite: jax.Array

    def row(self) -> Row:
        """What a row has of it; `part_nats` and `part_coded_tok`, of shape P, only of a mixture."""
        row = {
            "nats": self.sums.nats,
            "coded_tok": self.sums.coded_tok,
            "grad_norm": self.grad_norm,
        }
        if self.sums.nats_P.size:
            row |= {"part_nats": self.sums.nats_P, "part_coded_tok": self.sums.coded_P}
        return row


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
        grads, sums = self.gradient(learner.params, parts, make_examples)
        learner, update_norm = self.update(hyper, grads, learner, rate, window)
        grad_norm = optax.tree.norm(grads)
        finite = jnp.isfinite(sums.nats_T.sum() + grad_norm + update_norm)
        return learner, Charge(sums, grad_norm, finite)

    def gradient(
        self, params: PyTree, parts: PyTree, make_examples: Callable[[PyTree], Example]
    ) -> tuple[PyTree, Sums]:
        """Loss and gradient of a batch, accumulated over microbatches.

        Args:
          params: of the observer.
          parts: this device's microbatches along a leading axis.
          make_examples: a microbatch -> its examples, with a leading axis B.

        Returns:
          For the batch of all devices: the gradient of the mean over coded tokens, and the sums.
        """

        def charge(params: PyTree, example: Example):
            sums = self._sums(params, example)
            return sums.nats_T.sum(), sums

        def microbatch(total, part):
            found = jax.grad(charge, has_aux=True)(params, make_examples(part))
            return jax.tree.map(jnp.add, total, found), None

        zeros = jax.tree.map(jnp.zeros_like, params), self._none(parts, make_examples)
        grads, sums = self.batch.total(lax.scan(microbatch, zeros, parts)[0])
        mean = jax.tree.map(lambda g: g / jnp.maximum(sums.coded_T.sum(), 1), grads)
        return mean, sums

    def charge(
        self, params: PyTree, parts: PyTree, make_examples: Callable[[PyTree], Example]
    ) -> Sums:
        """The sums of a batch, as `gradient` returns them."""

        def microbatch(total, part):
            sums = self._sums(params, make_examples(part))
            return jax.tree.map(jnp.add, total, sums), None

        zeros = self._none(parts, make_examples)
        return self.batch.total(lax.scan(microbatch, zeros, parts)[0])

    def _sums(self, params: PyTree, example: Example) -> Sums:
        logits_BxTxV = self.observer.logits(params, example.tokens_T, example.side)
        return Sums.of(example, nll.nats(logits_BxTxV, example.tokens_T))

    def _none(self, parts: PyTree, make_examples: Callable[[PyTree], Example]) -> Sums:
        """Sums of zero."""
        first = jax.eval_shape(make_examples, jax.tree.map(lambda leaf: leaf[0], parts))
        prices = jax.ShapeDtypeStruct(first.tokens_T.shape, jnp.float32)
        shapes = jax.eval_shape(Sums.of, first, prices)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

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
