"""The calculus of a step, shared by every code."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import lax

from epx import streams
from epx.learning import nll, optim
from epx.streams import Batch
from epx.types import Example, Generator, Hyper, Observer, PyTree, Row, State

Learner = TypeVar("Learner")


def init(observer: Observer, hyper: Hyper) -> State:
    """The state of one member before its first step."""
    params = observer.init(streams.stream(hyper.seed, "init"))
    state = State(step=jnp.int32(0), failed_step=jnp.int32(-1), params=params, opt=(), ema=())
    if observer.update:
        return state
    rule = _optimiser(observer, hyper, params, jnp.float32(0))
    return state._replace(opt=rule.init(params), ema=params)


def _optimiser(observer: Observer, hyper: Hyper, params: PyTree, rate: jax.Array):
    """Of one learner, at one rate: the state that it keeps is the same at any other."""
    return optim.chain(hyper, observer.scales(params), rate)


def examples(generator: Generator, hyper: Hyper, index_B: jax.Array) -> Example:
    """The training examples with these indices, with a leading axis B."""
    key = streams.stream(hyper.seed, "train")
    return jax.vmap(lambda i: generator.example(streams.example_key(key, i), i))(index_B)


def gradient(
    observer: Observer,
    batch: Batch,
    params: PyTree,
    parts: PyTree,
    example: Callable[[PyTree], Example],
) -> tuple[PyTree, jax.Array, jax.Array]:
    """Charges a batch and says where it pulls, one microbatch after the other.

    Args:
      observer, params: who predicts.
      batch: what the devices share.
      parts: this device's microbatches along a leading axis.
      example: a part -> its examples, with a leading axis B.

    Returns:
      Of the batch of all devices: the gradient of the mean over its coded tokens, and sums over its
      examples of the nats of coded tokens and of their number, both of shape T.
    """

    def charge(params: PyTree, one: Example):
        logits_BxTxV = observer.logits(params, one.tokens_T, one.side)
        nats_BxT = nll.nats(logits_BxTxV, one.tokens_T)
        nats_T = nll.coded_sum(nats_BxT, one.coded_T, axis=0)
        return nats_T.sum(), (nats_T, one.coded_T.sum(0))

    def microbatch(total, part):
        grads, sums = jax.grad(charge, has_aux=True)(params, example(part))
        return jax.tree.map(jnp.add, total, (grads, *sums)), None

    first = jax.eval_shape(example, jax.tree.map(lambda leaf: leaf[0], parts))
    length = first.tokens_T.shape[-1]
    zeros = (
        jax.tree.map(jnp.zeros_like, params),
        jnp.zeros(length),
        jnp.zeros(length, jnp.int32),
    )
    grads, nats_T, coded_T = batch.total(lax.scan(microbatch, zeros, parts)[0])
    return jax.tree.map(lambda g: g / jnp.maximum(coded_T.sum(), 1), grads), nats_T, coded_T


def descended(
    observer: Observer,
    hyper: Hyper,
    grads: PyTree,
    learner: Learner,
    rate: jax.Array,
    window: jax.Array,
) -> tuple[Learner, jax.Array]:
    """Who has `params`, `opt` and `ema` after a step of Adam at this rate, its average spanning
    `window` steps; and the norm of the step."""
    rule = _optimiser(observer, hyper, learner.params, rate)
    updates, opt = rule.update(grads, learner.opt, learner.params)
    params = optax.apply_updates(learner.params, updates)
    ema = optim.average(window, learner.ema, params)
    return learner._replace(params=params, opt=opt, ema=ema), optax.tree.norm(updates)


def latch(state: State, new: State, finite: jax.Array) -> State:
    """The new state, or the old one from the first step on that was not finite."""
    well = state.failed_step < 0
    kept = jax.tree.map(lambda a, b: jnp.where(well & finite, a, b), new, state)
    return kept._replace(failed_step=jnp.where(well & ~finite, state.step, state.failed_step))


def ended(state: State, row: Row) -> tuple[State, Row]:
    """The state after a step and its row, zero once the member has failed: the row of the failure
    itself is kept as it is."""
    stands_still = (state.failed_step >= 0) & (state.failed_step < state.step)
    row = {name: jnp.where(stands_still, 0, value) for name, value in row.items()}
    return state._replace(step=state.step + 1), row | {"finite": state.failed_step < 0}
