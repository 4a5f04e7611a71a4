"""What a trained learner draws: the coded tokens of a generator's examples, sampled from a record.

The learner of a record reads the tokens that are not coded, and draws the others one after the
other, on the device. Its own law is known. A learner can so be the data of another, and of the next
one in turn. It draws an example from nothing, or goes on from its first tokens (`given`).
"""

import dataclasses
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp

from epx.generators.composed import _parts
from epx.learning import nll, sampling
from epx.types import (
    Example,
    Generator,
    LearnerOf,
    MakeParts,
    Observer,
    PyTree,
    Spec,
    require,
    require_whole,
)

VERSION = 1
TINY = dict(record="taught", like="iid law=markov vocab=3 length=6")

_STATIC = {"static": True}
_DRAW = 0x73616D70  # of the tokens: a stream of its own beside that of the generator


class _Prediction(NamedTuple):
    """The functions of an observer that are used here, which members of an ensemble share."""

    observer: Observer


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Sampled:
    """The generator made by `make`. Members of an ensemble may vary weights and temperature.

    Attributes:
      source: the generator whose tokens that are not coded are given.
      params: weights of the learner.
      temperature: its logits are divided by it.
      stream: uint32, which of the independent draws.
      given: int32, first tokens that are given although they are coded.
      goes_on: whether any coded tokens are given.
      prediction: the learner.
    """

    source: Generator
    params: PyTree
    temperature: jax.Array
    stream: jax.Array
    given: jax.Array
    goes_on: bool = field(metadata=_STATIC)
    prediction: _Prediction = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """That of the source."""
        return dataclasses.replace(self.source.spec, version=VERSION)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The source's example of this key and index, its coded tokens after `given` drawn anew."""
        example = self.source.example(key, index)
        side = None if example.side is None else example.side[None]
        own = jax.random.fold_in(jax.random.fold_in(key, _DRAW), self.stream)
        given_T = ~example.coded_T | (jnp.arange(self.spec.length) < self.given)
        tokens_1xT = sampling.complete(
            self._tempered(),
            self.params,
            own[None],
            example.tokens_T[None],
            given_T[None],
            side,
            self.source.spec.given,
        )
        # What the source knows of its own tokens is not true of these.
        return example._replace(tokens_T=tokens_1xT[0], part_P=None)

    def oracle_nats(self, example: Example) -> jax.Array | None:
        """The price of each token to the learner, and of a given one to the source, of shape T."""
        logits_TxV = self.oracle_logits(jnp.asarray(example.tokens_T), example.side)
        return None if logits_TxV is None else nll.nats(logits_TxV, jnp.asarray(example.tokens_T))

    def oracle_logits(
        self, tokens_T: jax.Array, side_TxR: jax.Array | None = None
    ) -> jax.Array | None:
        """Log probabilities TxV of the learner, and of the source where coded tokens are given.

        None where such a source has no known law.
        """
        side = None if side_TxR is None else jnp.asarray(side_TxR)[None]
        logits_1xTxV = self.prediction.observer.logits(self.params, tokens_T[None], side)
        own = jax.nn.log_softmax(logits_1xTxV[0].astype(jnp.float32) / self.temperature)
        if not self.goes_on:
            return own
        law_of = getattr(self.source, "oracle_logits", lambda tokens_T, side: None)
        law = law_of(tokens_T, side_TxR)
        given_Tx1 = jnp.arange(self.spec.length)[:, None] < self.given
        return None if law is None else jnp.where(given_Tx1, law, own)

    def _tempered(self) -> Observer:
        observer = self.prediction.observer

        def step(params, cache, tokens_B, side):
            cache, logits_BxV = observer.step(params, cache, tokens_B, side)
            return cache, logits_BxV / self.temperature

        return observer._replace(step=step)


def make(
    key: jax.Array,
    make_parts: MakeParts,
    learner_of: LearnerOf,
    record: str = "",
    like: str = "iid law=markov",
    temperature: float = 1.0,
    stream: int = 0,
    given: int = 0,
) -> Sampled:
    """The samples of a record's learner.

    Args:
      key: of the generator `like`.
      make_parts: makes the generators of a text.
      learner_of: reads the averaged weights of a record, those of the same seed.
      record: the record: a folder, with `:STEP` for a saved state, or `ensemble:NAME` in a sweep.
      like: the generator whose tokens that are not coded are given, as a text: name and arguments.
        The record was trained on examples of its shape.
      temperature: of the samples, above 0.
      stream: another number gives independent draws of the same examples. Learners that learn from
        each other need one each, or their errors add up in the same direction.
      given: first tokens that are those of `like` although they are coded: the learner continues
        the beginnings of real examples, as in arXiv 2305.17493. 0 to the length of an example.

    Raises:
      ValueError: there is no such record, it is of other examples, or it cannot sample.
    """
    source = _parts.single(make_parts, key, "generator.like", like)
    require("generator.temperature", temperature, 0 < temperature < 1e9, "a number above 0")
    require_whole("generator.stream", stream, 0, 2**32 - 1)
    require_whole("generator.given", given, 0, source.spec.length, "the tokens of an example")
    observer, params = learner_of("generator.record", record, source)
    can_draw = observer.start is not None and observer.step is not None
    require("generator.record", record, can_draw, "a record of an observer that can sample")
    numbers = jnp.float32(temperature), jnp.uint32(stream), jnp.int32(given)
    return Sampled(source, params, *numbers, given > 0, _Prediction(observer))
