"""What a verifier keeps of a generator: examples that another law does not exclude, or few others.

An example is drawn again until it is kept, at most so many times; the last one is taken where none
was kept. The verifier keeps an example that its law allows, all tokens of it, with probability
`keeps`, and one that it excludes with probability `errs`. Of data with a share p of right ones it
leaves p keeps / (p keeps + (1 - p) errs). Its rate, the share of the draws that is kept, is among
the baselines of a record.
"""

import dataclasses
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from epx.generators.composed import _parts
from epx.learning import nll
from epx.types import Example, Generator, MakeParts, Spec, require, require_whole

VERSION = 1
TINY = dict(of="iid law=uniform vocab=2 length=8", law="eca rule=204 width=4 steps=1", tries=8)

_STATIC = {"static": True}
_VERDICT = 0x66696C74  # of an example: a stream of its own beside that of the generator


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Filtered:
    """The generator made by `make`. Members of an ensemble may vary the probabilities.

    Attributes:
      source: draws the examples.
      law: says which are right.
      keeps, errs: probabilities that a right and that a wrong example is kept.
      tries: draws of an example.
    """

    source: Generator
    law: Generator
    keeps: jax.Array
    errs: jax.Array
    tries: int = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """That of the source."""
        return dataclasses.replace(self.source.spec, version=VERSION)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The first example that is kept; of a draw after the first, the key is another one."""
        return self._until_kept(key, index)[1]

    def tries_of(self, key: jax.Array, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The number of draws that the example took, int32, and whether the last one was kept."""
        number, example = self._until_kept(key, index)
        return number + 1, self._is_kept(key, number, example)

    def _until_kept(self, key: jax.Array, index: jax.Array) -> tuple[jax.Array, Example]:
        """The number of the last draw, from 0, and what was drawn."""

        def draw(number: jax.Array) -> Example:
            again = jax.random.fold_in(key, number)
            return self.source.example(jax.lax.select(number == 0, key, again), index)

        def goes_on(state: tuple[jax.Array, Example]) -> jax.Array:
            number, example = state
            return (number < self.tries - 1) & ~self._is_kept(key, number, example)

        def next_draw(state: tuple[jax.Array, Example]) -> tuple[jax.Array, Example]:
            return state[0] + 1, draw(state[0] + 1)

        first = jnp.int32(0)
        return jax.lax.while_loop(goes_on, next_draw, (first, draw(first)))

    def _is_kept(self, key: jax.Array, number: jax.Array, example: Example) -> jax.Array:
        drawn = jax.random.uniform(jax.random.fold_in(jax.random.fold_in(key, _VERDICT), number))
        return drawn < jnp.where(self.is_right(example), self.keeps, self.errs)

    def is_right(self, example: Example) -> jax.Array:
        """Whether the law allows all coded tokens of an example."""
        logits_TxV = self.law.oracle_logits(example.tokens_T, example.side)
        return (nll.possible(logits_TxV, example.tokens_T) | ~example.coded_T).all()

    def oracle_nats(self, example: Example) -> None:
        """None: the law of what is kept has no tractable form."""


def make(
    key: jax.Array,
    make_parts: MakeParts,
    of: str = "iid law=uniform length=8",
    law: str = "eca rule=204 width=4 steps=1",
    keeps: float = 1.0,
    errs: float = 0.0,
    tries: int = 32,
) -> Filtered:
    """A generator and its verifier.

    Args:
      key: given to both, so that the law of a drawn generator is its own.
      make_parts: makes the generators of a text.
      of: the generator, as a text: name and arguments.
      law: another one, whose law is known token by token, of examples of the same shape.
      keeps: probability that a right example is kept, 0 to 1.
      errs: probability that a wrong one is, 0 to 1.
      tries: draws of an example, 1 to 1024; the last is kept in any case.

    Raises:
      ValueError: a generator or a number that is not accepted.
    """
    source = _parts.single(make_parts, key, "generator.of", of)
    verifier = _parts.single(make_parts, key, "generator.law", law)
    for name, probability in (("generator.keeps", keeps), ("generator.errs", errs)):
        require(name, probability, 0 <= probability <= 1, "a probability, 0 to 1")
    require_whole("generator.tries", tries, 1, 1024, "each may be drawn")
    own, other = source.spec, verifier.spec
    shapes = [(spec.length, spec.vocab, spec.side, spec.masked) for spec in (own, other)]
    same = shapes[0] == shapes[1]
    accepted = (
        f"a generator of {own.length} tokens below {own.vocab} with vectors of {own.side}, as "
        f"those of generator.of; this has {other.length} below {other.vocab} with {other.side}"
    )
    require("generator.law", law, same, accepted)
    tokens_T = jax.ShapeDtypeStruct((own.length,), jnp.int32)
    side = jax.ShapeDtypeStruct((own.length, own.side), jnp.float32) if own.side else None
    is_lawful = hasattr(verifier, "oracle_logits") and (
        jax.eval_shape(verifier.oracle_logits, tokens_T, side) is not None
    )
    require("generator.law", law, is_lawful, "a generator whose law is known token by token")
    return Filtered(source, verifier, jnp.float32(keeps), jnp.float32(errs), tries)
