"""The prequential code: every example is charged before the observer learns from it.

S is the area of that online loss above the final held-out loss,

    |P| = sum_i [ log 1/P_i(Z_i) - log 1/P_M(Z_i) ]            (arXiv 2601.03220, equation 8).

This module charges and updates. `epx/analysis/ledger.py` computes the area from the rows, in
float64.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from epx.learning import flops, nll, optim
from epx.learning.batch import Batch
from epx.learning.learner import Charge, Learning, Sums, finish, freeze_failed, training_examples
from epx.types import Code, Generator, Hyper, Observer, PyTree, Row, State, require

CHARGED = ("raw", "ema")


def make(observer: Observer, batch: Batch, positions: bool = False, charged: str = "raw") -> Code:
    """The prequential code: charge, then update.

    Args:
      observer: the learner, an exact counter if it has `update`; otherwise Adam trains it.
      batch: the examples of a step and their division.
      positions: also emit the nats and the coded tokens of each position, `position_nats` and
        `position_coded_tok`, of shape T.
      charged: the weights under which a batch is charged: `raw`, those that learn, or `ema`, their
        average. The average needs one more forward pass; its code is longer while it lags behind,
        and shorter once the last weights are noisy.

    Returns:
      Its `init` and `step`. A row holds sums over the batch: `nats` (of the coded tokens, before
      the update), `coded_tok`, `all_tok`, `flops`, `passes` (earlier passes over a finite
      generator), `grad_norm` (nats per coded token) and `finite`. A member whose nats or gradient
      are not finite is frozen: its later rows are zero, and `State.failed_step` is that step.

    Raises:
      ValueError: unknown weights, or the average of an observer that learns without a gradient.
    """
    known = CHARGED[:1] if observer.update else CHARGED
    accepted = " or ".join(known) + (", as a counter has no average" if observer.update else "")
    require("code.charged", charged, charged in known, accepted)
    learning = Learning(observer, batch)
    averaged = charged == "ema"
    learn = _count if observer.update else functools.partial(_descend, averaged)

    def step(generator: Generator, hyper: Hyper, state: State) -> tuple[State, Row]:
        # Equation 8, first term: log 1/P_i(Z_i), under the observer before it learns from Z_i.
        state, charge = learn(learning, generator, hyper, state)
        length = generator.spec.length
        row = {
            **charge.row(),
            "all_tok": jnp.int32(batch.size * length),
            "flops": jnp.float32(flops.step_flops(observer, length, batch.size, 1 + averaged)),
            "passes": batch.passes(generator.spec.size, state.step),
        }
        if positions:
            row |= {
                "position_nats": charge.sums.nats_T,
                "position_coded_tok": charge.sums.coded_T,
            }
        return finish(state, row)

    return Code(init=learning.init, step=step)


def _descend(
    averaged: bool, learning: Learning, generator: Generator, hyper: Hyper, state: State
) -> tuple[State, Charge]:
    """One step of Adam on the mean loss over the coded tokens of the batch.

    The batch is charged under the last weights, or under their average if `averaged`.
    """
    index_NxB = learning.batch.indices(generator.spec.size, state.step)
    make_examples = functools.partial(training_examples, generator, hyper)
    learner, charge = learning.step(
        hyper,
        state.learner,
        index_NxB,
        make_examples,
        rate=optim.rate(hyper, state.step),
        window=hyper.ema_steps,
    )
    if averaged:
        sums = learning.charge(state.learner.ema, index_NxB, make_examples)
        finite = charge.finite & jnp.isfinite(sums.nats_T.sum())
        charge = charge._replace(sums=sums, finite=finite)
    return freeze_failed(state, state._replace(learner=learner), charge.finite), charge


def _count(
    learning: Learning, generator: Generator, hyper: Hyper, state: State
) -> tuple[State, Charge]:
    """Exact counting, token by token in the order of the stream.

    Every device counts the full batch, because the price of a token depends on all earlier tokens.
    """

    def microbatch(params: PyTree, index_B: jax.Array):
        example = training_examples(generator, hyper, index_B)
        arguments = params, example.tokens_T, example.coded_T, example.side
        params, nats_BxT = learning.observer.update(*arguments)
        return params, Sums.of(example, nats_BxT)

    index_NxB = learning.batch.unsharded().indices(generator.spec.size, state.step)
    params, sums_N = lax.scan(microbatch, state.learner.params, index_NxB)
    sums = jax.tree.map(lambda leaf: nll.pairwise_sum(leaf, axis=0), sums_N)
    # Counts are always finite, so `freeze_failed`, which would copy the table, is not needed.
    charge = Charge(sums, jnp.float32(0), jnp.bool_(True))
    return state._replace(learner=state.learner._replace(params=params)), charge
