"""The prequential code, really sent: tokens become bytes and bytes become the same tokens, driven
by the trainer itself. The decoder learns the model again as it decodes.

Several examples are coded side by side, one position of all of them at a time: the observer, as it
is before it has learned from any of them, predicts each one's next token; the probabilities become
whole numbers, an arithmetic coder (the package `constriction`) codes the tokens with them, and when
the examples are done the observer learns from them by the step of `prequential.py`. An exact
counter learns from every token, and codes one example after the other.

Encoder and decoder call the same compiled coder on arrays of the same shapes. A scan over tokens
that the encoder knows already would be another program, whose last bits differ, and one different
bit in a probability makes all that follows unreadable. That is promised on CPUs, within one
environment.
"""

import dataclasses
import math
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

# Probabilities become whole numbers of which 2^24 stand for 1, none below 1, so that any token can
# be coded. They add up to about that; the coder scales them again, on both sides alike.
PRECISION_BITS = 24


class CompiledCoder(NamedTuple):
    """What both sides call. Batches are Examples of which each leaf has a leading axis B.

    Attributes:
      init: () -> the state before the first example.
      start: (params, batch) -> cache, which has read the leading tokens that are given.
      position: (params, cache, previous_B, side) -> (cache, weights_BxV), probabilities of the next
        token of each example as whole numbers.
      learn: (state, batch) -> (state, (nats, finite)), after a batch; of an exact counter after
        each token, the only one that is marked. The nats are what the trainer charges; they or the
        gradient can cease to be finite. The old state is gone.
      batch: examples side by side.
      each_token: whether it learns after each token.
      spec: of the examples.
    """

    init: Callable[[], State]
    start: Callable[[PyTree, Example], PyTree]
    position: Callable[[PyTree, PyTree, jax.Array, PyTree], tuple[PyTree, jax.Array]]
    learn: Callable[[State, Example], tuple[State, tuple[jax.Array, jax.Array]]]
    batch: int
    each_token: bool
    spec: Spec


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Batched:
    """A batch of examples as a generator: example i is the i-th of every batch."""

    examples: Example
    facts: Spec = field(metadata={"static": True})

    @property
    def spec(self) -> Spec:
        return self.facts

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        row = index % len(self.examples.tokens_T)
        return jax.tree.map(lambda leaf: leaf[row], self.examples)


def prepare(
    observer: Observer, hyper: Hyper, spec: Spec, batch: Batch, side: PyTree = None
) -> CompiledCoder:
    """Compiles what both sides call.

    Args:
      observer: with `start` and `step`, made for the spec.
      hyper: of the one member.
      spec: vocabulary, length and given tokens of the examples.
      batch: how the examples of a step are divided. A counter codes one by one.
      side: the side information of one example, or the shapes of its arrays.

    Raises:
      ValueError: an observer that cannot predict one token at a time, or no package constriction.
    """
    package()
    if not (observer.start and observer.step):
        raise refusal("observer.start", observer.start, "observers with start and step")
    each_token = observer.update is not None
    # Every example is new: their generator may be smaller than what is sent of it.
    spec, batch = dataclasses.replace(spec, size=None), batch._replace(examples=None)
    if each_token:
        batch = Batch(1, 1)
    code = prequential.make(observer, batch)
    state = jax.eval_shape(code.init, hyper)
    one = Example(
        jax.ShapeDtypeStruct((spec.length,), jnp.int32),
        jax.ShapeDtypeStruct((spec.length,), bool),
        side,
    )
    examples = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((batch.size, *leaf.shape), leaf.dtype), one
    )

    def start(params: PyTree, examples: Example) -> PyTree:
        return observer.start(params, examples.tokens_T[:, : spec.given], examples.side)

    def position(params: PyTree, cache: PyTree, previous_B: jax.Array, side: PyTree):
        cache, logits_BxV = observer.step(params, cache, previous_B, side)
        return cache, weights(logits_BxV)

    def learn(state: State, examples: Example):
        state, row = code.step(Batched(examples, spec), hyper, state)
        return state, (row["nats"], row["finite"])

    params = state.learner.params
    cache = jax.eval_shape(start, params, examples)
    previous_B = jax.ShapeDtypeStruct((batch.size,), jnp.int32)
    return CompiledCoder(
        init=lambda: jax.jit(code.init)(hyper),
        start=jax.jit(start).lower(params, examples).compile(),
        position=jax.jit(position)
        .lower(state.learner.params, cache, previous_B, examples.side)
        .compile(),
        learn=jax.jit(learn, donate_argnums=0).lower(state, examples).compile(),
        batch=batch.size,
        each_token=each_token,
        spec=spec,
    )


