"""The requential code: a student learns only from samples of a teacher and pays their KL,

    |P| = sum_i KL(teacher_i || student_i)                     (arXiv 2601.03220, equation 9).

The teacher learns from real data and is never sent. A decoder that receives the samples ends with
the student's weights. Unlike the prequential area, this is the length of a code that can be sent:
relative entropy coding takes less than KL + 2 log2(1 + KL) + 5.21 bits in expectation for a message
of KL bits (arXiv 2607.11883). Reports give that bound, for messages of a stated size, with the sum.

The length of the code depends strongly on the pacing of the teacher (`_teachers.py`): compare
generators under one pacing only.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from epx.codes._samples import sample
from epx.codes._teachers import Pacing, Teacher, make_pacing
from epx.learning import nll, optim
from epx.learning.batch import Batch
from epx.learning.learner import Learning, finish, freeze_failed, training_examples
from epx.types import (
    Code,
    Example,
    Generator,
    Hyper,
    Learner,
    Observer,
    PyTree,
    Row,
    State,
    refusal,
    require,
)

# Constant of the bound KL + 2 log2(1 + KL) + 5.21 (arXiv 2607.11883), in bits:
# 1 + b + 2 log2(1 + b) with b = log2(e)/e + 1, rounded up.
MESSAGE_BITS = 5.21


class Windows(NamedTuple):
    """Spans of the averages of the weights, as fractions of the steps done."""

    teacher: float
    student: float


def make(
    observer: Observer,
    batch: Batch,
    pacing: str = "max_kl",
    max_kl: float | None = None,
    first_projection: int = 100,
    projection_growth: float = 1.5,
    teacher_window: float = 0.0,
    student_window: float = 0.0,
    teacher_steps: int | None = None,
    message: int | None = None,
) -> Code:
    """The requential code: the teacher learns and samples, the student pays and learns.

    Args:
      observer: of teacher and student, which start equal; it learns by gradient and can sample.
      batch: the examples of a step and their division.
      pacing: `max_kl`: the teacher pauses while the student pays more than `max_kl`.
        `projection`: at student steps first_projection x projection_growth^j the teacher is
        replaced by the student, which then pauses until the teacher has recovered its loss.
      max_kl: nats per coded token; None never pauses.
      first_projection: student steps before the first projection.
      projection_growth: ratio of the student steps of two successive projections, above 1.
      teacher_window: the average of the teacher's weights spans this fraction of the steps done, or
        `optim.ema_steps` where that is more.
      student_window: as `teacher_window`, for the student.
      teacher_steps: batches that the teacher learns from, after which both stop. None: as many as
        `run.steps` allow.
      message: examples in a message, a divisor of a device's share of a batch; None: the batch.

    Returns:
      Its `init` and `step`. `State.learner` is the student. A row holds sums over the batch:
      `nats`, `coded_tok` and `grad_norm` of the teacher on real data before its update, 0 while it
      pauses; of its samples `kl_nats`, `sampled_tok`, `sampled_nats` (their price to the student),
      `messages` and `overhead_nats` (added to the KL by a decodable code), 0 while the student
      pauses; `all_tok` and `flops` of the student; `teacher_flops` of the teacher's learning and
      `draw_flops` of sampling and of the KL, which a decoder does not repeat; `passes` and
      `finite`.

    Raises:
      ValueError: an observer without gradients or sampling, or an argument that is not accepted.
    """
    _check(observer, batch, message)
    pace = make_pacing(pacing, max_kl, first_projection, projection_growth, teacher_steps)
    windows = Windows(teacher_window, student_window)
    for key, fraction in zip(("code.teacher_window", "code.student_window"), windows):
        require(key, fraction, 0 <= fraction <= 1, "a fraction of the steps, from 0 to 1")
    learning = Learning(observer, batch)

    def init(hyper: Hyper, params: PyTree = None) -> State:
        state = learning.init(hyper, params)
        return state._replace(teacher=pace.init(state.learner))

    def step(generator: Generator, hyper: Hyper, state: State) -> tuple[State, Row]:
        return _step(learning, pace, windows, message, generator, hyper, state)

    return Code(init=init, step=step)


def _step(
    learning: Learning,
    pacing: Pacing,
    windows: Windows,
    message: int | None,
    generator: Generator,
    hyper: Hyper,
    state: State,
) -> tuple[State, Row]:
    teacher, student = pacing.project(state.teacher, state.learner), state.learner
    teacher_active, student_active = pacing.active(teacher)
    # Teacher and student share the teacher's learning-rate schedule.
    rate = optim.rate(hyper, teacher.step)

    # 1. The teacher is charged for a batch of real data and learns from it.
    index_NxB = learning.batch.indices(generator.spec.size, state.step)
    window = jnp.maximum(hyper.ema_steps, windows.teacher * teacher.step)
    teacher, real, teacher_finite = lax.cond(
        teacher_active,
        lambda: update_teacher(learning, generator, hyper, index_NxB, rate, window, teacher),
        lambda: _paused(teacher, TEACHER_ROW),
    )

    # 2. The teacher's averaged weights sample the coded tokens of the same examples.
    # 3. The student is charged KL(teacher_i || student_i) (equation 9), then learns.
    window = jnp.maximum(hyper.ema_steps, windows.student * teacher.student_steps)

    def learn_from_samples():
        samples = sample(learning, generator, hyper, state.step, teacher.ema)
        paid = _charge(learning, samples, message, teacher.ema, student.params)
        updated, row, finite = update_student(learning, hyper, samples, rate, window, student)
        return updated, paid | row, finite & jnp.isfinite(paid["kl_nats"])

    student, sampled, student_finite = lax.cond(
        student_active, learn_from_samples, lambda: _paused(student, STUDENT_ROW)
    )

    # 4. The counters that pause teacher or student in the next step, and the compute of this one.
    teacher = pacing.update(teacher, hyper, real, sampled, student_active)
    new = state._replace(learner=student, teacher=teacher)
    state = freeze_failed(state, new, teacher_finite & student_finite)
    return finish(state, real | sampled | _compute_row(learning, generator, state, real, sampled))


TEACHER_ROW = {"nats": jnp.float32, "coded_tok": jnp.int32, "grad_norm": jnp.float32}
STUDENT_ROW = {
    "kl_nats": jnp.float32,
    "messages": jnp.int32,
    "overhead_nats": jnp.float32,
    "sampled_tok": jnp.int32,
    "sampled_nats": jnp.float32,
}


def _paused(learner: PyTree, row: dict) -> tuple[PyTree, Row, jax.Array]:
    """The unchanged learner, a row of zeros, and True for finite."""
    return learner, {name: jnp.zeros((), dtype) for name, dtype in row.items()}, jnp.bool_(True)


def update_teacher(
    learning: Learning,
    generator: Generator,
    hyper: Hyper,
    index_NxB: jax.Array,
    rate: jax.Array,
    window: jax.Array,
    teacher: Teacher,
) -> tuple[Teacher, Row, jax.Array]:
    """The teacher's step on a batch of real data.

    Args:
      learning: the observer and the batch.
      generator, hyper: of the member.
      index_NxB: indices of this device's examples, in microbatches.
      rate: learning rate.
      window: steps that the average of the weights spans.
      teacher: before the step.

    Returns:
      The teacher after the step; the row `nats` (before the update), `coded_tok` and `grad_norm`,
      over all devices; whether everything is finite.
    """
    teacher, charge = learning.step(
        hyper,
        teacher,
        index_NxB,
        lambda index_B: training_examples(generator, hyper, index_B),
        rate,
        window,
    )
    row = {name: charge.row()[name] for name in TEACHER_ROW}
    return teacher._replace(step=teacher.step + 1), row, charge.finite


def kl_nats(observer: Observer, teacher: PyTree, student: PyTree, example: Example) -> jax.Array:
    """KL(teacher || student) of each example, summed over its coded tokens, float32 of shape B.

    Both predict by the same program, so that equal weights give exactly 0.
    """
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), teacher, student)
    p_BxTxV, q_BxTxV = lax.map(
        lambda params: observer.logits(params, example.tokens_T, example.side), both
    )
    return nll.coded_sum(nll.kl_nats(p_BxTxV, q_BxTxV), example.coded_T, axis=1)


def update_student(
    learning: Learning,
    hyper: Hyper,
    samples: Example,
    rate: jax.Array,
    window: jax.Array,
    student: Learner,
) -> tuple[Learner, Row, jax.Array]:
    """The student's step on the samples, which a decoder repeats without the teacher.

    Args:
      learning, hyper, rate, window: as in `update_teacher`.
      samples: with leading axes as in `sample`.
      student: before the step.

    Returns:
      The student after the step; the row `sampled_tok` and `sampled_nats` (before the update), over
      all devices; whether everything is finite.
    """
    # Gradients are not clipped: the only noise in the student's data is the teacher's.
    unclipped = hyper._replace(clip_norm=jnp.float32(jnp.inf))
    student, charge = learning.step(unclipped, student, samples, lambda part: part, rate, window)
    row = {"sampled_tok": charge.sums.coded_tok, "sampled_nats": charge.sums.nats}
    return student, row, jnp.isfinite(charge.sums.nats) & charge.finite


def _charge(
    learning: Learning, samples: Example, message: int | None, teacher: PyTree, student: PyTree
) -> Row:
    """The student's charge for the samples, before it learns from them."""
    batch = learning.batch
    # KL(teacher_i || student_i) (arXiv 2601.03220, equation 9).
    kl_NxB = lax.map(lambda part: kl_nats(learning.observer, teacher, student, part), samples)
    kl = batch.total(nll.pairwise_sum(kl_NxB.reshape(-1), axis=0))
    message_kl_N = kl[None] if message is None else kl_NxB.reshape(-1, message).sum(1)
    # KL + 2 log2(1 + KL) + 5.21 bits (arXiv 2607.11883), minus the KL.
    overhead_N = 2 * jnp.log2(1 + message_kl_N / math.log(2)) + MESSAGE_BITS
    overhead_nats = overhead_N.sum() * math.log(2)
    return {
        "kl_nats": kl,
        "messages": jnp.int32(1 if message is None else batch.size // message),
        "overhead_nats": overhead_nats if message is None else batch.total(overhead_nats),
    }


def _compute_row(
    learning: Learning, generator: Generator, state: State, real: Row, sampled: Row
) -> Row:
    """Tokens and FLOPs of the learners that were active in a step."""
    batch, length = learning.batch, generator.spec.length
    forward, update = learning.observer.flops(length)
    teacher_active, student_active = real["coded_tok"] > 0, sampled["sampled_tok"] > 0
    return {
        "all_tok": student_active * jnp.int32(batch.size * length),
        "flops": student_active * jnp.float32(batch.size * (forward + update)),
        "teacher_flops": teacher_active * jnp.float32(batch.size * (forward + update)),
        # Sampling takes one prediction, the KL two.
        "draw_flops": student_active * jnp.float32(batch.size * 3 * forward),
        "passes": batch.passes(generator.spec.size, state.step),
    }


def _check(observer: Observer, batch: Batch, message: int | None) -> None:
    if observer.update or not (observer.start and observer.step):
        raise refusal(
            "code.name",
            "requential",
            "with observers that learn by gradient and can sample (scales, start and step)",
        )
    if message is not None:
        part = batch.size // batch.shards
        divides = message >= 1 and part % message == 0
        require("code.message", message, divides, f"divisors of the {part} examples of a device")
