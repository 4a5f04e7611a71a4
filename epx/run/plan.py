"""The plan of a run: steps, batch, chunks, evaluations and checkpoints, with their checks."""

import math
from dataclasses import dataclass
from typing import Any

from epx.types import require, require_whole

# Indices of examples have 32 bits, and half of them are for training.
LARGEST_INDEX = 2**31
# Each member of an ensemble has a separate generator and hyper-parameters on the host.
MOST_MEMBERS = 2**12

# Key, field, largest value and its reason. All are integers of at least 1.
_BOUNDS = (
    ("run.steps", "steps", LARGEST_INDEX - 1, "as indices have 31 bits"),
    ("run.batch", "batch", 2**24, "examples that one step can hold"),
    ("run.microbatch", "microbatch", 2**24, "or none; more than a batch is a batch"),
    ("run.chunk", "chunk", 10**6, "steps whose rows are held on the device"),
    ("run.repeats", "repeats", LARGEST_INDEX - 1, "passes"),
    ("run.examples", "examples", LARGEST_INDEX - 1, "as indices have 31 bits, or none"),
    ("run.turns", "turns", LARGEST_INDEX - 1, "blocks of examples"),
    ("eval.every", "eval_every", LARGEST_INDEX - 1, "steps, or none"),
    ("eval.examples", "eval_examples", 2**24, "examples whose charges are held at once"),
    ("checkpoint.every", "checkpoint_every", LARGEST_INDEX - 1, "steps, or none"),
    ("checkpoint.keep", "keep", LARGEST_INDEX - 1, "states, or none"),
)


@dataclass(frozen=True)
class Plan:
    """The plan of a run.

    The fields are keys of the config's sections `run`, `eval` and `checkpoint`; `configs/base.py`
    has their units and meanings.

    Raises:
      ValueError: a value out of range; the message names the key and the accepted values.
    """

    steps: int
    batch: int
    microbatch: int | None = None
    chunk: int = 50
    parallel: str = "jit"
    devices: int | None = None
    repeats: int = 1
    examples: int | None = None
    turns: int = 1
    eval_every: int | None = None
    eval_examples: int = 1024
    test_tokens: float | None = None
    rulers: bool = False
    against: int | None = None
    checkpoint_every: int | None = None
    keep: int | None = None

    def __post_init__(self) -> None:
        for key, field, most, reason in _BOUNDS:
            value, default = getattr(self, field), self.__dataclass_fields__[field].default
            if value is not None or default is not None:
                require_whole(key, value, 1, most, reason)
        tokens = self.test_tokens
        legal = tokens is None or 1 <= tokens < math.inf
        require("eval.test_tokens", tokens, legal, "a finite number from 1 on, or none")
        divides = self.turns == 1 or (self.examples is not None and not self.examples % self.turns)
        accepted = f"1, or divisors of run.examples={self.examples}"
        require("run.turns", self.turns, divides, accepted)
        fits = self.steps * self.batch < LARGEST_INDEX
        most = LARGEST_INDEX // self.batch - 1
        accepted = f"1 to {most} with run.batch={self.batch}, as indices have 31 bits"
        require("run.steps", self.steps, fits, accepted)
        for key, steps in (
            ("eval.every", self.eval_every),
            ("checkpoint.every", self.checkpoint_every),
        ):
            legal = steps is None or steps % self.chunk == 0
            require(key, steps, legal, f"multiples of run.chunk={self.chunk}")


def make_plan(config: dict[str, dict[str, Any]]) -> Plan:
    """The plan of a config. Raises ValueError as `Plan`."""
    run, evaluation, saving = config["run"], config["eval"], config["checkpoint"]
    shared = (
        "steps", "batch", "microbatch", "chunk", "parallel", "devices", "repeats", "examples",
        "turns",
    )  # fmt: skip
    return Plan(
        **{key: run[key] for key in shared},
        eval_every=evaluation["every"],
        eval_examples=evaluation["examples"],
        test_tokens=evaluation["test_tokens"],
        rulers=evaluation["rulers"],
        against=evaluation["against"],
        checkpoint_every=saving["every"],
        keep=saving["keep"],
    )
