"""What a run is before it starts: its length, its members, its world, observer and code."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from epx.run.devices import AXIS, Layout, largest_divisor, layout
from epx.streams import Batch
from epx.types import Code, Generator, Hyper, Observer, PyTree, Spec

# Indices of examples are 32 bits wide.
LARGEST_INDEX = 2**31
# Tokens that a core works on at once, which leaves the activations of a layer in its cache: best of
# 64 to 12288 at width 64 to 512, and within a sixth of the best at width 16
# (`python -m experiments.bench --only=microbatches`).
CORE_TOKENS = 256
# Examples that a core samples from side by side, token by token.
DECODED = 16


@dataclass(frozen=True)
class Plan:
    """How long and how a run goes. The keys are those of the config's `run`, `eval` and
    `checkpoint`, where their units and meanings stand.

    Raises:
      ValueError: a value out of range, naming its key and what would be accepted.
    """

    steps: int
    batch: int
    microbatch: int | None = None
    chunk: int = 50
    parallel: str = "jit"
    devices: int | None = None
    repeats: int = 1
    examples: int | None = None
    eval_every: int | None = None
    eval_examples: int = 1024
    test_tokens: float | None = None
    checkpoint_every: int | None = None
    keep: int | None = None

    def __post_init__(self) -> None:
        keys = {
            "run.steps": self.steps,
            "run.batch": self.batch,
            "run.microbatch": self.microbatch,
            "run.chunk": self.chunk,
            "run.repeats": self.repeats,
            "run.examples": self.examples,
            "eval.every": self.eval_every,
            "eval.examples": self.eval_examples,
            "eval.test_tokens": self.test_tokens,
            "checkpoint.every": self.checkpoint_every,
            "checkpoint.keep": self.keep,
        }
        for key, value in keys.items():
            if value is not None and not 1 <= value < math.inf:
                raise ValueError(f"{key}={value}: must be at least 1")
        if self.steps * self.batch >= LARGEST_INDEX:
            raise ValueError(
                f"run.steps={self.steps} x run.batch={self.batch}: at most {LARGEST_INDEX} examples"
            )
        for key in ("eval.every", "checkpoint.every"):
            if keys[key] is not None and keys[key] % self.chunk:
                raise ValueError(f"{key}={keys[key]}: must be a multiple of run.chunk={self.chunk}")

    def layout(self, members: int) -> Layout:
        """Where the members and their batches live. Raises ValueError as `devices.layout`."""
        return layout(self.parallel, self.devices, members, self.batch)

    def check(self, spec: Spec, members: int, code_steps: int | None = None) -> None:
        """Raises ValueError where the devices or a finite world do not allow this plan. A code that
        says itself how many steps it takes also says how often it sees an example."""
        self.cut(self.layout(members), spec.length)
        if None not in (self.examples, spec.size) and self.examples > spec.size:
            raise ValueError(
                f"run.examples={self.examples}: this world has {spec.size} for training; give at "
                "most that many"
            )
        size = spec.size if self.examples is None else self.examples
        if size is None:
            return
        if self.batch > size:
            raise ValueError(
                f"run.batch={self.batch}: at most {size}, the training examples of a pass"
            )
        passes = self.steps * self.batch / size
        if code_steps is None and passes > self.repeats:
            raise ValueError(
                f"run.steps={self.steps} x run.batch={self.batch} needs {passes:.2f} passes over "
                f"the {size} training examples, and run.repeats={self.repeats}: "
                f"take at most {self.repeats * size // self.batch} steps, or allow more "
                "passes (S_preq then charges a repeated token as if it were new; EDL does not)"
            )
        if spec.size is not None and self.eval_examples > spec.held_out:
            raise ValueError(
                f"eval.examples={self.eval_examples}: this world holds out {spec.held_out} "
                "examples; give at most that many"
            )

    def cut(self, spread: Layout, length: int) -> Batch:
        """The batch of a step, in examples of `length` tokens, cut for the devices that share it.
        Where `microbatch` is None, a core takes as many examples at once as its cache holds, and
        an accelerator takes all."""
        part = self.batch // spread.shards
        fitting = max(1, CORE_TOKENS // length) if spread.platform == "cpu" else part
        microbatch = min(self.microbatch or largest_divisor(part, fitting), part)
        if part % microbatch:
            raise ValueError(
                f"run.microbatch={self.microbatch}: must divide the {part} examples of a batch "
                "that each device sees"
            )
        decoded = largest_divisor(part, DECODED) if spread.platform == "cpu" else part
        axis = AXIS if spread.shards > 1 else None
        return Batch(self.batch, microbatch, axis, spread.shards, decoded, self.examples)


class Setup(NamedTuple):
    """Everything a run needs: one generator and one set of hyper-parameters a member, the
    observer and the code they share, the plan, and the description that the record keeps."""

    generators: Sequence[Generator]
    hypers: Sequence[Hyper]
    observer: Observer
    code: Callable[[Observer, Batch], Code]
    plan: Plan
    config: dict[str, Any]

    def check(self) -> None:
        """Raises ValueError where the devices, the world or the code do not allow this run."""
        spec, members = self.generators[0].spec, len(self.generators)
        batch = self.plan.cut(self.plan.layout(members), spec.length)
        wanted = self.code(self.observer, batch).steps
        if wanted not in (None, self.plan.steps):
            raise ValueError(
                f"run.steps={self.plan.steps}: accepted {wanted}, as code.name="
                f"{self.config['code']['name']} takes with its other keys and run.examples"
            )
        self.plan.check(spec, members, wanted)


def stack(trees: Sequence[PyTree]) -> PyTree:
    """Members of equal shape, as `check_shapes` says, as one tree with a leading member axis."""
    check_shapes(trees)
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *trees)


def check_shapes(trees: Sequence[PyTree]) -> None:
    """Raises ValueError where members differ in more than the values of their arrays."""
    shapes = [jax.tree.map(lambda leaf: (jnp.shape(leaf), jnp.result_type(leaf)), t) for t in trees]
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ValueError(
                f"member {index} cannot share an ensemble with member 0: {trees[index]!r:.200} "
                f"and {trees[0]!r:.200} differ in more than the values of their arrays"
            )
