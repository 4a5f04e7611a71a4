"""The online code of finite data in blocks.

Source: Voita and Titov 2020 (arXiv 2003.12298); Blier and Ollivier 2018 (arXiv 1802.07044). The
first block is charged under the untrained observer, every later block under an observer trained
from scratch on all earlier blocks,

    t_1 ln V + sum_i ln 1/p_i(block i+1)        for blocks that end at t_1, 2 t_1, 4 t_1, ... n.

Finally the observer is trained on all n examples. The code minus n times the held-out loss is its
structure; the ledger reads these rows like those of the prequential code.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from epx.learning import flops, nll, optim
from epx.learning.batch import Batch
from epx.learning.learner import Learning, finish, freeze_failed, training_examples
from epx.types import Code, Generator, Hyper, Observer, PyTree, Row, State, refusal, require


class Block(NamedTuple):
    """The block and the stage of a step.

    Attributes:
      begins: bool, whether the step is the first of its stage, in which a block is charged.
      step_in_stage: int32, counted from 0.
      start, end: int32, the examples of the block; the stage trains on all before `end`.
    """

    begins: jax.Array
    step_in_stage: jax.Array
    start: jax.Array
    end: jax.Array


def make(observer: Observer, batch: Batch, first_block: int = 16, stage_steps: int = 200) -> Code:
    """The online code of the first `run.examples` examples.

    Args:
      observer: the learner, by gradient; every stage initialises it again.
      batch: of a training step; its `examples` are the n coded examples and must not be None.
      first_block: examples in the first block, t_1; each block ends at twice the end of the last.
      stage_steps: training steps of a stage, which cycle through the blocks so far.

    Returns:
      Its `init`, `step` and `steps`, the number of steps of all stages. A row has `nats` and
      `coded_tok` of a block in the first step of its stage, else 0, and `all_tok`, `flops`,
      `grad_norm` and `finite` of the training. `passes` is 0, because no example is charged twice.

    Raises:
      ValueError: a counter, no `run.examples`, or an argument out of range.
    """
    if observer.update:
        raise refusal("code.name", "blocks", "with observers that learn by gradient")
    total = batch.examples
    require("run.examples", total, total is not None, "a number of examples with code.name=blocks")
    require("code.first_block", first_block, 1 <= first_block <= total, f"1 to {total} examples")
    most = 2**24
    require("code.stage_steps", stage_steps, 1 <= stage_steps <= most, f"1 to {most} steps")
    doubled = (first_block * 2**i for i in itertools.count())
    ends = [*itertools.takewhile(lambda end: end < total, doubled), total]
    ends_S = jnp.array([0, *ends], jnp.int32)
    learning = Learning(observer, batch)

    def step(generator: Generator, hyper: Hyper, state: State) -> tuple[State, Row]:
        stage, step_in_stage = jnp.divmod(state.step, stage_steps)
        block = Block(step_in_stage == 0, step_in_stage, ends_S[stage], ends_S[stage + 1])
        return _step(learning, generator, hyper, state, block)

    return Code(init=learning.init, step=step, steps=len(ends) * stage_steps)


def _step(
    learning: Learning, generator: Generator, hyper: Hyper, state: State, block: Block
) -> tuple[State, Row]:
    """Charge the block where a stage begins, then learn from all blocks so far."""
    observer, batch, length = learning.observer, learning.batch, generator.spec.length
    end = jnp.where(block.begins, block.end, block.start)
    # ln 1/p_i(block i+1), under the observer of the stage before; t_1 ln V under the untrained one.
    nats, coded_tok = _charge(learning, generator, hyper, state.learner.params, block.start, end)
    fresh = learning.init(hyper).learner
    learner = jax.tree.map(lambda new, old: jnp.where(block.begins, new, old), fresh, state.learner)
    index_NxB = batch._replace(examples=None).indices(None, block.step_in_stage)
    learner, charge = learning.step(
        hyper,
        learner,
        index_NxB % block.end.astype(jnp.uint32),
        lambda index_B: training_examples(generator, hyper, index_B),
        rate=optim.rate(hyper, block.step_in_stage),
        window=hyper.ema_steps,
    )
    finite = charge.finite & jnp.isfinite(nats)
    state = freeze_failed(state, state._replace(learner=learner), finite)
    forward, _ = observer.flops(length)
    row = {
        "nats": nats,
        "coded_tok": coded_tok,
        "all_tok": jnp.int32(batch.size * length),
        "flops": jnp.float32(flops.step_flops(observer, length, batch.size))
        + (end - block.start) * jnp.float32(forward),
        "passes": jnp.int32(0),
        "grad_norm": charge.grad_norm,
    }
    return finish(state, row)


def _charge(
    learning: Learning,
    generator: Generator,
    hyper: Hyper,
    params: PyTree,
    start: jax.Array,
    end: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Nats and number of the coded tokens of examples `start` to `end - 1`, on every device."""
    size = learning.batch.microbatch

    def microbatch(part: jax.Array, total: tuple) -> tuple:
        sum_nats, lost_nats, sum_tok = total
        index_B = start + part * size + jnp.arange(size, dtype=jnp.int32)
        example = training_examples(generator, hyper, index_B.astype(jnp.uint32))
        coded_BxT = example.coded_T & (index_B < end)[:, None]
        logits_BxTxV = learning.observer.logits(params, example.tokens_T, example.side)
        nats_BxT = nll.nats(logits_BxTxV, example.tokens_T)
        nats = nll.coded_sum(nll.coded_sum(nats_BxT, coded_BxT, axis=0), True, axis=0)
        # Kahan summation: the rounding error of each addition is corrected in the next.
        nats -= lost_nats
        larger = sum_nats + nats
        return larger, (larger - sum_nats) - nats, sum_tok + coded_BxT.sum(dtype=jnp.int32)

    parts = (end - start + size - 1) // size
    zero = jnp.float32(0), jnp.float32(0), jnp.int32(0)
    nats, _, coded_tok = lax.fori_loop(0, parts, microbatch, zero)
    return nats, coded_tok
