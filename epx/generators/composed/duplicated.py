"""A few examples of a generator, again and again: what a corpus with copies of its pages holds.

An example is one of `distinct` ones, each as likely; these are drawn once. An observer can learn
them by heart, and learns the law of the generator from these alone.

>>> import epx
>>> generator = epx.generator("duplicated", of="iid vocab=9 length=6", distinct=2)
>>> examples = [generator.example(key, 0) for key in jax.random.split(jax.random.key(1), 20)]
>>> len({tuple(example.tokens_T.tolist()) for example in examples})
2
"""

import dataclasses
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from epx.generators.composed import _parts
from epx.types import Example, Generator, MakeParts, Spec, require, require_whole

VERSION = 1
TINY = dict(of="iid law=uniform vocab=3 length=8", distinct=4)

_STATIC = {"static": True}
_CHOICE = 0x6475706C  # of an example: a stream of its own beside those of the generator


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Duplicated:
    """The generator made by `make`. Members of an ensemble may vary the examples.

    Attributes:
      source: the generator.
      draws_2: uint32, data of the key that draws the examples.
      distinct: their number.
    """

    source: Generator
    draws_2: jax.Array
    distinct: int = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """That of the source."""
        return dataclasses.replace(self.source.spec, version=VERSION)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """One of the examples, drawn with `key`; `index` is not used."""
        own = jax.random.fold_in(key, _CHOICE)
        number = jax.random.randint(own, (), 0, self.distinct, jnp.int32)
        own_key = jax.random.fold_in(jax.random.wrap_key_data(self.draws_2), number)
        return self.source.example(own_key, number.astype(jnp.uint32))

    def oracle_nats(self, example: Example) -> None:
        """None: the law is a list of examples."""


def make(
    key: jax.Array,
    make_parts: MakeParts,
    of: str = "iid law=uniform length=8",
    distinct: int = 64,
) -> Duplicated:
    """A generator with few different examples.

    Args:
      key: given to the generator; also draws the examples.
      make_parts: makes the generator of a text.
      of: the generator, an endless one, as a text: name and arguments.
      distinct: examples that are drawn; some may be equal by chance.

    Raises:
      ValueError: a generator or a number that is not accepted.
    """
    source = _parts.single(make_parts, key, "generator.of", of)
    accepted = "an endless generator, whose examples are drawn by their keys"
    require("generator.of", of, source.spec.size is None, accepted)
    require_whole("generator.distinct", distinct, 1, 2**31 - 1, "examples")
    draws_2 = jax.random.key_data(jax.random.fold_in(key, _CHOICE))
    return Duplicated(source, draws_2, distinct)
