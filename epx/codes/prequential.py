"""The prequential code: every example is charged under the observer as it is before learning from
it, and S is the area of that online loss above the final held-out loss,

    |P| = sum_i [ log 1/P_i(Z_i) - log 1/P_M(Z_i) ]            (arXiv 2601.03220, equation 8).

This file is the charge and the update. The area is float64 arithmetic on its rows, in
`epx/analysis/ledger.py`.
"""

import jax
import jax.numpy as jnp
from jax import lax

from epx.learning import flops, nll, optim
from epx.learning.batch import Batch
from epx.learning.learner import Charge, Learning, finish, freeze_failed, training_examples
from epx.types import Code, Generator, Hyper, Observer, PyTree, Row, State


def make(observer: Observer, batch: Batch, positions: bool = False) -> Code:
    """The prequential code: charge, then update.

    Args:
      observer: the learner; with `update` it counts exactly, otherwise Adam moves it.
      batch: which examples a step sees, and how they are divided.
      positions: also emit the nats and the coded tokens of each position, `position_nats` and
        `position_coded_tok`, of shape T.

    Returns:
      Its `init` and `step`. A row holds sums over the batch: `nats` (of the coded tokens, before
      the update), `coded_tok`, `all_tok`, `flops`, `passes` (earlier passes over a finite
      generator), `grad_norm` (nats per coded token) and `finite`. A member whose nats or gradient
      are not finite stands still from that step on: its later rows are zero and
      `State.failed_step` names the step.
    """
    learning = Learning(observer, batch)
    learn = _count if observer.update else _descend

    def step(generator: Generator, hyper: Hyper, state: State) -> tuple[State, Row]:
        state, charge = learn(learning, generator, hyper, state)
        length = generator.spec.length
        row = {
            "nats": charge.nats,
            "coded_tok": charge.coded_tok,
            "all_tok": jnp.int32(batch.size * length),
            "flops": jnp.float32(flops.step_flops(observer, length, batch.size)),
            "passes": batch.passes(generator.spec.size, state.step),
            "grad_norm": charge.grad_norm,
        }
        if positions:
            row |= {"position_nats": charge.nats_T, "position_coded_tok": charge.coded_T}
        return finish(state, row)

    return Code(init=learning.init, step=step)


def _descend(
    learning: Learning, generator: Generator, hyper: Hyper, state: State
) -> tuple[State, Charge]:
    """One step of Adam on the mean over the coded tokens of the whole batch."""
    index_NxB = learning.batch.indices(generator.spec.size, state.step)
    learner, charge = learning.step(
        hyper,
        state.learner,
        index_NxB,
        lambda index_B: training_examples(generator, hyper, index_B),
        rate=optim.rate(hyper, state.step),
        window=hyper.ema_steps,
    )
    return freeze_failed(state, state._replace(learner=learner), charge.finite), charge


def _count(
    learning: Learning, generator: Generator, hyper: Hyper, state: State
) -> tuple[State, Charge]:
    """Exact counting, token by token in the order of the stream.

    Every device counts the whole batch: what a token costs depends on all the tokens before it.
    """

    def microbatch(params: PyTree, index_B: jax.Array):
        example = training_examples(generator, hyper, index_B)
        params, nats_BxT = learning.observer.update(params, example.tokens_T, example.coded_T)
        nats_T = nll.coded_sum(nats_BxT, example.coded_T, axis=0)
        return params, (nats_T, example.coded_T.sum(0, dtype=jnp.int32))

    index_NxB = learning.batch.unsharded().indices(generator.spec.size, state.step)
    params, (nats_NxT, coded_NxT) = lax.scan(microbatch, state.learner.params, index_NxB)
    nats_T = nll.pairwise_sum(nats_NxT, axis=0)
    # A count has no gradient and cannot fail, so no table is copied to be frozen.
    charge = Charge(nats_T, coded_NxT.sum(0, dtype=jnp.int32), jnp.float32(0), jnp.bool_(True))
    return state._replace(learner=state.learner._replace(params=params)), charge