def weights(logits_BxV: jax.Array) -> jax.Array:
    """Probabilities as int32 from 1 on that add up to about 2^24."""
    shares = 2**PRECISION_BITS - logits_BxV.shape[-1]
    p_BxV = jax.nn.softmax(logits_BxV.astype(jnp.float32))
    return 1 + jnp.floor(p_BxV * shares).astype(jnp.int32)


def encode(
    coder: CompiledCoder, examples: Example, show: Callable[[int], None] = lambda done: None
) -> tuple[bytes, float]:
    """The coded tokens of N examples, in the order in which the observer learns from them, and the
    sum of what the trainer charges for them, in nats.

    Args:
      coder: of this side.
      examples: numpy arrays, each with a leading axis N; tokens int32, coded bool.
      show: is told how many examples are done.

    Raises:
      ValueError: a loss that is not finite.
    """
    encoder, family = package().stream.queue.RangeEncoder(), _family()

    def write(weights_NxV: np.ndarray, known_N: np.ndarray) -> np.ndarray:
        encoder.encode(known_N, family, weights_NxV)
        return known_N

    nats = math.fsum(nats for _, nats in _walk(coder, examples, write, show))
    return encoder.get_compressed().astype("<u4").tobytes(), nats


def decode(
    coder: CompiledCoder,
    sent: bytes,
    shared: Example,
    show: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """The tokens of N examples.

    Args:
      coder: of this side.
      sent: the payload.
      shared: the examples; only their tokens that are not coded are read.
      show: is told how many examples are done.

    Raises:
      ValueError: the payload cannot be decoded, or a loss that is not finite.
    """
    words = np.frombuffer(sent, "<u4").astype(np.uint32)
    decoder, family = package().stream.queue.RangeDecoder(words), _family()

    def read(weights_NxV: np.ndarray, _: np.ndarray) -> np.ndarray:
        try:
            return decoder.decode(family, weights_NxV)
        except AssertionError as error:  # the package's word for it
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
    last batch is filled up with examples that have nothing coded.
    """
    state, count = coder.init(), len(examples.tokens_T)
    for first in range(0, count, coder.batch):
        batch = _batch(examples, first, coder.batch)
        tokens_BxT, coded_BxT = batch.tokens_T, batch.coded_T
        last = int(np.flatnonzero(coded_BxT.any(0)).max(initial=-1)) + 1
        cache, charged = coder.start(state.learner.params, batch), []
        for t in range(coder.spec.given, last):
            previous_B = tokens_BxT[:, max(t - 1, 0)]
            cache, weights_BxV = coder.position(state.learner.params, cache, previous_B, batch.side)
            rows = np.flatnonzero(coded_BxT[:, t])
            if rows.size:
                weights_NxV = np.asarray(weights_BxV, np.float64)[rows]
                if weights_NxV.min() < 1:
                    raise refusal(
                        "logits", "not finite", "finite logits; a smaller optim.lr usually helps"
                    )
                tokens_BxT[rows, t] = code(weights_NxV, tokens_BxT[rows, t])
            if coder.each_token and rows.size:
                alone_BxT = (np.arange(coder.spec.length) == t)[None]
                state, charge = coder.learn(state, batch._replace(coded_T=alone_BxT))
                charged.append(charge)
        if not coder.each_token:
            state, charge = coder.learn(state, batch)
            charged.append(charge)
        if not all(finite for _, finite in charged):
            accepted = "a finite loss; a smaller optim.lr or optim.clip_norm is what usually helps"
            raise refusal("loss", f"not finite after example {first}", accepted)
        show(min(first + coder.batch, count))
        yield tokens_BxT[: count - first], math.fsum(float(nats) for nats, _ in charged)


def _batch(examples: Example, first: int, size: int) -> Example:
    """The next `size` of the examples; zeros after the last one."""

    def rows(leaf_N: np.ndarray) -> np.ndarray:
        found = leaf_N[first : first + size]
        return np.concatenate(
            [found, np.zeros((size - len(found), *found.shape[1:]), leaf_N.dtype)]
        )

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
    """Distributions that are given by their weights, a row for each token."""
    return package().stream.model.Categorical(perfect=False)
