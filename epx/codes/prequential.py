"""The prequential code: every example is charged under the observer as it is before learning from
it, and S is the area of that online loss above the final held-out loss,

    |P| = sum_i [ log 1/P_i(Z_i) - log 1/P_M(Z_i) ]            (arXiv 2601.03220, equation 8).

This file is the charge and the update; the area is float64 arithmetic on its rows (`ledger.py`).
"""

import jax.numpy as jnp
import optax
from jax import lax

from epx.learning import flops, learner, nll, optim
from epx.streams import Batch
from epx.types import Code, Generator, Hyper, Observer, PyTree, Row, State


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
        return learner.ended(state, row)

    return Code(init=lambda hyper: learner.init(observer, hyper), step=step)


def _descend(observer: Observer, batch: Batch, generator: Generator, hyper: Hyper, state: State):
    """One step of Adam on the mean over the coded tokens of the whole batch."""
    index_NxB = batch.indices(generator.spec.size, state.step)
    grads, nats_T, coded_T = learner.gradient(
        observer,
        batch,
        state.params,
        index_NxB,
        lambda part: learner.examples(generator, hyper, part),
    )
    rate = optim.rate(hyper, state.step)
    new, step_norm = learner.descended(observer, hyper, grads, state, rate, hyper.ema_steps)
    grad_norm = optax.tree.norm(grads)
    finite = jnp.isfinite(nats_T.sum()) & jnp.isfinite(grad_norm + step_norm)
    return learner.latch(state, new, finite), nats_T, coded_T, grad_norm


def _count(observer: Observer, batch: Batch, generator: Generator, hyper: Hyper, state: State):
    """Exact counting, token by token in the order of the stream. Every device counts the whole
    batch: what a token costs depends on all the tokens before it."""

    def microbatch(params: PyTree, index_B):
        example = learner.examples(generator, hyper, index_B)
        params, nats_BxT = observer.update(params, example.tokens_T, example.coded_T)
        nats_T = nll.coded_sum(nats_BxT, example.coded_T, axis=0)
        return params, (nats_T, example.coded_T.sum(0))

    index_NxB = batch.whole().indices(generator.spec.size, state.step)
    params, (nats_NxT, coded_NxT) = lax.scan(microbatch, state.params, index_NxB)
    nats_T = nll.pairwise_sum(nats_NxT, axis=0)
    # A count has no gradient and cannot fail, so no table is copied to be latched.
    return state._replace(params=params), nats_T, coded_NxT.sum(0), jnp.float32(0.0)
