"""Two ways to keep a teacher near its student in the requential code.

The teacher pauses while the student pays more than a cap (arXiv 2601.03220), or is projected onto
the student at growing intervals and has to recover its loss (arXiv 2607.11883).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from epx.types import Hyper, Learner, PyTree, Row, require

PACINGS = ("max_kl", "projection")
LARGEST = jnp.iinfo(jnp.int32).max


class Teacher(NamedTuple):
    """The encoder's private state: a learner (`params`, `opt`, `ema`) and its pacing.

    Attributes:
      step: int32, batches learned from.
      params, opt, ema: as in `Learner`.
      kl_nats: nats per coded token that the student paid in its last step; 0 before its first.
      target_nats: loss that a projected teacher has to recover; nan while the student learns.
      loss_nats, weight: the running sum of the loss on batches before the update, and the weight of
        that sum.
      student_steps: int32, steps in which the student has learned.
      next_projection: int32, the number of student steps at the next projection.
    """

    step: jax.Array
    params: PyTree
    opt: PyTree
    ema: PyTree
    kl_nats: jax.Array
    target_nats: jax.Array
    loss_nats: jax.Array
    weight: jax.Array
    student_steps: jax.Array
    next_projection: jax.Array


class Pacing(NamedTuple):
    """The rule by which teacher and student wait for each other.

    Attributes:
      name: `max_kl` or `projection`.
      max_kl: nats per coded token above which the teacher pauses; infinite: it never pauses.
      first_projection: student steps before the first projection.
      projection_growth: ratio of the student steps of two successive projections.
      teacher_steps: batches that the teacher learns from, after which both stop.
    """

    name: str
    max_kl: float
    first_projection: int
    projection_growth: float
    teacher_steps: int

    def init(self, learner: Learner) -> Teacher:
        """The teacher before its first step: a copy of the student."""
        zero, none = jnp.float32(0), jnp.int32(0)
        return Teacher(
            step=none,
            **learner._asdict(),
            kl_nats=zero,
            target_nats=jnp.float32(jnp.nan),
            loss_nats=zero,
            weight=zero,
            student_steps=none,
            next_projection=jnp.int32(self.first_projection),
        )

    def project(self, teacher: Teacher, student: Learner) -> Teacher:
        """The teacher, replaced by the student where a projection is due."""
        if self.name != "projection":
            return teacher
        projected = teacher._replace(
            **student._asdict(),
            target_nats=teacher.loss_nats / teacher.weight,
            loss_nats=jnp.zeros_like(teacher.loss_nats),
            weight=jnp.zeros_like(teacher.weight),
            # arXiv 2607.11883: projections at student steps 100 x 1.5^j.
            next_projection=jnp.ceil(self.projection_growth * teacher.next_projection).astype(
                jnp.int32
            ),
        )
        due = teacher.student_steps >= teacher.next_projection
        return jax.tree.map(lambda new, old: jnp.where(due, new, old), projected, teacher)

    def active(self, teacher: Teacher) -> tuple[jax.Array, jax.Array]:
        """Whether the teacher learns in this step, and whether the student does."""
        unfinished = teacher.step < self.teacher_steps
        # arXiv 2601.03220: the teacher pauses while the student's last KL is above the cap.
        return unfinished & (teacher.kl_nats <= self.max_kl), unfinished & jnp.isnan(
            teacher.target_nats
        )

    def update(
        self, teacher: Teacher, hyper: Hyper, real: Row, sampled: Row, student_active: jax.Array
    ) -> Teacher:
        """Update the counters that pause teacher or student.

        A projected teacher has recovered once its running mean loss (time constant `ema_steps`) is
        back at the value before the projection.

        Args:
          teacher: after its update in this step.
          hyper: of the member.
          real, sampled: rows of the teacher's and of the student's step.
          student_active: whether the student learned in this step.
        """
        decay = jnp.exp(-1.0 / hyper.ema_steps)
        loss = decay * teacher.loss_nats + real["nats"] / jnp.maximum(real["coded_tok"], 1)
        weight = decay * teacher.weight + 1.0
        # The final weight is 1 / (1 - decay). From half of it the mean spans enough batches.
        spans_enough = weight * (1 - decay) > 0.5
        recovered = (loss <= weight * teacher.target_nats) & spans_enough
        kl_per_tok = sampled["kl_nats"] / jnp.maximum(sampled["sampled_tok"], 1)
        return teacher._replace(
            kl_nats=jnp.where(student_active, kl_per_tok, teacher.kl_nats),
            target_nats=jnp.where(recovered, jnp.nan, teacher.target_nats),
            loss_nats=loss,
            weight=weight,
            student_steps=teacher.student_steps + student_active.astype(jnp.int32),
        )


def make_pacing(
    name: str,
    max_kl: float | None,
    first_projection: int,
    projection_growth: float,
    teacher_steps: int | None,
) -> Pacing:
    """The pacing with these config keys.

    Raises:
      ValueError: a value that is not accepted; the message names the key.
    """
    require("code.pacing", name, name in PACINGS, " or ".join(PACINGS))
    legal = max_kl is None or name == "max_kl"
    require("code.max_kl", max_kl, legal, "none with code.pacing=projection")
    require("code.max_kl", max_kl, max_kl is None or max_kl >= 0, "0 or more nats, or none")
    legal = 1 <= first_projection <= LARGEST
    require("code.first_projection", first_projection, legal, f"1 to {LARGEST} steps (31 bits)")
    legal = 1 < projection_growth < math.inf
    require("code.projection_growth", projection_growth, legal, "a finite number above 1")
    legal = teacher_steps is None or 1 <= teacher_steps <= LARGEST
    require("code.teacher_steps", teacher_steps, legal, f"1 to {LARGEST} steps, or none")
    return Pacing(
        name=name,
        max_kl=math.inf if max_kl is None else max_kl,
        first_projection=first_projection,
        projection_growth=projection_growth,
        teacher_steps=LARGEST if teacher_steps is None else teacher_steps,
    )
