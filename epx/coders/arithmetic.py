"""The prequential code as bytes: an arithmetic coder driven by the observer as it trains.

A batch of examples is coded one position at a time. The observer, before it learns from the batch,
predicts the next token of each example; the probabilities are rounded to integers, and the package
`constriction` codes the tokens with them. After the batch the observer learns from it by the step
of `prequential.py`. An exact counter codes single examples and learns from every token. The decoder
repeats the training as it decodes.

Encoder and decoder call the same compiled programs on arrays of the same shapes. A program that
processes all tokens of the encoder at once could differ in the last bits, and one different bit in
a probability makes the rest undecodable. Equal bits are promised on CPUs, within one environment.
"""

import dataclasses
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx.codes import prequential
from epx.learning.batch import Batch
from epx.types import Example, Hyper, Observer, PyTree, Spec, State, refusal

# Probabilities are scaled by 2^24 and rounded to integers of at least 1, so that any token can be
# coded. They sum to about 2^24; the coder normalises them, identically on both sides.
PRECISION_BITS = 24


class CompiledCoder(NamedTuple):
    """Compiled programs that both sides call. All leaves of a batch have a leading axis B.

    Attributes:
      init: () -> the state before the first example.
      predicting: state -> the weights that predict, the last ones or their average.
      start: (params, batch) -> cache, after the given leading tokens.
      position: (params, cache, previous_B, side) -> (cache, weights_BxV), probabilities of the next
        token of each example as integers.
      learn: (state, batch) -> (state, (nats, finite)), after each batch; with an exact counter
        after each token, which alone is then marked as coded. `nats` is the trainer's charge;
        `finite` is False once it or the gradient is not finite. Donates the old state.
      batch: examples coded together.
      each_token: whether it learns after each token.
      spec: of the examples.
    """

    init: Callable[[], State]
    predicting: Callable[[State], PyTree]
    start: Callable[[PyTree, Example], PyTree]
    position: Callable[[PyTree, PyTree, jax.Array, PyTree], tuple[PyTree, jax.Array]]
    learn: Callable[[State, Example], tuple[State, tuple[jax.Array, jax.Array]]]
    batch: int
    each_token: bool
    spec: Spec


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Batched:
    """A batch of B examples as a generator: the example of index i is number i modulo B."""

    examples: Example
    facts: Spec = field(metadata={"static": True})

    @property
    def spec(self) -> Spec:
        return self.facts

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        row = index % len(self.examples.tokens_T)
        return jax.tree.map(lambda leaf: leaf[row], self.examples)


def prepare(
    observer: Observer,
    hyper: Hyper,
    spec: Spec,
    batch: Batch,
    charged: str = "raw",
    params: PyTree = None,
) -> CompiledCoder:
    """Compile the programs that both sides call.

    Args:
      observer: with `start` and `step`, made for the spec.
      hyper: of the single member.
      spec: of the examples.
      batch: the division of a step's examples. A counter codes single examples.
      charged: the weights that predict, as in `prequential.make`.
      params: of the observer before the first example; None: new ones.

    Raises:
      ValueError: the observer cannot predict one token at a time, or the package constriction is
        not installed.
    """
    package()
    if not (observer.start and observer.step):
        raise refusal("observer.start", observer.start, "observers with start and step")
    each_token = observer.update is not None
    # Every index is a new example, even beyond the size of a finite generator.
    spec, batch = dataclasses.replace(spec, size=None), batch._replace(examples=None)
    if each_token:
        batch = Batch(1, 1)
    code = prequential.make(observer, batch, charged=charged)
    state = jax.eval_shape(code.init, hyper, params)
    example = Example(
        jax.ShapeDtypeStruct((spec.length,), jnp.int32),
        jax.ShapeDtypeStruct((spec.length,), bool),
        jax.ShapeDtypeStruct((spec.length, spec.side), jnp.float32) if spec.side else None,
    )
    examples = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((batch.size, *leaf.shape), leaf.dtype), example
    )

    def start(params: PyTree, examples: Example) -> PyTree:
        return observer.start(params, examples.tokens_T[:, : spec.given], examples.side)

    def position(params: PyTree, cache: PyTree, previous_B: jax.Array, side: PyTree):
        cache, logits_BxV = observer.step(params, cache, previous_B, side)
        return cache, weights(logits_BxV)

    def learn(state: State, examples: Example):
        state, row = code.step(Batched(examples, spec), hyper, state)
        return state, (row["nats"], row["finite"])

    learned = state.learner.params
    cache = jax.eval_shape(start, learned, examples)
    previous_B = jax.ShapeDtypeStruct((batch.size,), jnp.int32)
    return CompiledCoder(
        init=lambda: jax.jit(code.init)(hyper, params),
        predicting=operator.attrgetter("learner.ema" if charged == "ema" else "learner.params"),
        start=jax.jit(start).lower(learned, examples).compile(),
        position=jax.jit(position).lower(learned, cache, previous_B, examples.side).compile(),
        learn=jax.jit(learn, donate_argnums=0).lower(state, examples).compile(),
        batch=batch.size,
        each_token=each_token,
        spec=spec,
    )


