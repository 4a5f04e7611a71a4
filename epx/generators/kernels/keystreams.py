"""Streams of words from a seed, for all ciphers and weak generators of `ciphers`.

Seeds and counters enter as follows:

    algorithm       words    key_bits  rounds  what the seed is; which words
    chacha          32 bits  256       20      the key; blocks 0, 1, ... of nonce 0
    aes128          8 bits   128       (10)    the key; blocks 0, 1, ...
    threefry2x32    32 bits  64        20      the key; counters (0, 0), (0, 1), ...
    speck32_64      16 bits  64        22      the key; blocks (0, 0), (0, 1), ...
    lcg             32 bits  32                state 0; states 1, 2, ...
    randu           31 bits  30                state 0 is 2 seed + 1; states 1, 2, ...
    xorshift32      32 bits  31                state 0 is seed + 1; states 1, 2, ...
    mt19937         32 bits  32                for `init_genrand`; outputs 0, 1, ...
    blum_blum_shub  1 bit    30                state 0 is seed + 2; low bits of states 1, 2, ...

With fewer `key_bits` the seed is a smaller number. The bytes of a key are those of the seed, lowest
first. A block is one number, written as in the published vectors: its first word is the highest.
The block of ChaCha is its counter and its nonce.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from epx.generators.kernels import ciphers
from epx.generators.kernels.ciphers import (
    aes128_encrypt,
    chacha_block,
    speck32_64_encrypt,
    threefry2x32,
)
from epx.generators.kernels.words import as_words
from epx.types import require_whole

MAX_WORDS = 2**28  # 1 GiB


class Weak(NamedTuple):
    """A weak random number generator with a seed of one word.

    Attributes:
      generate: (seed, count) -> the first words, uint32.
      word_bits: bits of an output word.
      key_bits: bits of a full seed.
      rounds: 0; there is no choice.
    """

    generate: Callable[[jax.Array, int], jax.Array]
    word_bits: int
    key_bits: int
    rounds: int = 0

    def words(self, seed: jax.Array, rounds: int, count: int) -> jax.Array:
        """The first `count` words of the stream of a seed (uint32, one word)."""
        seed = as_words("seed", seed, jnp.uint32, (1,))
        require_whole("rounds", rounds, 0, 0)
        require_whole("count", count, 1, MAX_WORDS, "more than 1 GiB of words")
        return self.generate(seed[0], count)


class Block(NamedTuple):
    """A block cipher. All words are held in uint32.

    Attributes:
      encrypt: (seed, block, rounds) -> output; the seed in words of 32 bits, lowest first.
      word_bits: bits of a word of the block and of the output.
      key_bits: bits of a full key.
      rounds: the official number, or 0 where there is no choice.
      block_words: words of the block.
      output_words: words of the output.
      counter_word: the word of the block that counts; it carries into the words before it.
      difference: the default difference between the plaintexts of a real pair.
    """

    encrypt: Callable[[jax.Array, jax.Array, int], jax.Array]
    word_bits: int
    key_bits: int
    rounds: int
    block_words: int
    output_words: int
    counter_word: int
    difference: int

    def words(self, seed: jax.Array, rounds: int, count: int) -> jax.Array:
        """The first `count` words of the stream of a seed, in counter mode.

        Args:
          seed: uint32 words of the full key, lowest first.
          rounds: of the cipher.
          count: a Python integer.
        """
        seed = as_words("seed", seed, jnp.uint32, (self.key_bits // 32,))
        require_whole("count", count, 1, MAX_WORDS, "more than 1 GiB of words")
        counter_B = jnp.arange(-(-count // self.output_words), dtype=jnp.uint32)
        block_BxN = jnp.zeros((len(counter_B), self.block_words), jnp.uint32)
        for place, word_B in enumerate(_split(counter_B, self.word_bits).T):
            block_BxN = block_BxN.at[:, self.counter_word - place].set(word_B)
        outputs = jax.vmap(lambda block_N: self.encrypt(seed, block_N, rounds))(block_BxN)
        return outputs.reshape(-1)[:count]


def _split(words: jax.Array, bits: int) -> jax.Array:
    """Each uint32 word as a row of words of `bits` bits, lowest first."""
    return (words[:, None] >> jnp.arange(0, 32, bits, dtype=jnp.uint32)) & jnp.uint32(2**bits - 1)


def _chacha(seed: jax.Array, block_4: jax.Array, rounds: int) -> jax.Array:
    return chacha_block(seed, block_4[0], block_4[1:], rounds)


def _aes128(seed: jax.Array, block_16: jax.Array, rounds: int) -> jax.Array:
    key_16 = _split(as_words("seed", seed, jnp.uint32, (4,)), 8).reshape(16)
    return aes128_encrypt(key_16, block_16).astype(jnp.uint32)


def _speck32_64(seed: jax.Array, block_2: jax.Array, rounds: int) -> jax.Array:
    key_4 = _split(as_words("seed", seed, jnp.uint32, (2,)), 16).reshape(4)[::-1]
    return speck32_64_encrypt(key_4, block_2, rounds).astype(jnp.uint32)


def _from_state(step: Callable, first: Callable, word_bits: int, key_bits: int) -> Weak:
    """The states that follow `first(seed)`."""

    def generate(seed, count):
        def follow(state, _):
            state = step(state)
            return state, state

        return jax.lax.scan(follow, first(seed), length=count)[1]

    return Weak(generate, word_bits, key_bits)


ALGORITHMS: dict[str, Weak | Block] = {
    "chacha": Block(_chacha, 32, 256, 20, 4, 16, counter_word=0, difference=0x8000),
    "aes128": Block(_aes128, 8, 128, 0, 16, 16, counter_word=15, difference=1),
    "threefry2x32": Block(threefry2x32, 32, 64, 20, 2, 2, counter_word=1, difference=1),
    "speck32_64": Block(_speck32_64, 16, 64, 22, 2, 2, counter_word=1, difference=0x00400000),
    "lcg": _from_state(ciphers.lcg, lambda seed: seed, 32, 32),
    "randu": _from_state(ciphers.randu, lambda seed: 2 * seed + 1, 31, 30),
    "xorshift32": _from_state(ciphers.xorshift32, lambda seed: seed + 1, 32, 31),
    "mt19937": Weak(ciphers.mt19937, 32, 32),
    "blum_blum_shub": _from_state(ciphers.blum_blum_shub, lambda seed: seed + 2, 1, 30),
}
