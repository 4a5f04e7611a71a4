"""Types of the library, the legend of dimensions, and the form of a refusal.

A generator makes examples, an observer predicts them, a code charges for them, a record keeps the
charges, and a run connects the four.

Legend of dimensions, used as suffixes (`logits_BxTxV`):

    B  examples in a batch          M  members of an ensemble     D  width of a model
    T  tokens in an example         E  held-out examples          L  depth of a model
    N  any other count: parts,      F  width of an MLP            I, O  inputs and outputs
       windows, tokens of a batch   K  steps in a chunk           H, W  rows and columns of a board
    V  vocabulary                   R  vector of side information
    P  parts of a mixture

Codelengths are in nats on the device. Reports convert them to bits (nats / ln 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:  # reports and corpora import this module and need no JAX
    import jax
    import numpy as np

PyTree = Any


class Refusal(ValueError):
    """A value that is not accepted; the message is for the user."""


def refusal(key: str, value: Any, accepted: str) -> Refusal:
    """The error that refuses a value: `key=value: accepted X`.

    Args:
      key: the config key, flag or argument.
      value: the refused value; a long one is truncated.
      accepted: the accepted values, and the reason where it is not obvious.
    """
    shown = repr(value)
    shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
    return Refusal(f"{key}={shown}: accepted {accepted}")


def require(key: str, value: Any, legal: bool, accepted: str) -> None:
    """Raise `refusal(key, value, accepted)` unless the value is legal."""
    if not legal:
        raise refusal(key, value, accepted)


def require_whole(key: str, value: Any, least: int, most: int, reason: str = "") -> None:
    """Raise a refusal unless the value is an integer from `least` to `most`.

    Args:
      key, value: as in `refusal`.
      least, most: the bounds, both accepted.
      reason: of the bounds, where it is not obvious.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    accepted = f"whole numbers from {least} to {most}" + (f": {reason}" if reason else "")
    require(key, value, whole and least <= value <= most, accepted)


class Example(NamedTuple):
    """One example of a generator.

    Attributes:
      tokens_T: int32, every token below the vocabulary of the generator's `Spec`.
      coded_T: bool, marks the tokens that are charged; the others are context.
      side: free context, float32 of shape TxR with R = `Spec.side`: a vector for each token, read
        with it and neither charged nor predicted; a token without one has zeros. None if R is 0.
      part_P: bool, one-hot: which of the P parts of a mixture the example is of, so that rows have
        the charge of each part. None where there are no parts.
    """

    tokens_T: jax.Array
    coded_T: jax.Array
    side: jax.Array | None = None
    part_P: jax.Array | None = None


@dataclass(frozen=True)
class Spec:
    """Static facts of a generator.

    Attributes:
      vocab: number of different tokens.
      length: tokens in one example, T.
      size: training examples, or None where the generator is endless. A finite generator has its
        held-out examples at the indices from `size` to `size + held_out - 1`.
      version: rises whenever the stream of examples changes.
      held_out: examples that a finite generator keeps for evaluation. An endless one has 0 and is
        evaluated on an independent stream.
      given: leading tokens that are coded in no example; a sampler reads them in one pass.
      side: length R of the vector that an observer reads with each token, or 0.
      masked: whether the vector of a token, if it is not 0, marks which of the last R tokens of the
        vocabulary may occur in its place. An observer then does not read it.
    """

    vocab: int
    length: int
    size: int | None
    version: int
    held_out: int = 0
    given: int = 0
    side: int = 0
    masked: bool = field(default=False, repr=False)


class Generator(Protocol):
    """Maker of examples: a frozen dataclass registered as a pytree.

    Array leaves hold what members of an ensemble may vary (a rule, a transition table, tokens);
    static fields hold what changes shapes. Compiled code takes it as an argument and never closes
    over it.
    """

    @property
    def spec(self) -> Spec: ...

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The example with this index; pure, unbatched, traceable. `key` belongs to it alone."""

    def oracle_nats(self, example: Example) -> jax.Array | None:
        """Nats per token under the generator's own law, given the earlier tokens.

        float32 of shape T; None where the law has no tractable form.
        """


# Makes the generators of a text, `name argument=value ...; name ...`, from a function of the part's
# argument `draw`, 0 if it has none, to its key; the config key of the text; and the text. Supplied
# to a generator that is made of others.
MakeParts = Callable[[Callable[[int], "jax.Array"], str, str], "list[Generator]"]


# The learner that a record has trained, of the seed of the member: (config key, reference of the
# record, generator of examples of its shape) -> observer and weights. Supplied to a generator.
LearnerOf = Callable[[str, str, "Generator"], "tuple[Observer, PyTree]"]


class Readable(Protocol):
    """Optional methods of a generator, on the host, that make its tokens readable.

    Attributes:
      bytes_per_token: bytes of the source per token, where tokens are cut from a source.
    """

    bytes_per_token: float

    def symbols(self, tokens_T: np.ndarray) -> list[str]:
        """The text that shows each token, in the observer's order."""


class Lawful(Protocol):
    """Optional method of a generator whose law can be computed token by token, by the oracle."""

    def oracle_logits(
        self, tokens_T: jax.Array, side_TxR: jax.Array | None = None
    ) -> jax.Array | None:
        """Log probabilities of every token, float32 of shape TxV, from the earlier tokens only.

        Pure, unbatched, traceable. An impossible token has -inf; where tokens are not coded, or the
        earlier ones are impossible, any law will do. None where the law has no tractable form.
        """


