"""The requential code, really sent, at toy scale: a decoder that never sees the data ends with the
student's exact weights.

A message is one example's coded tokens. Both sides know what the student believes, P, and draw from
it the same endless list of proposals, each with a key of its own number. The encoder picks the
proposal that is distributed as the teacher, Q, and sends its number J. Its rule is the Poisson
functional representation (Li and El Gamal 2018): the proposals arrive at the times T_1 < T_2 < ...
of a Poisson process of rate 1, and J is the one with the least T_i P(Y_i) / Q(Y_i). J is sent in an
Elias delta code, and both sides learn from the proposal. In expectation that takes less than

    KL + 2 log2 (1 + KL) + 5.21 bits                            (arXiv 2607.11883)

All completions of a message are listed, so that the largest ratio Q/P, which says when no later
proposal can win, is known: V^c of them for c coded tokens.
"""

import math
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from epx import streams
from epx.coders import elias
from epx.codes import requential
from epx.codes.requential import Student, Teacher
from epx.learning import learner, nll, optim
from epx.streams import Batch
from epx.types import Example, Generator, Hyper, Observer, PyTree, Spec

# Completions of a message that are listed at most.
LARGEST_LIST = 2**12
# Proposals that are looked at together.
CHUNK = 64
# A message that has looked at so many takes the best so far: the chance that a later one wins is
# below (largest ratio) x 2^-24.
MOST_PROPOSALS = 2**24


class Beliefs(NamedTuple):
    """What an observer expects of each of B messages.

    Attributes:
      log_p_BxC: ln of the probability of every completion, float32.
      order_BxC: int32, the completions by rising probability: among small numbers a float32 tells
        rare ones apart as exactly as others.
      bounds_BxC: their cumulative probabilities in that order, from which proposals are drawn. Both
        sides take them from one program: another one's last bits could differ, and so could a
        proposal.
    """

    log_p_BxC: jax.Array
    order_BxC: jax.Array
    bounds_BxC: jax.Array


class Choice(NamedTuple):
    """What the encoder picked for each of B messages.

    Attributes:
      number_B: int32, J from 1 on: what is sent.
      completion_B: int32, which completion proposal J is.
      looked_B: int32, proposals to look at, one after the other, until none can win any more.
    """

    number_B: jax.Array
    completion_B: jax.Array
    looked_B: jax.Array


class Programs(NamedTuple):
    """What the two sides call. The teacher's are the encoder's alone.

    Attributes:
      inputs: step -> given_BxG, the tokens that both sides know.
      believe: (params, given_BxG) -> Beliefs.
      teach: (step, teacher) -> teacher, after a batch of real data.
      choose: (step, student's beliefs, teacher's beliefs) -> Choice.
      receive: (step, student's beliefs, number_B) -> completion_B.
      study: (step, given_BxG, completion_B, student) -> student.
      student, teacher: before the first step.
    """

    inputs: Callable[[int], jax.Array]
    believe: Callable[[PyTree, jax.Array], Beliefs]
    teach: Callable[[int, Teacher], Teacher]
    choose: Callable[[int, Beliefs, Beliefs], Choice]
    receive: Callable[[int, Beliefs, jax.Array], jax.Array]
    study: Callable[[int, jax.Array, jax.Array, Student], Student]
    student: Student
    teacher: Teacher


class Sent(NamedTuple):
    """What was sent, and what it took; arrays are steps x messages.

    Attributes:
      bits: the numbers of all messages in the Elias delta code.
      student: the encoder's, after the last step.
      kl_bits: of each message, between the beliefs of its step.
      length_bits: of each message's code.
      looked: proposals that the encoder looked at.
    """

    bits: str
    student: Student
    kl_bits: np.ndarray
    length_bits: np.ndarray
    looked: np.ndarray


