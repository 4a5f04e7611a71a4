"""The requential code: a student learns from nothing but what a teacher draws, and pays for each
draw what it tells that the student did not believe already,

    |P| = sum_i KL(teacher_i || student_i)                     (arXiv 2601.03220, equation 9).

The teacher learns from real data and is never sent; a decoder that is sent the draws ends with the
student. Unlike the prequential area, this can really be sent: by relative entropy coding a message
of KL bits takes less than KL + 2 log2 (1 + KL) + 5.21 in expectation (arXiv 2607.11883), and that
bound, of messages of a stated size, is reported beside the sum.

One step: the teacher is charged a batch of real data and learns from it; the average of its weights
draws the coded tokens of the same examples again; the student is charged the KL at each of them
under the whole vocabulary, before it learns from them. The rate of both follows the teacher's
schedule. How the teacher is kept near the student is a choice, as the length of the code depends on
it many times over: compare worlds under one choice only.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import lax

from epx import streams
from epx.learning import learner, nll, optim, sampling
from epx.streams import Batch
from epx.types import Code, Example, Generator, Hyper, Observer, PyTree, Row, State, require

TEACHERS = ("max_kl", "projection")
# Bits beyond KL + 2 log2 (1 + KL) in a message: 1 + b + 2 log2 (1 + b), b = log2(e)/e + 1.
MESSAGE_BITS = 5.21


class Student(NamedTuple):
    """What both sides know: the fields of a `State` of the same names."""

    params: PyTree
    opt: PyTree
    ema: PyTree


class Teacher(NamedTuple):
    """What the encoder alone knows.

    Attributes:
      step: int32, batches that it has learned from.
      params, opt, ema: as of a student.
      kl_nats: what the student paid for a coded token when it last learned; 0 before.
      target_nats: the loss that the teacher has to regain; nan while the student is learning.
      loss_nats, weight: its loss on batches before it learned from them, as a running sum and the
        sum's weight.
      studied: int32, steps in which the student has learned.
      due: int32, their number at which the teacher is projected next.
    """

    step: jax.Array
    params: PyTree
    opt: PyTree
    ema: PyTree
    kl_nats: jax.Array
    target_nats: jax.Array
    loss_nats: jax.Array
    weight: jax.Array
    studied: jax.Array
    due: jax.Array


def make(
    observer: Observer,
    batch: Batch,
    teacher: str = "max_kl",
    max_kl: float | None = None,
    first_projection: int = 100,
    projection_growth: float = 1.5,
    teacher_window: float = 0.0,
    student_window: float = 0.0,
    teacher_steps: int | None = None,
    message: int | None = None,
) -> Code:
    """The requential code: the teacher learns, draws, and the student pays for it and learns.

    Args:
      observer: teacher and student, which start equal; it learns by gradient and can sample.
      batch: which examples a step sees, and how they are cut.
      teacher: `max_kl`: it waits while the student pays more than `max_kl`. `projection`: at steps
        first_projection x projection_growth^j of the student it becomes the student, which then
        waits until the teacher has regained the loss that it had.
      max_kl: nats per coded token; None never waits.
      first_projection, projection_growth: steps of the student, and their ratio, above 1.
      teacher_window, student_window: the averages of the weights span this fraction of the steps
        done, or `optim.ema_steps` where that is more.
      teacher_steps: batches from which the teacher learns; both rest from then on. None: as many as
        `run.steps` leave it.
      message: examples in a message, a divisor of what a device sees of a batch; None: the batch.

    Returns:
      Its `init` and `step`. A State's `params`, `opt` and `ema` are the student's. A row holds sums
      over the batch: of the teacher's real data `nats` (before its update) and `coded_tok`, both 0
      where it waits, and `grad_norm`; of its draws `kl_nats`, `sampled_tok`, `sampled_nats` (their
      price to the student), `messages` and `overhead_nats` (what a decodable code adds to the KL),
      all 0 where the student waits; `all_tok` and `flops` of the student; `teacher_flops` of what
      the teacher learned and `draw_flops` of drawing and of the KL, which a decoder does not
      repeat; `passes` and `finite`.

    Raises:
      ValueError: an observer without gradient or sampling, or an argument that is not accepted.
    """
    _check(observer, batch, teacher, max_kl, message)
    most = jnp.iinfo(jnp.int32).max
    legal = 1 <= first_projection <= most
    require("code.first_projection", first_projection, legal, f"1 to {most} steps")
    require("code.projection_growth", projection_growth, projection_growth > 1, "above 1")
    windows = {"code.teacher_window": teacher_window, "code.student_window": student_window}
    for key, value in windows.items():
        require(key, value, 0 <= value <= 1, "a fraction of the steps, from 0 to 1")
    require(
        "code.teacher_steps", teacher_steps, teacher_steps is None or teacher_steps >= 1, "1 on"
    )
    cap = math.inf if max_kl is None else max_kl
    last = most if teacher_steps is None else teacher_steps
    projects = teacher == "projection"
    shared = functools.partial(learner.init, observer)

    def init(hyper: Hyper) -> State:
        state = shared(hyper)
        return state._replace(teacher=_first(state, first_projection))

    def step(generator: Generator, hyper: Hyper, state: State) -> tuple[State, Row]:
        student, expert = Student(state.params, state.opt, state.ema), state.teacher
        if projects:
            expert = _project(expert, student, projection_growth)
        rests = expert.step >= last
        waits = rests | jnp.isfinite(expert.target_nats)
        rate = optim.rate(hyper, expert.step)
        index_NxB = batch.indices(generator.spec.size, state.step)

        def lesson():
            window = jnp.maximum(hyper.ema_steps, teacher_window * expert.step)
            return teach(observer, batch, generator, hyper, index_NxB, rate, window, expert)

        expert, real = _unless(rests | (expert.kl_nats > cap), lesson, expert)

        def exercise():
            window = jnp.maximum(hyper.ema_steps, student_window * expert.studied)
            example = draw(observer, batch, generator, hyper, state.step, expert.ema)
            paid = _charge(observer, batch, example, message, expert.ema, student.params)
            after, learned = study(observer, batch, hyper, example, rate, window, student)
            broken = learned.pop("broken") | ~jnp.isfinite(paid["kl_nats"])
            return after, paid | learned | {"broken": broken}

        student, drawn = _unless(waits, exercise, student)
        new = state._replace(**student._asdict(), teacher=_noted(expert, hyper, real, drawn, waits))
        broken = real.pop("broken") | drawn.pop("broken")
        state = learner.latch(state, new, ~broken)
        forward, update = observer.flops(generator.spec.length)
        teaches, studies = real["coded_tok"] > 0, drawn["sampled_tok"] > 0
        row = {
            "all_tok": studies * batch.size * generator.spec.length,
            "flops": studies * batch.size * (forward + update),
            "teacher_flops": teaches * batch.size * (forward + update),
            # To draw is one prediction, and the KL is two.
            "draw_flops": studies * batch.size * 3 * forward,
            "passes": batch.passes(generator.spec.size, state.step),
        }
        return learner.ended(state, real | drawn | row)

    return Code(init=init, step=step)


def draw(
    observer: Observer,
    batch: Batch,
    generator: Generator,
    hyper: Hyper,
    step: jax.Array,
    params: PyTree,
) -> Example:
    """The batch of a step with its coded tokens drawn from an observer, given the others.

    Args:
      step: of the run, which names the examples and the draws.
      params: of the one who draws.

    Returns:
      Examples, with the leading axes of this device's microbatches and their examples.
    """
    index_NxB = batch.indices(generator.spec.size, step)
    key = jax.random.fold_in(streams.stream(hyper.seed, "teacher"), step)

    def part(index_B: jax.Array) -> Example:
        example = learner.examples(generator, hyper, index_B)
        keys_B = jax.vmap(lambda index: streams.example_key(key, index))(index_B)
        tokens_BxT = sampling.complete(
            observer, params, keys_B, example.tokens_T, ~example.coded_T, example.side,
            generator.spec.given,
        )  # fmt: skip
        return example._replace(tokens_T=tokens_BxT)

    example = lax.map(part, index_NxB.reshape(-1, batch.decoded))
    return jax.tree.map(lambda leaf: leaf.reshape(*index_NxB.shape, *leaf.shape[2:]), example)


def kl_nats(observer: Observer, teacher: PyTree, student: PyTree, example: Example) -> jax.Array:
    """KL(teacher || student) of each example, summed over its coded tokens, float32 of shape B.

    Both predict by one and the same program, so that equal weights cost exactly nothing.
    """
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), teacher, student)
    p_BxTxV, q_BxTxV = lax.map(
        lambda params: observer.logits(params, example.tokens_T, example.side), both
    )
    return nll.coded_sum(nll.kl_nats(p_BxTxV, q_BxTxV), example.coded_T, axis=1)


def _first(state: State, due: int) -> Teacher:
    """The teacher before its first lesson: the student."""
    zero, none = jnp.float32(0), jnp.int32(0)
    return Teacher(
        step=none, params=state.params, opt=state.opt, ema=state.ema, kl_nats=zero,
        target_nats=jnp.float32(jnp.nan), loss_nats=zero, weight=zero, studied=none,
        due=jnp.int32(due),
    )  # fmt: skip


def _project(expert: Teacher, student: Student, growth: float) -> Teacher:
    """The teacher, or where it is due the student in its place, with the loss to regain."""
    projected = expert._replace(
        **student._asdict(),
        target_nats=expert.loss_nats / expert.weight,
        loss_nats=jnp.zeros_like(expert.loss_nats),
        weight=jnp.zeros_like(expert.weight),
        due=jnp.ceil(growth * expert.due).astype(jnp.int32),
    )
    due = expert.studied >= expert.due
    return jax.tree.map(lambda new, old: jnp.where(due, new, old), projected, expert)


def teach(
    observer: Observer,
    batch: Batch,
    generator: Generator,
    hyper: Hyper,
    index_NxB: jax.Array,
    rate: jax.Array,
    window: jax.Array,
    expert: Teacher,
) -> tuple[Teacher, Row]:
    """A lesson.

    Args:
      index_NxB: examples of the batch, of this device: microbatches and their examples.
      rate: learning rate.
      window: steps that the average of the weights spans.
      expert: the teacher before.

    Returns:
      The teacher after the batch of real data, and over all devices `nats` (before the update),
      `coded_tok`, `grad_norm` and whether something is `broken`, that is not finite.
    """
    grads, nats_T, coded_T = learner.gradient(
        observer, batch, expert.params, index_NxB,
        lambda part: learner.examples(generator, hyper, part),
    )  # fmt: skip
    expert, norm = learner.descended(observer, hyper, grads, expert, rate, window)
    grad_norm, nats = optax.tree.norm(grads), nll.pairwise_sum(nats_T, axis=0)
    row = {"nats": nats, "coded_tok": coded_T.sum(), "grad_norm": grad_norm}
    row |= {"broken": ~jnp.isfinite(nats + grad_norm + norm)}
    return expert._replace(step=expert.step + 1), row


def _charge(
    observer: Observer,
    batch: Batch,
    example: Example,
    message: int | None,
    teacher: PyTree,
    student: PyTree,
) -> Row:
    """What the student pays for what was drawn, before it learns from it."""
    kl_NxB = lax.map(lambda part: kl_nats(observer, teacher, student, part), example)
    kl = batch.total(nll.pairwise_sum(kl_NxB.reshape(-1), axis=0))
    each_N = kl[None] if message is None else kl_NxB.reshape(-1, message).sum(1)
    overhead = (2 * jnp.log2(1 + each_N / math.log(2)) + MESSAGE_BITS).sum() * math.log(2)
    return {
        "kl_nats": kl,
        "messages": jnp.int32(1 if message is None else batch.size // message),
        "overhead_nats": overhead if message is None else batch.total(overhead),
    }


def study(
    observer: Observer,
    batch: Batch,
    hyper: Hyper,
    example: Example,
    rate: jax.Array,
    window: jax.Array,
    student: Student,
) -> tuple[Student, Row]:
    """An exercise: all that a decoder repeats. It never sees the teacher.

    Args:
      example: what was drawn, with leading axes as of `draw`.
      rate, window: as of `teach`.
      student: before.

    Returns:
      The student after it, and over all devices `sampled_tok`, `sampled_nats` (before the update)
      and whether something is `broken`.
    """
    # Its steps are never clipped: the teacher's noise is all there is in its data.
    unclipped = hyper._replace(clip_norm=jnp.float32(jnp.inf))
    grads, nats_T, coded_T = learner.gradient(
        observer, batch, student.params, example, lambda part: part
    )
    student, norm = learner.descended(observer, unclipped, grads, student, rate, window)
    nats = nll.pairwise_sum(nats_T, axis=0)
    row = {"sampled_tok": coded_T.sum(), "sampled_nats": nats, "broken": ~jnp.isfinite(nats + norm)}
    return student, row


def _unless(
    stops: jax.Array, act: Callable[[], tuple[PyTree, Row]], unchanged: PyTree
) -> tuple[PyTree, Row]:
    """What `act` comes to; where it stops, what is unchanged and a row of zeros."""
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(act)[1])
    return lax.cond(stops, lambda: (unchanged, zeros), act)


def _noted(expert: Teacher, hyper: Hyper, real: Row, drawn: Row, waits: jax.Array) -> Teacher:
    """The teacher with what decides who waits in the next step. Its loss is regained when the mean
    over as many lessons as `ema_steps`, near enough, is what such a mean was before."""
    decay = jnp.exp(-1.0 / hyper.ema_steps)
    loss = decay * expert.loss_nats + real["nats"] / jnp.maximum(real["coded_tok"], 1)
    weight = decay * expert.weight + 1.0
    regained = (loss <= weight * expert.target_nats) & (weight * (1 - decay) > 0.5)
    per_tok = drawn["kl_nats"] / jnp.maximum(drawn["sampled_tok"], 1)
    return expert._replace(
        kl_nats=jnp.where(waits, expert.kl_nats, per_tok),
        target_nats=jnp.where(regained, jnp.nan, expert.target_nats),
        loss_nats=loss,
        weight=weight,
        studied=expert.studied + ~waits,
    )


def _check(
    observer: Observer, batch: Batch, teacher: str, max_kl: float | None, message: int | None
) -> None:
    if observer.update or not (observer.start and observer.step):
        raise ValueError(
            "code.name=requential: accepted are observers that learn by gradient and can sample, "
            "with scales, start and step"
        )
    require("code.teacher", teacher, teacher in TEACHERS, " or ".join(TEACHERS))
    only = max_kl is None or teacher == "max_kl"
    require("code.max_kl", max_kl, only, "none with code.teacher=projection")
    require("code.max_kl", max_kl, max_kl is None or max_kl >= 0, "0 or more nats, or none")
    if message is not None:
        mine = batch.size // batch.shards
        fits = message >= 1 and mine % message == 0
        require("code.message", message, fits, f"divisors of the {mine} examples of a device")
