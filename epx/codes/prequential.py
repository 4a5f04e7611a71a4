"""The prequential code: every example is charged under the observer as it is before learning from
it, and S is the area of that online loss above the final held-out loss,

    |P| = sum_i [ log 1/P_i(Z_i) - log 1/P_M(Z_i) ]            (arXiv 2601.03220, equation 8).

This file is the charge and the update; the area is float64 arithmetic on its rows (`ledger.py`).
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import lax

from epx import flops, nll, optim, streams
from epx.streams import Batch
from epx.types import Code, Example, Generator, Hyper, Observer, PyTree, Row, State

Learner = TypeVar("Learner")


def make(observer: Observer, batch: Batch, positions: bool = False) -> Code:
    """The prequential code: charge, then update.

    Args:
      observer: the learner; with `update` it counts exactly, otherwise Adam moves it.
      batch: which examples a step sees, and how they are cut.
      positions: also emit the nats and the coded tokens of each position, `position_nats` and
        `position_coded_tok`, of shape T.

    Returns:
      Its `init` and `step`. A row holds sums over the batch: `nats` (of the coded tokens, before
      the update), `coded_tok`, `all_tok`, `flops`, `passes` (earlier passes over a finite world),
      `grad_norm` (nats per coded token) and `finite`. A member whose nats or gradient are not
      finite stands still from that step on: its later rows are zero and `State.failed_step` names
      the step.
    """
    learn = _count if observer.update else _descend

    def step(generator: Generator, hyper: Hyper, state: State) -> tuple[State, Row]:
        state, nats_T, coded_T, grad_norm = learn(observer, batch, generator, hyper, state)
        length = generator.spec.length
        row = {
            "nats": nll.pairwise_sum(nats_T, axis=0),
            "coded_tok": coded_T.sum(),
            "all_tok": jnp.int32(batch.size * length),
            "flops": jnp.float32(flops.step_flops(observer, length, batch.size)),
            "passes": batch.passes(generator.spec.size, state.step),
            "grad_norm": grad_norm,
        }
        if positions:
            row |= {"position_nats": nats_T, "position_coded_tok": coded_T}
        return ended(state, row)

    return Code(init=lambda hyper: _init(observer, hyper), step=step)


def _init(observer: Observer, hyper: Hyper) -> State:
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


def _descend(observer: Observer, batch: Batch, generator: Generator, hyper: Hyper, state: State):
    """One step of Adam on the mean over the coded tokens of the whole batch."""
    index_NxB = batch.indices(generator.spec.size, state.step)
    grads, nats_T, coded_T = gradient(
        observer, batch, state.params, index_NxB, lambda part: examples(generator, hyper, part)
    )
    rate = optim.rate(hyper, state.step)
    new, step_norm = descended(observer, hyper, grads, state, rate, hyper.ema_steps)
    grad_norm = optax.tree.norm(grads)
    finite = jnp.isfinite(nats_T.sum()) & jnp.isfinite(grad_norm + step_norm)
    return latch(state, new, finite), nats_T, coded_T, grad_norm


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


def _count(observer: Observer, batch: Batch, generator: Generator, hyper: Hyper, state: State):
    """Exact counting, token by token in the order of the stream. Every device counts the whole
    batch: what a token costs depends on all the tokens before it."""

    def microbatch(params: PyTree, index_B):
        example = examples(generator, hyper, index_B)
        params, nats_BxT = observer.update(params, example.tokens_T, example.coded_T)
        nats_T = nll.coded_sum(nats_BxT, example.coded_T, axis=0)
        return params, (nats_T, example.coded_T.sum(0))

    index_NxB = batch.whole().indices(generator.spec.size, state.step)
    params, (nats_NxT, coded_NxT) = lax.scan(microbatch, state.params, index_NxB)
    nats_T = nll.pairwise_sum(nats_NxT, axis=0)
    # A count has no gradient and cannot fail, so no table is copied to be latched.
    return state._replace(params=params), nats_T, coded_NxT.sum(0), jnp.float32(0.0)
