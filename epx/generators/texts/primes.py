"""Products of primes, `p x q = n`, with p < q of the same length (arXiv 2401.17505).

The digits of n are written from last to first, the order in which multiplication computes them.
Forward the task is multiplication; the reversed string is n, first digit first, and then its
factors. Pairs are uniform, and n determines p and q: the law pays log2(pairs) bits per example in
both orders.

There are 210 pairs with two digits, 10,153 with three, 562,330 with four and 34,965,703 with five.
An observer can memorise a small number of pairs, although the stream is endless.

>>> generator = make(jax.random.key(0), digits=2)
>>> generator.spec
Spec(vocab=12, length=10, size=None, version=1, held_out=0, given=0, side=0)
>>> "".join(generator.symbols(generator.example(jax.random.key(1), 0).tokens_T))
'11x43=3740'
"""

import functools
import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators.texts import _decimal
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(digits=2)

_STATIC = {"static": True}
_SYMBOLS = "0123456789x="
_TIMES, _EQUALS = 10, 11
_ANY = (0, 10**10)  # a range that holds every number


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Primes:
    """The generator made by `make`: all N primes of `digits` digits, int32 and ascending."""

    primes_N: jax.Array
    digits: int = field(metadata=_STATIC)
    order: str = field(metadata=_STATIC)
    coded: str = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; n has twice as many digits as p and q, and may begin with 0."""
        length = 4 * self.digits + 2
        question = 2 * self.digits + (2 if self.order == "forward" else 1)
        given = question if self.coded == "labels" else 0
        return Spec(len(_SYMBOLS), length, size=None, version=VERSION, given=given)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The product of the pair drawn with `key`; `index` is not used."""
        count = self.primes_N.shape[0]
        first_key, second_key = jax.random.split(key)
        first = jax.random.randint(first_key, (), 0, count, jnp.int32)
        second = jax.random.randint(second_key, (), 0, count - 1, jnp.int32)
        second += second >= first  # uniform among the primes that are not the first one
        p = self.primes_N[jnp.minimum(first, second)]
        q = self.primes_N[jnp.maximum(first, second)]
        # n exceeds 32 bits: its last three digits are computed separately.
        low = p * (q % 1000)
        high = p * (q // 1000) + low // 1000
        n = [_decimal.digits(high, 2 * self.digits - 3), _decimal.digits(low % 1000, 3)]
        times, equals = jnp.array([_TIMES], jnp.int32), jnp.array([_EQUALS], jnp.int32)
        factors = [_decimal.digits(factor, self.digits) for factor in (p, q)]
        written = (factors[0], times, factors[1], equals, jnp.concatenate(n)[::-1])
        tokens_T = jnp.concatenate(written)
        if self.order == "reverse":
            tokens_T = tokens_T[::-1]
        labels_T = jnp.arange(self.spec.length) > jnp.argmax(tokens_T == _EQUALS)
        coded_T = labels_T if self.coded == "labels" else jnp.ones_like(labels_T)
        return Example(tokens_T, coded_T)

    def oracle_nats(self, example: Example) -> jax.Array:
        """Nats of the coded tokens, float32 of shape T, by counting pairs that agree with them.

        A token costs ln(before / after), with the numbers of pairs that agree with the tokens
        before it and up to it. Computed on the host; tokens must not be traced.
        """
        counts = self._agreeing(np.asarray(example.tokens_T).tolist())
        counts += [1] * (self.spec.length - len(counts))
        total = self.primes_N.shape[0] * (self.primes_N.shape[0] - 1) // 2
        nats_T = np.log(np.array([total, *counts[:-1]]) / np.array(counts))
        return jnp.where(example.coded_T, nats_T, 0.0).astype(jnp.float32)

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """Digits, `x` and `=`."""
        return [_SYMBOLS[token] for token in np.asarray(tokens_T)]

    def _agreeing(self, tokens: list[int]) -> list[int]:
        """The number of pairs that agree with the tokens up to each, until one pair is left."""
        count_pairs = functools.partial(_pairs, np.asarray(self.primes_N, np.int64))
        width = self.digits
        if self.order == "reverse":
            n = tokens[: 2 * width]
            return [count_pairs(n=_range(n[: k + 1], 2 * width)) for k in range(2 * width)]
        p, q = tokens[:width], tokens[width + 1 : 2 * width + 1]
        counts = [count_pairs(p=_range(p[: k + 1], width)) for k in range(width)]
        counts.append(counts[-1])  # after the x
        return counts + [
            count_pairs(p=_range(p, width), q=_range(q[: k + 1], width)) for k in range(width)
        ]


def make(key: jax.Array, digits: int = 3, order: str = "forward", coded: str = "all") -> Primes:
    """Products of two primes.

    Args:
      key: not used; nothing is drawn once for all examples.
      digits: decimal digits of each prime, 2 to 5.
      order: `forward`, the factors first, or `reverse`, the same string reversed.
      coded: `all` charges every token, `labels` only those after the equals sign.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require_whole("generator.digits", digits, 2, 5, "products are computed in 32 bits")
    require("generator.order", order, order in ("forward", "reverse"), "forward, reverse")
    require("generator.coded", coded, coded in ("labels", "all"), "labels, all")
    return Primes(jnp.asarray(_primes(digits), jnp.int32), digits, order, coded)


def _primes(digits: int) -> np.ndarray:
    """All primes of `digits` digits, ascending, by the sieve of Eratosthenes."""
    is_prime = np.ones(10**digits, bool)
    for number in range(2, math.isqrt(10**digits) + 1):
        is_prime[number * number :: number] = False
    return np.flatnonzero(is_prime[10 ** (digits - 1) :]) + 10 ** (digits - 1)


def _range(digits: list[int], width: int) -> tuple[int, int]:
    """The numbers of `width` digits that begin with these digits, as a half-open range."""
    number, scale = int("".join(map(str, digits))), 10 ** (width - len(digits))
    return number * scale, (number + 1) * scale


def _pairs(
    primes_N: np.ndarray,
    p: tuple[int, int] = _ANY,
    q: tuple[int, int] = _ANY,
    n: tuple[int, int] = _ANY,
) -> int:
    """The number of pairs p < q with p, q and n = p q in these half-open ranges.

    `primes_N` is int64.
    """
    lowest_N = np.maximum(q[0], -(-n[0] // primes_N))
    above_N = np.minimum(q[1], -(-n[1] // primes_N))
    start_N = np.maximum(np.searchsorted(primes_N, lowest_N), 1 + np.arange(len(primes_N)))
    counts_N = np.maximum(np.searchsorted(primes_N, above_N) - start_N, 0)
    return int(counts_N[(p[0] <= primes_N) & (primes_N < p[1])].sum())
