"""The workloads of the bench: training steps and parts of them, compiled as in a run."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from epx.codes import prequential, requential
from epx.generators.automata import eca
from epx.learning import flops, nll, optim
from epx.learning.learner import Learning, training_examples
from epx.observers import transformer
from epx.observers.layers import basic
from epx.run import evaluation, loop
from epx.run.devices import Layout, compile_over, make_layout, place
from epx.run.plan import MOST_MEMBERS, Plan
from epx.run.setup import make_batch, stack
from epx.types import Observer, require, require_whole

RULE, STEPS = 54, 16
# A call takes about WORK_SECONDS at a third of the peak, and has at most MOST_STEPS steps.
WORK_SECONDS, MOST_STEPS = 0.5, 100


class Case(NamedTuple):
    """A size of training; the fields are keys of a config, or `members` of an ensemble."""

    depth: int = 3
    width: int = 128
    length: int = 128
    batch: int = 96
    members: int = 1
    dtype: str = "float32"
    activation: str = "gelu_tanh"
    microbatch: int | None = None
    decoded: int | None = None

    @property
    def name(self) -> str:
        """The size as text."""
        runs = "1 run" if self.members == 1 else f"{self.members} members"
        size = f"L{self.depth} D{self.width} T{self.length} batch {self.batch}, {runs}"
        size += f", {self.microbatch} at once" if self.microbatch else ""
        size += f", {self.decoded} drawn at once" if self.decoded else ""
        return size + (f", {self.dtype}" if self.dtype != "float32" else "")

    @property
    def generator(self) -> eca.Eca:
        """An automaton with examples of this length."""
        return eca.make(jax.random.key(0), RULE, self.length // 2, steps=STEPS)

    @property
    def observer(self) -> Observer:
        """The transformer of this size."""
        return transformer.make(
            self.generator.spec.vocab,
            self.length,
            depth=self.depth,
            width=self.width,
            activation=self.activation,
            dtype=self.dtype,
        )

    @property
    def plan(self) -> Plan:
        """The plan of one step, with the division of a batch."""
        return Plan(1, self.batch, microbatch=self.microbatch)

    @property
    def layout(self) -> Layout:
        """The division of members and batches over devices."""
        return make_layout("jit", None, self.members, self.batch, self.length)

    def check(self) -> None:
        """Raise ValueError if a size is invalid, before anything is compiled."""
        even = self.length >= 2 and self.length % 2 == 0
        require("length", self.length, even, "even numbers: a ring of cells, and its later state")
        require_whole("members", self.members, 1, MOST_MEMBERS)
        make_batch(self.plan, self.layout, self.length)
        _ = self.observer


class Prepared(NamedTuple):
    """A compiled workload.

    Attributes:
      call: runs it once and returns arrays to wait for.
      tokens, flops: processed in a call.
      mebibytes: of the program on all devices: arguments, results and temporaries.
      compile_seconds: of its compilation.
    """

    call: Callable[[], Any]
    tokens: float
    flops: float
    mebibytes: float
    compile_seconds: float


class Members:
    """The members of a case on their devices, and their workloads."""

    make = staticmethod(prequential.make)

    def __init__(self, case: Case) -> None:
        self.case, self.observer = case, case.observer
        self.layout = case.layout
        self.batch = make_batch(case.plan, self.layout, case.length)
        if case.decoded:
            self.batch = self.batch._replace(decoded=case.decoded)
        self.learning = Learning(self.observer, self.batch)
        self.code = self.make(self.observer, self.batch)
        hypers = [optim.make_hyper(seed, lr=0.01) for seed in range(case.members)]
        self.shared = place(self.layout, (stack([case.generator] * case.members), stack(hypers)))
        self.state = compile_over(self.layout, self.code.init, self.shared[1])(self.shared[1])

    def steps(self, peak: float) -> Prepared:
        """Full steps: charge, gradient, update."""
        tokens = self.case.members * self.case.batch * self.case.length
        step_flops = self.case.members * flops.step_flops(
            self.observer, self.case.length, self.case.batch
        )
        count = min(MOST_STEPS, max(1, round(WORK_SECONDS * peak / 3 / step_flops)))
        program, compile_seconds, mebibytes = self._compiled(
            loop.scan(self.code, count), donate=True
        )

        def call():
            self.state, rows = program(*self.shared, self.state)
            return rows

        return Prepared(call, tokens * count, step_flops * count, mebibytes, compile_seconds)

    def prediction(self) -> Prepared:
        """The charge of a batch, without learning."""

        def charge(generator, hyper, state):
            def part(index_B):
                example = evaluation.held_out_examples(generator, hyper, index_B)
                logits_BxTxV = self.observer.logits(state.learner.params, example.tokens_T, None)
                return nll.nats(logits_BxTxV, example.tokens_T).sum()

            return self.batch.total(lax.map(part, self._indices()).sum())

        forward, _ = self.observer.flops(self.case.length)
        return self._once(charge, forward)

    def data(self) -> Prepared:
        """The examples of a batch, without prediction."""

        def draw(generator, hyper, state):
            def part(index_B):
                return evaluation.held_out_examples(generator, hyper, index_B).tokens_T.sum()

            return self.batch.total(lax.map(part, self._indices()).sum())

        return self._once(draw, 0.0)

    def products(self) -> Prepared:
        """The products with the kernels of the layers: forward, and both of the gradient.

        Left out are those of attention and of the head, a seventh of all at width 128.
        """
        tokens = self.batch.microbatch * self.case.length
        parts = self.batch.size // self.batch.shards // self.batch.microbatch

        def passes(generator, hyper, state):
            names = ("qkv", "out", "up", "down")
            layers = [state.learner.params[f"layer_{n}"] for n in range(self.case.depth)]
            kernels = [layer[name]["kernel"] for layer in layers for name in names]

            draws = {
                len(k): jax.random.normal(jax.random.key(hyper.seed), (tokens, len(k)))
                for k in kernels
            }

            def part(carry, _):
                seed, totals = carry
                results = []
                for kernel_IxO, total_IxO in zip(kernels, totals):
                    # Each product depends on the last, so that the compiler removes none.
                    x_NxI = (draws[len(kernel_IxO)] + seed).astype(self.case.dtype)
                    kernel_IxO = kernel_IxO.astype(self.case.dtype)
                    y_NxO, pull = jax.vjp(basic.product, x_NxI, kernel_IxO)
                    x_NxI, gradient_IxO = pull(y_NxO + 1)
                    seed = 1e-6 * x_NxI[0, 0].astype(jnp.float32)
                    results.append((x_NxI, total_IxO + gradient_IxO))
                return (seed, [total for _, total in results]), [x.sum() for x, _ in results]

            zeros = [jnp.zeros_like(kernel) for kernel in kernels]
            return lax.scan(part, (jnp.float32(0), zeros), length=parts)

        layers_flops = 6.0 * 12 * self.case.depth * self.case.width**2 * self.case.length
        return self._once(passes, layers_flops)

    def update(self) -> Prepared:
        """The update of moments, weights and their average, once per step."""

        def update(generator, hyper, state):
            rate = optim.rate(hyper, state.step)
            learner = state.learner
            return self.learning.update(hyper, learner.ema, learner, rate, hyper.ema_steps)

        return self._once(update, 0.0)

    def _indices(self) -> jax.Array:
        return self.batch.indices(None, jnp.int32(0))

    def _once(self, function: Callable, example_flops: float) -> Prepared:
        program, compile_seconds, mebibytes = self._compiled(function)
        examples = self.case.members * self.case.batch
        return Prepared(
            lambda: program(*self.shared, self.state),
            examples * self.case.length,
            examples * example_flops,
            mebibytes,
            compile_seconds,
        )

    def _compiled(self, function: Callable, donate: bool = False):
        began = time.perf_counter()
        program = compile_over(self.layout, function, *self.shared, self.state, donate=donate)
        seconds, memory = time.perf_counter() - began, program.memory_analysis()
        total = memory.temp_size_in_bytes + memory.argument_size_in_bytes
        total += memory.output_size_in_bytes - memory.alias_size_in_bytes
        return program, seconds, len(self.layout.devices) * total / 2**20


class Pairs(Members):
    """The workloads of the requential code: each member is a teacher and a student.

    Rates are of the teacher's tokens; the FLOPs of a full step are those of a prequential one.
    """

    make = staticmethod(requential.make)

    def teacher(self) -> Prepared:
        """The teacher's step on a batch of real data."""

        def update_teacher(generator, hyper, state):
            return requential.update_teacher(
                self.learning, generator, hyper, self._indices(), hyper.lr, hyper.ema_steps,
                state.teacher,
            )  # fmt: skip

        return self._once(update_teacher, sum(self.observer.flops(self.case.length)))

    def sampling(self) -> Prepared:
        """The samples of a batch."""

        def draw(generator, hyper, state):
            step = jnp.int32(0)
            samples = requential.sample(self.learning, generator, hyper, step, state.teacher.ema)
            return samples.tokens_T

        return self._once(draw, self.observer.flops(self.case.length)[0])

    def charge(self) -> Prepared:
        """The KL between teacher and student."""

        def charge(generator, hyper, state):
            def part(index_B):
                example = training_examples(generator, hyper, index_B)
                return requential.kl_nats(
                    self.observer, state.teacher.ema, state.learner.params, example
                ).sum()

            return self.batch.total(lax.map(part, self._indices()).sum())

        return self._once(charge, 2 * self.observer.flops(self.case.length)[0])

    def student(self) -> Prepared:
        """The student's step on a batch."""

        def update_student(generator, hyper, state):
            index_NxB = self._indices()
            example = lax.map(lambda part: training_examples(generator, hyper, part), index_NxB)
            return requential.update_student(
                self.learning, hyper, example, hyper.lr, hyper.ema_steps, state.learner
            )

        return self._once(update_student, sum(self.observer.flops(self.case.length)))