def weights(logits_BxV: jax.Array) -> jax.Array:
    """Probabilities as int32 of at least 1 whose sum is about 2^24."""
    shares = 2**PRECISION_BITS - logits_BxV.shape[-1]
    p_BxV = jax.nn.softmax(logits_BxV.astype(jnp.float32))
    return 1 + jnp.floor(p_BxV * shares).astype(jnp.int32)


def encode(
    coder: CompiledCoder, examples: Example, show: Callable[[int], None] = lambda done: None
) -> tuple[bytes, float]:
    """Encode the coded tokens of N examples, in the order of training.

    Args:
      coder: of this side.
      examples: numpy arrays, each with a leading axis N; tokens int32, coded bool.
      show: called with the number of examples done.

    Returns:
      The payload, and the sum of the trainer's charges in nats.

    Raises:
      ValueError: a loss that is not finite.
    """
    encoder, family = package().stream.queue.RangeEncoder(), _family()

    def write(weights_NxV: np.ndarray, tokens_N: np.ndarray) -> np.ndarray:
        encoder.encode(tokens_N, family, weights_NxV)
        return tokens_N

    nats = math.fsum(nats for _, nats in _walk(coder, examples, write, show))
    return encoder.get_compressed().astype("<u4").tobytes(), nats


def decode(
    coder: CompiledCoder,
    sent: bytes,
    shared: Example,
    show: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Decode the tokens of N examples.

    Args:
      coder: of this side.
      sent: the payload.
      shared: the examples; only their uncoded tokens are read.
      show: called with the number of examples done.

    Raises:
      ValueError: the payload cannot be decoded, or a loss that is not finite.
    """
    words = np.frombuffer(sent, "<u4").astype(np.uint32)
    decoder, family = package().stream.queue.RangeDecoder(words), _family()

    def read(weights_NxV: np.ndarray, _: np.ndarray) -> np.ndarray:
        try:
            return decoder.decode(family, weights_NxV)
        except AssertionError as error:  # raised by the package for invalid data
            raise refusal("payload", len(sent), "a payload that can be decoded") from error

    hidden = shared._replace(tokens_T=np.where(shared.coded_T, 0, shared.tokens_T))
    batches = [tokens for tokens, _ in _walk(coder, hidden, read, show)]
    return np.concatenate(batches) if batches else hidden.tokens_T


def _walk(
    coder: CompiledCoder,
    examples: Example,
    code: Callable[[np.ndarray, np.ndarray], np.ndarray],
    show: Callable[[int], None],
) -> Iterator[tuple[np.ndarray, float]]:
    """The loop shared by encoder and decoder; yields each batch's tokens and charge.

    `code(weights, tokens)` encodes the tokens, or ignores them and returns the decoded ones. The
    last batch is padded with examples without coded tokens.
    """
    # The part of a mixture that an example is of is not known to a decoder.
    examples = examples._replace(part_P=None)
    state, count = coder.init(), len(examples.tokens_T)
    for first in range(0, count, coder.batch):
        batch = _batch(examples, first, coder.batch)
        tokens_BxT, coded_BxT = batch.tokens_T, batch.coded_T
        last = int(np.flatnonzero(coded_BxT.any(0)).max(initial=-1)) + 1
        cache, charged = coder.start(coder.predicting(state), batch), []
        for t in range(coder.spec.given, last):
            previous_B = tokens_BxT[:, max(t - 1, 0)]
            params = coder.predicting(state)
            cache, weights_BxV = coder.position(params, cache, previous_B, batch.side)
            rows = np.flatnonzero(coded_BxT[:, t])
            if rows.size:
                weights_NxV = np.asarray(weights_BxV, np.float64)[rows]
                if weights_NxV.min() < 1:
                    raise refusal("logits", "not finite", "finite logits; try a smaller optim.lr")
                tokens_BxT[rows, t] = code(weights_NxV, tokens_BxT[rows, t])
            if coder.each_token and rows.size:
                alone_BxT = (np.arange(coder.spec.length) == t)[None]
                state, charge = coder.learn(state, batch._replace(coded_T=alone_BxT))
                charged.append(charge)
        if not coder.each_token:
            state, charge = coder.learn(state, batch)
            charged.append(charge)
        if not all(finite for _, finite in charged):
            accepted = "a finite loss; try a smaller optim.lr or optim.clip_norm"
            raise refusal("loss", f"not finite after example {first}", accepted)
        show(min(first + coder.batch, count))
        yield tokens_BxT[: count - first], math.fsum(float(nats) for nats, _ in charged)


def _batch(examples: Example, first: int, size: int) -> Example:
    """The `size` examples from `first` on, padded with zeros after the last one."""

    def rows(leaf_N: np.ndarray) -> np.ndarray:
        part = leaf_N[first : first + size]
        return np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), leaf_N.dtype)])

    return jax.tree.map(rows, examples)


def package() -> ModuleType:
    """The package constriction. Raises ValueError where it is not installed."""
    try:
        import constriction
    except ModuleNotFoundError as error:
        accepted = "an installation of it: pip install 'epx-jax[compress]'"
        raise refusal("constriction", None, accepted) from error
    return constriction


def _family():
    """Distributions given by their weights, one row for each token."""
    return package().stream.model.Categorical(perfect=False)
