"""A linear congruential generator: x <- multiplier * x + increment modulo 2^32 from a secret
seed, of which every state shows a few bits. Low bits have short periods (bit k repeats after
2^(k+1) states), high bits look random to a small observer, yet the seed is all there is to know:
one integer, `low_bit`, turns a trivial world into a pseudo-random one.

>>> world = make(jax.random.key(0), low_bit=0, length=8)
>>> world.spec
Spec(vocab=2, length=8, size=None, version=1, held_out=0)
>>> bits = world.example(jax.random.key(1), 0).tokens_T  # bit 0 of odd constants alternates
>>> (bits[1:] + bits[:-1]).tolist()
[1, 1, 1, 1, 1, 1, 1]
"""

import functools
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from epx.types import Example, Spec, require

VERSION = 1
TINY = dict(low_bit=3, bits=2, length=6)

_STATIC = {"static": True}
_MOST_BITS = 18  # of state that the oracle enumerates
_CHUNK = 2**12  # seeds that it follows at once, at most


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Lcg:
    """The world made by `make`. Members of an ensemble may vary the uint32 `multiplier`,
    `increment` and `low_bit`."""

    multiplier: jax.Array
    increment: jax.Array
    low_bit: jax.Array
    bits: int = field(metadata=_STATIC)
    length: int = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; a token is `bits` bits of one state."""
        return Spec(vocab=2**self.bits, length=self.length, size=None, version=VERSION)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The tokens that follow the seed drawn with `key`; `index` is not used."""

        def emit(state, _):
            return self._next(state)

        seed = jax.random.bits(key, (), jnp.uint32)
        _, tokens_T = jax.lax.scan(emit, seed, length=self.length)
        return Example(tokens_T, jnp.ones(self.length, bool))

    def oracle_nats(self, example: Example) -> jax.Array | None:
        """Nats per token, float32 of shape T: the log of the factor by which the token thins the
        seeds that agree with the tokens so far. None where the tokens depend on more than 18 bits
        of the state. Not for a traced `low_bit`, which says how many seeds there are."""
        # Higher bits of a seed never reach the tokens: the low ones stand for all seeds.
        state_bits = int(self.low_bit) + self.bits
        if state_bits > _MOST_BITS:
            return None
        counts_T = self._agreeing(example.tokens_T, seeds=2**state_bits)
        before_T = jnp.concatenate([jnp.array([2**state_bits]), counts_T[:-1]])
        return jnp.log(before_T / counts_T)

    @functools.partial(jax.jit, static_argnames="seeds")
    def _agreeing(self, tokens_T: jax.Array, seeds: int) -> jax.Array:
        """How many of the first `seeds` seeds agree with the tokens up to each one, int32."""
        chunk_size = min(seeds, _CHUNK)

        def follow(carry, token):
            state_S, agrees_S = carry
            state_S, guess_S = self._next(state_S)
            agrees_S &= guess_S == token
            return (state_S, agrees_S), agrees_S.sum(dtype=jnp.int32)

        def add_chunk(chunk, counts_T):
            seeds_S = jnp.uint32(chunk * chunk_size) + jnp.arange(chunk_size, dtype=jnp.uint32)
            start = seeds_S, jnp.ones(chunk_size, bool)
            return counts_T + jax.lax.scan(follow, start, tokens_T)[1]

        counts_T = jnp.zeros(self.length, jnp.int32)
        return jax.lax.fori_loop(0, seeds // chunk_size, add_chunk, counts_T)

    def _next(self, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The next uint32 state, of any shape, and its int32 token."""
        state = self.multiplier * state + self.increment  # uint32 wraps: modulo 2^32
        token = (state >> self.low_bit) & jnp.uint32(2**self.bits - 1)
        return state, token.astype(jnp.int32)


def make(
    key: jax.Array,
    multiplier: int = 1664525,
    increment: int = 1013904223,
    low_bit: int = 16,
    bits: int = 1,
    length: int = 64,
) -> Lcg:
    """A linear congruential generator modulo 2^32; the defaults are those of Numerical Recipes.

    Args:
      key: not used; an example's seed, 32 uniform bits, comes from the example's own key.
      multiplier: 0 to 2^32 - 1.
      increment: 0 to 2^32 - 1.
      low_bit: the lowest bit of the state that is shown, 0 to 32 - bits.
      bits: bits shown of each state, 1 to 8; the vocabulary is 2^bits.
      length: tokens in one example, at least 1.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require("generator.multiplier", multiplier, 0 <= multiplier < 2**32, "0 to 2^32 - 1")
    require("generator.increment", increment, 0 <= increment < 2**32, "0 to 2^32 - 1")
    require("generator.bits", bits, 1 <= bits <= 8, "1 to 8 bits")
    require(
        "generator.low_bit",
        low_bit,
        0 <= low_bit <= 32 - bits,
        f"0 to {32 - bits} with bits={bits}",
    )
    require("generator.length", length, length >= 1, "1 token or more")
    leaves = (jnp.asarray(value, jnp.uint32) for value in (multiplier, increment, low_bit))
    return Lcg(*leaves, bits, length)
