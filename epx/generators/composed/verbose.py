"""The same content in more words: after every token of a generator come tokens of filler.

The filler has no information, but takes part of the tokens that a learner sees, and moves what
belongs together apart.

>>> import epx
>>> generator = epx.generator("verbose", of="eca rule=204 width=2 steps=1", filler=2)
>>> generator.spec
Spec(vocab=3, length=12, size=None, version=1, held_out=0, given=6, side=0)
>>> generator.example(jax.random.key(1), 0).tokens_T.reshape(4, 3)[:, 1:].tolist()
[[2, 2], [2, 2], [2, 2], [2, 2]]
"""

import dataclasses
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from epx.generators import _laws
from epx.generators._bounds import MAX_LENGTH
from epx.generators.composed import _parts
from epx.types import Example, Generator, MakeParts, Spec, require, require_whole

VERSION = 1
TINY = dict(of="iid law=markov vocab=3 length=4")

_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Verbose:
    """The generator made by `make`. Members of an ensemble may vary what its source may.

    Attributes:
      source: the generator of the content.
      filler: tokens after each of its tokens.
    """

    source: Generator
    filler: int = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """That of the source with 1 + filler times the tokens, and one more in the vocabulary."""
        own, times = self.source.spec, 1 + self.filler
        return dataclasses.replace(
            own,
            vocab=own.vocab + 1,
            length=times * own.length,
            given=times * own.given,
            version=VERSION,
        )

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The example of the source; filler after a coded token is coded."""
        content = self.source.example(key, index)
        tokens_T = self._spread(content.tokens_T, self.source.spec.vocab)
        return Example(tokens_T, jnp.repeat(content.coded_T, 1 + self.filler))

    def oracle_nats(self, example: Example) -> jax.Array | None:
        """Those of the source; filler costs 0. None where the source has none."""
        content = Example(self._content(example.tokens_T), self._content(example.coded_T))
        nats_T = self.source.oracle_nats(content)
        return None if nats_T is None else self._spread(nats_T, 0.0)

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array | None:
        """Log probabilities TxV: those of the source, and certain filler."""
        own = self.source.spec
        law = getattr(self.source, "oracle_logits", lambda tokens_T: None)
        # Where a token of content is filler, it is impossible, and what follows may have any law.
        law_NxV = law(jnp.minimum(self._content(tokens_T), own.vocab - 1))
        if law_NxV is None:
            return None
        fillers_T = jnp.full(own.length * (1 + self.filler), own.vocab)
        law_TxV = _laws.certain(fillers_T, own.vocab + 1)
        wide_NxV = jnp.pad(law_NxV, ((0, 0), (0, 1)), constant_values=-jnp.inf)
        return law_TxV.at[:: 1 + self.filler].set(wide_NxV)

    def _spread(self, values_N: jax.Array, filler: float) -> jax.Array:
        """The values of the source's tokens, each with those of its filler."""
        after = ((0, 0), (0, self.filler))
        return jnp.pad(values_N[:, None], after, constant_values=filler).reshape(-1)

    def _content(self, values_T: jax.Array) -> jax.Array:
        """The values of the source's tokens alone."""
        return values_T[:: 1 + self.filler]


def make(
    key: jax.Array,
    make_parts: MakeParts,
    of: str = "iid law=markov length=8",
    filler: int = 1,
) -> Verbose:
    """A generator in more words.

    Args:
      key: given to the generator.
      make_parts: makes the generator of a text.
      of: the generator, without side information, as a text: name and arguments.
      filler: tokens of filler after each of its tokens.

    Raises:
      ValueError: a generator or a number that is not accepted.
    """
    source = _parts.single(make_parts, key, "generator.of", of)
    own = source.spec
    require("generator.of", of, own.side == 0, "a generator without side information")
    most = MAX_LENGTH // own.length - 1
    require_whole("generator.filler", filler, 1, most, "a batch of examples is in memory")
    return Verbose(source, filler)
