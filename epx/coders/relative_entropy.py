"""The requential code as bits, at toy scale.

A decoder that never sees the data ends with the student's exact weights. A message is the coded
tokens of one example, sent as the number of a proposal (`poisson.py`) in an Elias delta code
(`elias.py`). Both sides learn from the proposal. The expected length of a message is below

    KL + 2 log2(1 + KL) + 5.21 bits                            (arXiv 2607.11883)
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx import streams
from epx.coders import elias, poisson
from epx.coders.poisson import Choice, Predictive
from epx.codes import requential
from epx.learning import optim
from epx.learning.batch import Batch
from epx.learning.learner import Learning, training_examples
from epx.types import (
    Example,
    Generator,
    Hyper,
    Learner,
    Observer,
    PyTree,
    State,
    refusal,
    require,
)


class CompiledSides(NamedTuple):
    """Compiled functions of the two sides. Only the encoder calls those of the teacher.

    Attributes:
      inputs: step -> given_BxG, the tokens known to both sides.
      predict: (params, given_BxG) -> Predictive.
      update_teacher: (step, teacher) -> teacher, after a batch of real data.
      choose: (step, student's predictive, teacher's predictive) -> Choice.
      decode: (step, student's predictive, number_B) -> completion_B.
      update_student: (step, given_BxG, completion_B, student) -> student.
      state: before the first step.
    """

    inputs: Callable[[int], jax.Array]
    predict: Callable[[PyTree, jax.Array], Predictive]
    update_teacher: Callable[[int, PyTree], PyTree]
    choose: Callable[[int, Predictive, Predictive], Choice]
    decode: Callable[[int, Predictive, jax.Array], jax.Array]
    update_student: Callable[[int, jax.Array, jax.Array, Learner], Learner]
    state: State


class Transmission(NamedTuple):
    """The bits sent, and their cost; arrays have shape (steps, messages).

    Attributes:
      bits: the numbers of all messages in the Elias delta code.
      student: of the encoder, after the last step.
      kl_bits: KL between the teacher's and the student's prediction of each message.
      length_bits: length of each message's code.
      proposals: proposals that the encoder examined for each message.
    """

    bits: str
    student: Learner
    kl_bits: np.ndarray
    length_bits: np.ndarray
    proposals: np.ndarray


def prepare(observer: Observer, hyper: Hyper, generator: Generator, batch: Batch) -> CompiledSides:
    """Compile the functions of both sides for a generator. The teacher never pauses.

    Raises:
      ValueError: as `poisson.completions` and `requential.make`; or the generator has side
        information, or uncoded tokens after the given ones.
    """
    spec = generator.spec
    _check(generator)
    strings = jnp.asarray(poisson.completions(spec))
    learning = Learning(observer, batch)
    state = jax.jit(requential.make(observer, batch).init)(hyper)
    coded_BxT = jnp.ones((batch.size, spec.length), bool).at[:, : spec.given].set(False)

    def key(step: jax.Array) -> jax.Array:
        return jax.random.fold_in(streams.stream(hyper.seed, "proposals"), step)

    def inputs(step: jax.Array) -> jax.Array:
        index_B = batch.indices(spec.size, step).reshape(-1)
        return training_examples(generator, hyper, index_B).tokens_T[:, : spec.given]

    def update_teacher(step: jax.Array, teacher: PyTree) -> PyTree:
        index_NxB, rate = batch.indices(spec.size, step), optim.rate(hyper, step)
        return requential.update_teacher(
            learning, generator, hyper, index_NxB, rate, hyper.ema_steps, teacher
        )[0]

    def update_student(
        step: jax.Array, given_BxG: jax.Array, completion_B: jax.Array, student: Learner
    ) -> Learner:
        tokens_BxT = jnp.concatenate([given_BxG, strings[completion_B]], axis=1)
        samples = jax.tree.map(
            lambda leaf: leaf.reshape(-1, batch.microbatch, spec.length),
            Example(tokens_BxT, coded_BxT),
        )
        rate = optim.rate(hyper, step)
        return requential.update_student(learning, hyper, samples, rate, hyper.ema_steps, student)[
            0
        ]

    return CompiledSides(
        inputs=jax.jit(inputs),
        predict=jax.jit(lambda params, given: poisson.predict(observer, params, given, strings)),
        update_teacher=jax.jit(update_teacher),
        choose=jax.jit(lambda step, student, teacher: poisson.choose(key(step), student, teacher)),
        decode=jax.jit(lambda step, student, number: poisson.decode(key(step), student, number)),
        update_student=jax.jit(update_student),
        state=state,
    )


def _check(generator: Generator) -> None:
    spec = generator.spec
    first = generator.example(jax.random.key(0), jnp.uint32(0))
    after_given = np.arange(spec.length) >= spec.given
    if first.side is not None or not np.array_equal(first.coded_T, after_given):
        raise refusal(
            "generator.name",
            type(generator).__name__,
            "generators without side information, whose tokens after the given ones are all coded",
        )


def send(sides: CompiledSides, steps: int) -> Transmission:
    """The encoder: it sees the data, and sends the samples that the student learns from."""
    student, teacher = sides.state.learner, sides.state.teacher
    numbers, kl, proposals = [], [], []
    for step in map(jnp.int32, range(steps)):
        given_BxG = sides.inputs(step)
        teacher = sides.update_teacher(step, teacher)
        p = sides.predict(student.params, given_BxG)
        q = sides.predict(teacher.ema, given_BxG)
        choice = sides.choose(step, p, q)
        student = sides.update_student(step, given_BxG, choice.completion_B, student)
        numbers.append(np.asarray(choice.number_B))
        proposals.append(np.asarray(choice.proposals_B))
        log_p_BxC, log_q_BxC = (np.asarray(side.log_p_BxC, np.float64) for side in (p, q))
        # KL(Q || P) over all completions, in bits
        kl.append((np.exp(log_q_BxC) * (log_q_BxC - log_p_BxC)).sum(1) / math.log(2))
    codes = [[elias.encode(int(number)) for number in row] for row in numbers]
    lengths = np.array([[len(code) for code in row] for row in codes])
    bits = "".join(code for row in codes for code in row)
    return Transmission(bits, student, np.array(kl), lengths, np.array(proposals))


def receive(sides: CompiledSides, bits: str, given_SxBxG: Sequence[jax.Array]) -> Learner:
    """The decoder: from the bits and the inputs of each step it computes the student.

    Raises:
      ValueError: the bits end within a number, continue after the last one, or hold a number that
        no encoder sends.
    """
    student, at = sides.state.learner, 0
    for step, given_BxG in enumerate(given_SxBxG):
        p = sides.predict(student.params, given_BxG)
        numbers = []
        for _ in range(len(given_BxG)):
            number, at = elias.decode(bits, at)
            legal = number <= poisson.MOST_PROPOSALS
            accepted = f"1 to {poisson.MOST_PROPOSALS}, as no encoder examines more proposals"
            require("number", number, legal, accepted)
            numbers.append(number)
        completion_B = sides.decode(jnp.int32(step), p, jnp.array(numbers, jnp.int32))
        student = sides.update_student(jnp.int32(step), given_BxG, completion_B, student)
    left = len(bits) - at
    require("bits", left, left == 0, "0, as the last number ends the bits")
    return student