def prepare(observer: Observer, hyper: Hyper, generator: Generator, batch: Batch) -> Programs:
    """Compiles what both sides call, for the examples of a world. The teacher never waits.

    Raises:
      ValueError: as `completions`, and as `requential.make`; a world with side information, or with
        tokens behind the given ones that are not coded.
    """
    spec = generator.spec
    first = generator.example(jax.random.key(0), jnp.uint32(0))
    if first.side is not None or not np.array_equal(
        first.coded_T, np.arange(spec.length) >= spec.given
    ):
        raise ValueError(
            "generator: accepted are worlds without side information, all of whose "
            "tokens behind the given ones are coded"
        )
    strings = jnp.asarray(completions(spec))
    state = jax.jit(requential.make(observer, batch).init)(hyper)
    every = jnp.ones((batch.size, spec.length), bool).at[:, : spec.given].set(False)

    def key(step: jax.Array) -> jax.Array:
        return jax.random.fold_in(streams.stream(hyper.seed, "proposals"), step)

    def inputs(step: jax.Array) -> jax.Array:
        index_B = batch.indices(spec.size, step).reshape(-1)
        return learner.examples(generator, hyper, index_B).tokens_T[:, : spec.given]

    def teach(step: jax.Array, teacher: Teacher) -> Teacher:
        index_NxB, rate = batch.indices(spec.size, step), optim.rate(hyper, step)
        return requential.teach(
            observer, batch, generator, hyper, index_NxB, rate, hyper.ema_steps, teacher
        )[0]

    def study(
        step: jax.Array, given_BxG: jax.Array, completion_B: jax.Array, student: Student
    ) -> Student:
        tokens_BxT = jnp.concatenate([given_BxG, strings[completion_B]], axis=1)
        example = jax.tree.map(
            lambda leaf: leaf.reshape(-1, batch.microbatch, spec.length), Example(tokens_BxT, every)
        )
        rate = optim.rate(hyper, step)
        return requential.study(observer, batch, hyper, example, rate, hyper.ema_steps, student)[0]

    return Programs(
        inputs=jax.jit(inputs),
        believe=jax.jit(lambda params, given: beliefs(observer, params, given, strings)),
        teach=jax.jit(teach),
        choose=jax.jit(lambda step, student, teacher: choose(key(step), student, teacher)),
        receive=jax.jit(lambda step, student, number: received(key(step), student, number)),
        study=jax.jit(study),
        student=Student(state.params, state.opt, state.ema),
        teacher=state.teacher,
    )


def send(programs: Programs, steps: int) -> Sent:
    """The encoder: it sees the data, and sends what the student learns from."""
    student, teacher, numbers, kl, looked = programs.student, programs.teacher, [], [], []
    for step in map(jnp.int32, range(steps)):
        given_BxG = programs.inputs(step)
        teacher = programs.teach(step, teacher)
        p, q = (programs.believe(params, given_BxG) for params in (student.params, teacher.ema))
        choice = programs.choose(step, p, q)
        student = programs.study(step, given_BxG, choice.completion_B, student)
        numbers.append(np.asarray(choice.number_B))
        looked.append(np.asarray(choice.looked_B))
        log_p_BxC, log_q_BxC = (np.asarray(one.log_p_BxC, np.float64) for one in (p, q))
        kl.append((np.exp(log_q_BxC) * (log_q_BxC - log_p_BxC)).sum(1) / math.log(2))
    codes = [[elias.encode(int(number)) for number in row] for row in numbers]
    lengths = np.array([[len(code) for code in row] for row in codes])
    bits = "".join(code for row in codes for code in row)
    return Sent(bits, student, np.array(kl), lengths, np.array(looked))


def receive(programs: Programs, bits: str, given_SxBxG: Sequence[jax.Array]) -> Student:
    """The decoder: it has what was sent and the inputs of each step, and ends with the student.

    Raises:
      ValueError: the bits end within a number, go on behind the last, or hold one that no encoder
        sends.
    """
    student, at = programs.student, 0
    for step, given_BxG in enumerate(given_SxBxG):
        p = programs.believe(student.params, given_BxG)
        numbers = []
        for _ in range(len(given_BxG)):
            number, at = elias.decode(bits, at)
            if number > MOST_PROPOSALS:
                raise ValueError(f"number={number}: no encoder looks beyond {MOST_PROPOSALS}")
            numbers.append(number)
        completion_B = programs.receive(jnp.int32(step), p, jnp.array(numbers, jnp.int32))
        student = programs.study(jnp.int32(step), given_BxG, completion_B, student)
    if at != len(bits):
        raise ValueError(f"{len(bits) - at} bits are left behind the last number")
    return student


def completions(spec: Spec) -> np.ndarray:
    """All strings of the coded tokens, int32 of shape (V^c, c), where coded is all behind `given`.

    Raises:
      ValueError: more than LARGEST_LIST of them.
    """
    coded = spec.length - spec.given
    count = spec.vocab**coded
    if count > LARGEST_LIST:
        raise ValueError(
            f"{coded} coded tokens of {spec.vocab} have {count} completions: at most {LARGEST_LIST}"
        )
    digits = np.arange(count)[:, None] // spec.vocab ** np.arange(coded - 1, -1, -1)
    return (digits % spec.vocab).astype(np.int32)