class Selective(Protocol):
    """Optional method of a generator that draws an example again until it is kept."""

    def tries_of(self, key: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The number of draws that the example took, int32, and whether the last one was kept."""


class Observer(NamedTuple):
    """A family of learners as pure functions.

    `side` is that of the examples, BxTxR, or None.

    Attributes:
      init: key -> params.
      logits: (params, tokens_BxT, side) -> logits_BxTxV. `logits[:, t]` predicts `tokens[:, t]`
        from earlier tokens only.
      flops: length -> (forward, update): FLOPs to predict one example of that length, and to learn
        from it after the prediction.
      scales: params -> pytree of learning-rate multipliers, shaped like params; a multiplier is a
        number or an array, and 0 freezes a weight. None for exact counters.
      start: (params, tokens_BxT, side) -> cache. Primes a cache with the T given tokens (T may be
        0); `step` then predicts one token at a time.
      step: (params, cache, tokens_B, side) -> (cache, logits_BxV). Takes the token before the
        predicted one; at the first position it ignores the token.
      update: (params, tokens_BxT, coded_BxT, side) -> (params, nats_BxT). Replaces the optimiser
        of an exact counter: charges token by token, in order, and counts each token after its
        charge.
      knows: generator -> params. For an observer that is given the law of its data.
      hidden: (params, tokens_BxT, side) -> the residual stream before the first layer and after
        each, BxTxD float32; that of position t has read the tokens before t.
      edited: (params, tokens_BxT, side, layer, change_BxTxD) -> logits_BxTxV, where the change is
        added to the stream after `layer` layers.
      starts: (key, params of another run) -> params. For an observer around another one.
      learned: numbers that learn; None: all parameters.
      parameters: their number N, where the pytree of parameters holds other things too.
    """

    init: Callable[[jax.Array], PyTree]
    logits: Callable[[PyTree, jax.Array, PyTree], jax.Array]
    flops: Callable[[int], tuple[float, float]]
    scales: Callable[[PyTree], PyTree] | None = None
    start: Callable[[PyTree, jax.Array, PyTree], PyTree] | None = None
    step: Callable[[PyTree, PyTree, jax.Array, PyTree], tuple[PyTree, jax.Array]] | None = None
    update: Callable[[PyTree, jax.Array, jax.Array, PyTree], tuple[PyTree, jax.Array]] | None = None
    knows: Callable[[Generator], PyTree] | None = None
    hidden: Callable[[PyTree, jax.Array, PyTree], tuple[jax.Array, ...]] | None = None
    edited: Callable[[PyTree, jax.Array, PyTree, int, jax.Array], jax.Array] | None = None
    starts: Callable[[jax.Array, PyTree], PyTree] | None = None
    learned: int | None = None
    parameters: int | None = None


class Hyper(NamedTuple):
    """Hyper-parameters that the members of an ensemble may vary, as traced scalars.

    Attributes:
      seed: uint32, selects the streams of the member.
      lr: base learning rate, constant after the warm-up.
      warmup_steps: steps of linear warm-up.
      b1, b2, eps: Adam's decay rates and the constant in its denominator.
      clip_norm: largest global norm of a gradient.
      ema_steps: time constant, in steps, of the average of the weights.
    """

    seed: jax.Array
    lr: jax.Array
    warmup_steps: jax.Array
    b1: jax.Array
    b2: jax.Array
    eps: jax.Array
    clip_norm: jax.Array
    ema_steps: jax.Array


class Learner(NamedTuple):
    """Parameters with the state of their training: of an observer, a teacher or a student.

    Attributes:
      params: the observer's parameters.
      opt: the optimiser's state; () for exact counters.
      ema: exponential moving average of params; () for exact counters.
    """

    params: PyTree
    opt: PyTree = ()
    ema: PyTree = ()


class State(NamedTuple):
    """Everything a run carries from step to step: no key, no running total, no device axis.

    Attributes:
      step: int32, steps done.
      failed_step: int32, the step whose loss was not finite, from which on the member is frozen; -1
        while its loss is finite.
      learner: charged and evaluated; in the requential code the student.
      teacher: in the requential code, what the student learns from; () in other codes.
    """

    step: jax.Array
    failed_step: jax.Array
    learner: Learner
    teacher: PyTree = ()


Row = dict[str, "jax.Array"]
Step = Callable[[Generator, Hyper, State], tuple[State, Row]]


class Code(NamedTuple):
    """A way to charge for data while learning.

    Attributes:
      init: (hyper, params=None) -> the state of a member before its first step, with the given
        parameters, such as those of a record, or with new ones.
      step: charges a batch and learns from it. A row is a flat dict of sums, never of means:
        `nats`, `coded_tok`, `all_tok`, `flops`, `passes`, `grad_norm`, `finite`.
      steps: steps of a run, where the code fixes them; else None.
    """

    init: Callable[..., State]
    step: Step
    steps: int | None = None


# Changes a generator between two chunks, such as the weights of a mixture. A pure numpy function of
# the rows so far (arrays of shape (M, steps, ...), none before the first chunk: `nats`, `coded_tok`
# and those of the parts), so that a resumed run needs its rows only. Returns new values for array
# leaves of the generator, by field name.
Policy = Callable[[Mapping[str, "np.ndarray"]], dict[str, "np.ndarray"]]
