"""EpiGen (arXiv 2608.11746): a writer is rewarded by what its examples teach a learner.

In each step the writer draws a batch, and the learner takes several steps on it. The reward is the
fall of the learner's loss on this batch and on a buffer of earlier ones: noise that is learned by
heart lowers the loss of its own batch alone. The writer then takes one step of REINFORCE, with an
average of earlier rewards as baseline. Learner and writer start with the same weights, those of
another run (`run.start`) or new ones. Real data give the shape of examples, what is drawn in them,
and the held-out examples; the learner never learns from them.

The charge is the learner's price of the writer's examples, before it learns from them. S is then of
what is written, and H of real data: their sum describes neither.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from epx.codes._samples import sample
from epx.learning import optim
from epx.learning.batch import Batch
from epx.learning.learner import Learning, finish, freeze_failed
from epx.types import (
    Code,
    Example,
    Generator,
    Hyper,
    Observer,
    PyTree,
    Row,
    State,
    require,
    require_whole,
)

MOST = 2**10


class Writer(NamedTuple):
    """What draws the examples: a learner (`params`, `opt`, `ema`), its baseline and its past.

    Attributes:
      params, opt, ema: as in `Learner`.
      baseline_nats: average of the rewards so far, nats per token.
      earlier: examples of the last N batches, NxBxT, the oldest first; where nothing is coded there
        is no batch yet. () if none is kept.
    """

    params: PyTree
    opt: PyTree
    ema: PyTree
    baseline_nats: jax.Array
    earlier: PyTree


def make(
    observer: Observer,
    batch: Batch,
    length: int,
    side: int = 0,
    buffer: int = 16,
    learner_steps: int = 10,
    writer_rate: float = 0.1,
    memory: float = 0.99,
) -> Code:
    """A writer and a learner.

    Args:
      observer: of both; it learns by gradient, can sample, and reads no side information.
      batch: the examples of a step and their division.
      length: tokens of an example.
      side: length of their vectors, 0: what is written has none.
      buffer: earlier batches whose loss counts for the reward; 0: the loss of the new one alone.
      learner_steps: of the learner on each batch.
      writer_rate: learning rate of the writer over that of the learner; 0 leaves it as it starts.
      memory: share of the old baseline in the new one, 0 to 1.

    Returns:
      Its `init` and `step`. `State.learner` is the learner, `State.teacher` the writer. A row holds
      `nats` and `coded_tok` of the first of the learner's steps, `reward_nats` and `baseline_nats`
      per token, `all_tok`, `flops` of the learner and `draw_flops` of the writer and the reward.

    Raises:
      ValueError: an observer without gradients or sampling, or an argument out of range.
    """
    able = observer.update is None and observer.start is not None and observer.step is not None
    accepted = "with observers that learn by gradient and can sample (scales, start and step)"
    require("code.name", "epigen", able, accepted)
    require("code.name", "epigen", side == 0, "with examples without side information")
    require_whole("code.buffer", buffer, 0, MOST, "batches that are kept")
    require_whole("code.learner_steps", learner_steps, 1, MOST)
    require("code.writer_rate", writer_rate, 0 <= writer_rate < 1e6, "a number of at least 0")
    require("code.memory", memory, 0 <= memory < 1, "a number from 0 to below 1")
    learning = Learning(observer, batch)

    def init(hyper: Hyper, params: PyTree = None) -> State:
        state = learning.init(hyper, params)
        none = jnp.zeros((buffer, batch.size, length), jnp.int32)
        earlier = Example(none, none.astype(bool)) if buffer else ()
        return state._replace(teacher=Writer(*state.learner, jnp.float32(0), earlier))

    def step(generator: Generator, hyper: Hyper, state: State) -> tuple[State, Row]:
        return _step(learning, learner_steps, writer_rate, memory, generator, hyper, state)

    return Code(init=init, step=step)


def _step(
    learning: Learning,
    learner_steps: int,
    writer_rate: float,
    memory: float,
    generator: Generator,
    hyper: Hyper,
    state: State,
) -> tuple[State, Row]:
    learner, writer = state.learner, state.teacher
    drawn = sample(learning, generator, hyper, state.step, writer.params)
    drawn = Example(drawn.tokens_T, drawn.coded_T)
    seen = _with_earlier(learning.batch, writer, drawn)
    rate = optim.rate(hyper, state.step)

    # 1. The learner's loss on the batch and the buffer before and after its steps.
    before = _loss(learning, learner.params, seen)

    def learn(learner, _):
        return learning.step(hyper, learner, drawn, lambda part: part, rate, hyper.ema_steps)

    learner, charges = lax.scan(learn, learner, length=learner_steps)
    reward = before - _loss(learning, learner.params, seen)

    # 2. REINFORCE: the gradient of the writer's nats, as far as the reward is above the others.
    baseline = jnp.where(state.step == 0, reward, writer.baseline_nats)
    grads, _ = learning.gradient(writer.params, drawn, lambda part: part)
    grads = jax.tree.map(lambda leaf: (reward - baseline) * leaf, grads)
    writer, _ = learning.update(hyper, grads, writer, writer_rate * rate, hyper.ema_steps)

    # 3. The baseline, and the batch at the end of the buffer.
    writer = writer._replace(
        baseline_nats=memory * baseline + (1 - memory) * reward,
        earlier=jax.tree.map(lambda leaf: leaf[1:], seen) if writer.earlier else (),
    )
    finite = charges.finite.all() & jnp.isfinite(reward)
    state = freeze_failed(state, state._replace(learner=learner, teacher=writer), finite)
    row = jax.tree.map(lambda leaf: leaf[0], charges).row()
    row |= {"reward_nats": reward, "baseline_nats": baseline}
    return finish(state, row | _compute(learning, generator, len(seen.tokens_T) - 1, learner_steps))


def _with_earlier(batch: Batch, writer: Writer, drawn: Example) -> Example:
    """The batches of the buffer and after them the new one of all devices, NxBxT."""
    new_1xBxT = jax.tree.map(
        lambda leaf: batch.gather(leaf.reshape(-1, leaf.shape[-1]))[None], drawn
    )
    if not writer.earlier:
        return new_1xBxT
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), writer.earlier, new_1xBxT)


def _loss(learning: Learning, params: PyTree, seen: Example) -> jax.Array:
    """The mean loss of batches, the same on every device, in nats per coded token."""
    batch = learning.batch.unsharded()
    parts = jax.tree.map(lambda leaf: leaf.reshape(-1, batch.microbatch, leaf.shape[-1]), seen)
    sums = Learning(learning.observer, batch).charge(params, parts, lambda part: part)
    return sums.nats / jnp.maximum(sums.coded_tok, 1)


def example_flops(
    forward: float, update: float, buffer: int, learner_steps: int
) -> tuple[float, float]:
    """FLOPs of a step for each example of its batch: of the learner, and of writer and reward.

    Args:
      forward, update: as of `Observer.flops`.
      buffer, learner_steps: as in `make`.
    """
    # The writer draws, and learns from what it drew; the reward takes two predictions of all.
    draws = 2 * forward + update + 2 * (buffer + 1) * forward
    return learner_steps * (forward + update), draws


def _compute(learning: Learning, generator: Generator, buffer: int, learner_steps: int) -> Row:
    """Tokens and FLOPs of a step."""
    batch, length = learning.batch, generator.spec.length
    learned, drawn = example_flops(*learning.observer.flops(length), buffer, learner_steps)
    return {
        "all_tok": jnp.int32(learner_steps * batch.size * length),
        "flops": jnp.float32(batch.size * learned),
        "draw_flops": jnp.float32(batch.size * drawn),
        "passes": jnp.int32(0),
    }
