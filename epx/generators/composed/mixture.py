"""Examples of several generators, each example of one that is drawn by weights.

The weights are an array, so that a policy may change them between two chunks. Rows hold the charge
of each part. Parts share an alphabet; shorter examples end with tokens that are not coded.

>>> import epx
>>> parts = "iid law=uniform vocab=2 length=6; eca rule=54 width=4 steps=1"
>>> generator = epx.generator("mixture", parts=parts, weights="1 3")
>>> generator.spec
Spec(vocab=2, length=8, size=None, version=1, held_out=0, given=0, side=0)
>>> generator.weights_P.tolist()
[0.25, 0.75]
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from epx.generators.composed import _parts
from epx.types import Example, Generator, MakeParts, Spec, refusal, require, require_whole

VERSION = 1
TINY = dict(parts="iid law=uniform vocab=2 length=6; eca rule=54 width=4 steps=1", weights="1 3")

_STATIC = {"static": True}
_CHOICE = 0x6D697874  # of a part: a stream of its own beside those of the parts
MOST_EXAMPLES = 2**31 - 1  # indices have 31 bits
HELD_OUT = 2**20  # of endless parts
_GOLDEN = 0x9E3779B9  # 2^32 over the golden ratio: its multiples fill the circle evenly


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Mixture:
    """The generator made by `make`. Members of an ensemble may vary the weights.

    Attributes:
      parts: the generators.
      weights_P: probability of each part in training.
      held_out_P: and in the held-out examples of a finite mixture.
      size: training examples; None where the mixture is endless.
      block, drawn: of training examples in blocks, as in `make`, and the parts that have one.
      even: as in `make`.
    """

    parts: tuple[Generator, ...]
    weights_P: jax.Array
    held_out_P: jax.Array
    size: int | None = field(metadata=_STATIC)
    block: int = field(metadata=_STATIC)
    drawn: tuple[int, ...] = field(metadata=_STATIC)
    even: bool = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """The largest vocabulary, length and vector of the parts."""
        specs = [part.spec for part in self.parts]
        least_held_out = _least([s.held_out or None for s in specs]) or HELD_OUT
        return Spec(
            vocab=max(spec.vocab for spec in specs),
            length=max(spec.length for spec in specs),
            size=self.size,
            version=VERSION,
            held_out=0 if self.size is None else least_held_out,
            given=min(spec.given for spec in specs),
            side=max(spec.side for spec in specs),
        )

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """An example of one part, the one that this part has for the same key and index."""
        weights_P = self.weights_P
        if self.size is not None:
            weights_P = jnp.where(index < self.size, weights_P, self.held_out_P)
        if self.even:
            choice = _in_turn(weights_P, index)
        else:
            choice = jax.random.categorical(jax.random.fold_in(key, _CHOICE), jnp.log(weights_P))
        if self.block:
            turn = jnp.array(self.drawn)[index // self.block % len(self.drawn)]
            is_trained = True if self.size is None else index < self.size
            choice = jnp.where(is_trained, turn, choice)
        choice = choice.astype(jnp.int32)
        branches = [functools.partial(self._of, part) for part in self.parts]
        example = jax.lax.switch(choice, branches, key, jnp.asarray(index, jnp.uint32))
        return example._replace(part_P=jnp.arange(len(self.parts)) == choice)

    def _of(self, part: Generator, key: jax.Array, index: jax.Array) -> Example:
        """The example of a part, as long as the longest."""
        whole, own = self.spec, part.spec
        if own.size is not None:
            later = own.size + (index - self.size) % own.held_out
            index = jnp.where(index < self.size, index % own.size, later)
        example = part.example(key, index)
        end = (0, whole.length - own.length)
        side_TxR = example.side
        if whole.side:
            found = jnp.zeros((own.length, own.side), jnp.float32) if side_TxR is None else side_TxR
            side_TxR = jnp.pad(found, (end, (0, whole.side - own.side)))
        return Example(jnp.pad(example.tokens_T, end), jnp.pad(example.coded_T, end), side_TxR)

    def oracle_nats(self, example: Example) -> None:
        """None: a law that does not name the part has no tractable form."""


def make(
    key: jax.Array,
    make_parts: MakeParts,
    parts: str = "iid law=uniform; iid law=markov",
    weights: str = "",
    held_out: str = "",
    size: int = 0,
    block: int = 0,
    even: bool = False,
) -> Mixture:
    """A mixture.

    Args:
      key: given to every part. Two parts with the same text are equal; `draw=1` among the arguments
        of one gives it another key.
      make_parts: makes the generators of a text.
      parts: a name and arguments for each, with `;` between: "eca rule=54 width=16; iid vocab=2".
      weights: relative frequencies of the parts in training, numbers with spaces between; ""
        are equal ones.
      held_out: the same for the held-out examples of a finite mixture; "" are those of training.
      size: training examples of a mixture of endless parts; 0 makes it endless. Where a part is
        finite the mixture has the examples of the smallest.
      block: as many training examples in a row are of one part, in turn, of those with a weight;
        0 draws the part of each by the weights.
      even: the parts of examples in a row follow the weights as evenly as they can, so that batches
        differ little in what they are made of; false draws each independently.

    Raises:
      ValueError: a part or a number that is not accepted.
    """
    generators = _parts.several(make_parts, key, "generator.parts", parts)
    require_whole("generator.size", size, 0, MOST_EXAMPLES)
    masked = [generator.spec.masked for generator in generators]
    accepted = "parts of which none has a mask: other parts have none"
    require("generator.parts", parts, not any(masked), accepted)
    smallest = _least([generator.spec.size for generator in generators])
    accepted = "0 where a part is finite, which fixes the number of examples"
    require("generator.size", size, not (size and smallest), accepted)
    weights_P = _weights("generator.weights", weights, len(generators))
    own = _weights("generator.held_out", held_out, len(generators)) if held_out else weights_P
    finite = smallest or size or None
    accepted = "none where the mixture is endless: give generator.size"
    require("generator.held_out", held_out, finite is not None or not held_out, accepted)
    require_whole("generator.block", block, 0, MOST_EXAMPLES)
    require("generator.even", even, not (even and block), "false with generator.block")
    drawn = tuple(n for n, weight in enumerate(weights_P.tolist()) if weight > 0) if block else ()
    return Mixture(tuple(generators), weights_P, own, finite, block, drawn, even)


def _in_turn(weights_P: jax.Array, index: jax.Array) -> jax.Array:
    """The part of an example, by the place of its index on a circle that is shared by weights."""
    turn = jnp.asarray(index, jnp.uint32) * jnp.uint32(_GOLDEN)
    place = (turn >> 8).astype(jnp.float32) / 2**24  # below 1
    ends_P = jnp.cumsum(weights_P)
    return jnp.sum(place >= ends_P / ends_P[-1])


def _least(numbers: Sequence[int | None]) -> int | None:
    """The least of the numbers that are not None."""
    return min((number for number in numbers if number is not None), default=None)


def _weights(key: str, text: str, parts: int) -> jax.Array:
    """Probabilities from relative frequencies."""
    accepted = f"{parts} numbers of at least 0, not all 0, with spaces between: one for each part"
    try:
        numbers = [float(word) for word in text.split()] or [1.0] * parts
    except ValueError:
        raise refusal(key, text, accepted) from None
    legal = len(numbers) == parts and all(0 <= x < math.inf for x in numbers) and sum(numbers) > 0
    require(key, text, legal, accepted)
    return jnp.array([number / sum(numbers) for number in numbers], jnp.float32)