def beliefs(
    observer: Observer, params: PyTree, given_BxG: jax.Array, strings_CxT: jax.Array
) -> Beliefs:
    """What an observer expects behind the tokens that are given."""

    def one(given_G: jax.Array) -> jax.Array:
        front_CxG = jnp.broadcast_to(given_G, (len(strings_CxT), len(given_G)))
        tokens_CxT = jnp.concatenate([front_CxG, strings_CxT], axis=1)
        nats_CxT = nll.nats(observer.logits(params, tokens_CxT, None), tokens_CxT)
        return -nll.pairwise_sum(nats_CxT[:, len(given_G) :], axis=1)

    return believed(lax.map(one, given_BxG))


def believed(log_p_BxC: jax.Array) -> Beliefs:
    """Beliefs from the probabilities of all completions."""
    order_BxC = jnp.argsort(log_p_BxC, axis=1)
    rising_BxC = jnp.exp(jnp.take_along_axis(log_p_BxC, order_BxC, axis=1))
    return Beliefs(log_p_BxC, order_BxC, jnp.cumsum(rising_BxC, axis=1))


def choose(key: jax.Array, student: Beliefs, teacher: Beliefs) -> Choice:
    """The encoder's side of a step, whose key this is; P is the student's, Q the teacher's."""
    penalty_BxC = student.log_p_BxC - teacher.log_p_BxC

    def one(message: jax.Array, student: Beliefs, penalty_C: jax.Array) -> Choice:
        own = jax.random.fold_in(key, message)
        least = penalty_C.min()

        def undecided(carry):
            first, time, best, *_ = carry
            # The earliest that is left arrives at `time`, with the smallest penalty there is.
            return (jnp.log(time) + least < best) & (first < MOST_PROPOSALS)

        def look(carry):
            first, time, best, number, completion, looked = carry
            number_K = first + jnp.arange(CHUNK, dtype=jnp.int32)
            completion_K = jax.vmap(lambda n: proposal(own, n, student))(number_K)
            gaps_K = jax.vmap(lambda n: jax.random.exponential(_key(own, "gap", n)))(number_K)
            time_K = time + jnp.cumsum(gaps_K)
            score_K = jnp.log(time_K) + penalty_C[completion_K]
            winner = jnp.argmin(score_K)
            wins = score_K[winner] < best
            before_K = lax.cummin(jnp.append(best, score_K))[:-1]
            return (
                first + CHUNK,
                time_K[-1],
                jnp.where(wins, score_K[winner], best),
                jnp.where(wins, number_K[winner] + 1, number),
                jnp.where(wins, completion_K[winner], completion),
                looked + (jnp.log(time_K) + least < before_K).sum(),
            )

        zero = jnp.int32(0)
        start = (zero, jnp.float32(0), jnp.float32(jnp.inf), zero, zero, zero)
        return Choice(*lax.while_loop(undecided, look, start)[3:])

    messages_B = jnp.arange(len(penalty_BxC), dtype=jnp.uint32)
    return lax.map(lambda args: one(*args), (messages_B, student, penalty_BxC))


def received(key: jax.Array, student: Beliefs, number_B: jax.Array) -> jax.Array:
    """The decoder's side of a step: the completions of the proposals with these numbers."""

    def one(message: jax.Array, student: Beliefs, number: jax.Array) -> jax.Array:
        return proposal(jax.random.fold_in(key, message), number - 1, student)

    messages_B = jnp.arange(len(number_B), dtype=jnp.uint32)
    return lax.map(lambda args: one(*args), (messages_B, student, number_B))


def proposal(key: jax.Array, number: jax.Array, student: Beliefs) -> jax.Array:
    """The completion that is proposal `number` (from 0) of a message, whose beliefs have no axis B:
    a draw from P."""
    return drawn(jax.random.bits(_key(key, "proposal", number), dtype=jnp.uint32), student)


def drawn(bits: jax.Array, student: Beliefs) -> jax.Array:
    """The completion that 32 even bits stand for: each has its probability to within 2^-32, or the
    rounding of a float32 where that is more."""
    draw = bits.astype(jnp.float32) * 2.0**-32 * student.bounds_BxC[-1]
    rank = jnp.searchsorted(student.bounds_BxC, draw, side="right")
    return student.order_BxC[jnp.minimum(rank, len(student.order_BxC) - 1)]


def _key(key: jax.Array, name: str, number: jax.Array) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(name.encode())), number)
