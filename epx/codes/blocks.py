"""The online code of finite data in blocks (Voita and Titov 2020, arXiv 2003.12298; Blier and
Ollivier 2018, arXiv 1802.07044): the first block is charged under the untrained observer, every
later one under an observer that was trained from scratch, for as long as one likes, on all blocks
before it,

    t_1 ln V + sum_i ln 1/p_i(block i+1)        for blocks that end at t_1, 2 t_1, 4 t_1, ... n.

At the end the observer is trained on all n examples. The code minus n times its held-out loss is
what it holds of them, as in the prequential code, whose ledger reads these rows as well.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import optax
from jax import lax

from epx.learning import flops, learner, nll, optim
from epx.streams import Batch
from epx.types import Code, Generator, Hyper, Observer, PyTree, Row, State, require


def make(observer: Observer, batch: Batch, first_block: int = 16, stage_steps: int = 200) -> Code:
    """The online code of the first `run.examples` examples.

    Args:
      observer: the learner, by gradient; it is made anew for every stage.
      batch: of a training step; its `examples` are the n that are coded, and have to be given.
      first_block: examples in the first block, t_1; every block ends at twice the one before.
      stage_steps: training steps of a stage, over and over the blocks so far.

    Returns:
      Its `init`, `step` and `steps`, as many as the stages take together. A row has `nats` and
      `coded_tok` of a block in the first step of the stage behind it, else 0, and `all_tok`,
      `flops`, `grad_norm` and `finite` of its training. Its `passes` are 0: whatever is learned
      from often, nothing is charged twice.

    Raises:
      ValueError: a counter, no `run.examples`, or an argument out of range.
    """
    if observer.update:
        raise ValueError("code.name=blocks: accepted are observers that learn by gradient")
    total = batch.examples
    require("run.examples", total, total is not None, "a number of examples with code.name=blocks")
    require("code.first_block", first_block, 1 <= first_block <= total, f"1 to {total} examples")
    require("code.stage_steps", stage_steps, stage_steps >= 1, "1 step or more")
    doubled = (first_block * 2**i for i in itertools.count())
    ends = [*itertools.takewhile(lambda end: end < total, doubled), total]
    ends_S = jnp.array([0, *ends], jnp.int32)
    fresh = functools.partial(learner.init, observer)

    def step(generator: Generator, hyper: Hyper, state: State) -> tuple[State, Row]:
        length = generator.spec.length
        forward, _ = observer.flops(length)
        stage, within = jnp.divmod(state.step, stage_steps)
        begins = within == 0
        start, end = ends_S[stage], ends_S[stage + 1]
        nats, coded = _charge(
            observer, batch, generator, hyper, state.params, start, jnp.where(begins, end, start)
        )
        anew = fresh(hyper)._replace(step=state.step, failed_step=state.failed_step)
        newest = jax.tree.map(lambda new, old: jnp.where(begins, new, old), anew, state)
        index_NxB = batch._replace(examples=None).indices(None, within) % end.astype(jnp.uint32)
        state, grad_norm = _learn(
            observer, batch, generator, hyper, newest, index_NxB, within, nats
        )
        row = {
            "nats": nats,
            "coded_tok": coded,
            "all_tok": jnp.int32(batch.size * length),
            "flops": flops.step_flops(observer, length, batch.size)
            + (end - start) * begins * forward,
            "passes": jnp.int32(0),
            "grad_norm": grad_norm,
        }
        return learner.ended(state, row)

    return Code(init=fresh, step=step, steps=len(ends) * stage_steps)


def _charge(
    observer: Observer,
    batch: Batch,
    generator: Generator,
    hyper: Hyper,
    params: PyTree,
    start: jax.Array,
    end: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Nats and number of the coded tokens of examples `start` to `end`, on every device."""
    size = batch.microbatch

    def microbatch(part: jax.Array, total: tuple) -> tuple:
        index_B = start + part * size + jnp.arange(size)
        example = learner.examples(generator, hyper, index_B.astype(jnp.uint32))
        coded_BxT = example.coded_T & (index_B < end)[:, None]
        nats_BxT = nll.nats(
            observer.logits(params, example.tokens_T, example.side), example.tokens_T
        )
        nats = nll.coded_sum(nll.coded_sum(nats_BxT, coded_BxT, axis=0), True, axis=0)
        # Kahan's sum: what the last addition has lost goes into the next.
        nats -= total[1]
        larger = total[0] + nats
        return larger, (larger - total[0]) - nats, total[2] + coded_BxT.sum()

    parts = (end - start + size - 1) // size
    zero = jnp.float32(0), jnp.float32(0), jnp.int32(0)
    nats, _, coded = lax.fori_loop(0, parts, microbatch, zero)
    return nats, coded


def _learn(
    observer: Observer,
    batch: Batch,
    generator: Generator,
    hyper: Hyper,
    state: State,
    index_NxB: jax.Array,
    within: jax.Array,
    charged: jax.Array,
) -> tuple[State, jax.Array]:
    """One step of Adam on a batch of the blocks so far."""
    grads, nats_T, _ = learner.gradient(
        observer, batch, state.params, index_NxB,
        lambda part: learner.examples(generator, hyper, part),
    )  # fmt: skip
    rate = optim.rate(hyper, within)
    new, step_norm = learner.descended(observer, hyper, grads, state, rate, hyper.ema_steps)
    grad_norm = optax.tree.norm(grads)
    finite = jnp.isfinite(charged + nats_T.sum() + grad_norm + step_norm)
    return learner.latch(state, new, finite), grad_norm
