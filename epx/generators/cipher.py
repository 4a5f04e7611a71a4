"""Pseudo-random streams: a secret seed of `key_bits` bits and what a cipher or a weak generator
makes of it. Little is unknown, so Shannon's entropy is tiny, yet a bounded observer meets anything
from a short period (the low bits of an LCG) to full noise (ChaCha). Of each word of output the bits
from `low_bit` on are shown, and all shown bits, lowest first, are cut into tokens of
`bits_per_token` bits, the first bit the lowest. Mode `pairs` is Gohr's real-or-random task (CRYPTO
2019): two ciphertexts under one key and a label, which alone is coded.

    algorithm       words    key_bits  rounds  what the seed is; the words
    chacha          32 bits  256       20      the key; blocks 0, 1, ... of nonce 0
    aes128          8 bits   128       (10)    the key; blocks 0, 1, ...
    threefry2x32    32 bits  64        20      the key; counters (0, 0), (0, 1), ...
    speck32_64      16 bits  64        22      the key; blocks (0, 0), (0, 1), ...
    lcg             32 bits  32                state 0; states 1, 2, ...
    randu           31 bits  30                state 0 is 2 seed + 1; states 1, 2, ...
    xorshift32      32 bits  31                state 0 is seed + 1; states 1, 2, ...
    mt19937         32 bits  32                for `init_genrand`; outputs 0, 1, ...
    blum_blum_shub  1 bit    30                state 0 is seed + 2; low bits of states 1, 2, ...

With fewer `key_bits` the seed is a smaller number. As a key it is written in little-endian bytes,
lowest first. A block is one number too, written as in the published vectors, its first word the
highest; the block of ChaCha is its counter and its nonce.

>>> world = make(jax.random.key(0), algorithm="lcg", shown_bits=1, length=8)
>>> world.spec
Spec(vocab=2, length=8, size=None, version=1, held_out=0)
>>> bits = world.example(jax.random.key(1), 0).tokens_T  # bit 0 of odd constants alternates
>>> (bits[1:] + bits[:-1]).tolist()
[1, 1, 1, 1, 1, 1, 1]
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp

from epx import ciphers
from epx.ciphers import aes128_encrypt, chacha_block, speck32_64_encrypt, threefry2x32
from epx.types import Example, Spec, require

VERSION = 1
TINY = dict(algorithm="lcg", low_bit=3, shown_bits=2, bits_per_token=2, length=6)

_STATIC = {"static": True}
_MOST_BITS = 18  # of a seed that the oracle enumerates
_CHUNK = 2**12  # seeds that it follows at once, at most


class _Weak(NamedTuple):
    """A generator with a seed of one word.

    Attributes:
      generate: (seed, count) -> the first words, all uint32.
      word_bits: of a word of output.
      key_bits: of a whole seed.
      rounds: 0, there is no choice.
    """

    generate: Callable[[jax.Array, int], jax.Array]
    word_bits: int
    key_bits: int
    rounds: int = 0

    def words(self, seed: jax.Array, rounds: int, count: int) -> jax.Array:
        """The first words of the stream."""
        return self.generate(seed[0], count)


class _Block(NamedTuple):
    """A block cipher. All words are held in uint32.

    Attributes:
      encrypt: (seed, block, rounds) -> output; the seed in words of 32 bits, lowest first.
      word_bits: of a word of the block and of the output.
      key_bits: of a whole key.
      rounds: the official number, or 0 where there is no choice.
      block_words: of the block.
      output_words: of the output.
      counter_word: the word of the block that counts; it carries into the ones before it.
      difference: that of the plaintexts of a real pair where none is asked for.
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
        """The first words of the stream: the counter mode."""
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
    key_16 = _split(seed, 8).reshape(16).astype(jnp.uint8)
    return aes128_encrypt(key_16, block_16.astype(jnp.uint8)).astype(jnp.uint32)


def _speck32_64(seed: jax.Array, block_2: jax.Array, rounds: int) -> jax.Array:
    key_4 = _split(seed, 16).reshape(4)[::-1].astype(jnp.uint16)
    return speck32_64_encrypt(key_4, block_2.astype(jnp.uint16), rounds).astype(jnp.uint32)


def _from_state(step: Callable, first: Callable, word_bits: int, key_bits: int) -> _Weak:
    """The states that follow `first(seed)`."""

    def generate(seed, count):
        def follow(state, _):
            state = step(state)
            return state, state

        return jax.lax.scan(follow, first(seed), length=count)[1]

    return _Weak(generate, word_bits, key_bits)


_ALGORITHMS: dict[str, _Weak | _Block] = {
    "chacha": _Block(_chacha, 32, 256, 20, 4, 16, counter_word=0, difference=0x8000),
    "aes128": _Block(_aes128, 8, 128, 0, 16, 16, counter_word=15, difference=1),
    "threefry2x32": _Block(threefry2x32, 32, 64, 20, 2, 2, counter_word=1, difference=1),
    "speck32_64": _Block(_speck32_64, 16, 64, 22, 2, 2, counter_word=1, difference=0x00400000),
    "lcg": _from_state(ciphers.lcg, lambda seed: seed, 32, 32),
    "randu": _from_state(ciphers.randu, lambda seed: 2 * seed + 1, 31, 30),
    "xorshift32": _from_state(ciphers.xorshift32, lambda seed: seed + 1, 32, 31),
    "mt19937": _Weak(ciphers.mt19937, 32, 32),
    "blum_blum_shub": _from_state(ciphers.blum_blum_shub, lambda seed: seed + 2, 1, 30),
}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cipher:
    """The world made by `make`. Members of an ensemble may vary `low_bit` (uint32) and, of pairs,
    `difference` (the words of a block, uint32; None in a stream)."""

    low_bit: jax.Array
    difference: jax.Array | None
    algorithm: str = field(metadata=_STATIC)
    rounds: int = field(metadata=_STATIC)
    key_bits: int = field(metadata=_STATIC)
    shown_bits: int = field(metadata=_STATIC)
    bits_per_token: int = field(metadata=_STATIC)
    length: int = field(metadata=_STATIC)
    mode: str = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; a token is a number of `bits_per_token` bits."""
        return Spec(2**self.bits_per_token, self.length, size=None, version=VERSION)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The stream or the pair of the seed drawn with `key`; `index` is not used."""
        if self.mode == "pairs":
            return self._pair(key)
        return Example(self._stream(self._seed(key)), jnp.ones(self.length, bool))

    def oracle_nats(self, example: Example) -> jax.Array | None:
        """Nats per token, float32 of shape T: the log of the factor by which the token thins the
        seeds that agree with the tokens so far. None for pairs, and where the tokens depend on
        more than 18 bits of the seed. Not for a traced `low_bit`: it says how many seeds count."""
        bits = self._seed_bits()
        if self.mode == "pairs" or bits > _MOST_BITS:
            return None
        counts_T = self._agreeing(example.tokens_T, seeds=2**bits)
        before_T = jnp.concatenate([jnp.array([2**bits]), counts_T[:-1]])
        return jnp.log(before_T / counts_T)

    def _seed_bits(self) -> int:
        """Bits of the seed that reach the tokens, lowest first."""
        # Modulo a power of two no bit of a state depends on a higher one; RANDU's lowest is fixed.
        seen = int(self.low_bit) + self.shown_bits
        reaching = {"lcg": seen, "randu": seen - 1}.get(self.algorithm, self.key_bits)
        return min(reaching, self.key_bits)

    @functools.partial(jax.jit, static_argnames="seeds")
    def _agreeing(self, tokens_T: jax.Array, seeds: int) -> jax.Array:
        """How many of the first `seeds` seeds agree with the tokens up to each one, int32."""
        chunk_size = min(seeds, _CHUNK)

        def add_chunk(chunk, counts_T):
            seed_S = jnp.uint32(chunk * chunk_size) + jnp.arange(chunk_size, dtype=jnp.uint32)
            guess_SxT = jax.vmap(lambda seed: self._stream(self._whole(seed[None])))(seed_S)
            agrees_SxT = jnp.cumprod(guess_SxT == tokens_T, axis=1, dtype=jnp.int32)
            return counts_T + agrees_SxT.sum(0)

        counts_T = jnp.zeros(self.length, jnp.int32)
        return jax.lax.fori_loop(0, seeds // chunk_size, add_chunk, counts_T)

    def _seed(self, key: jax.Array) -> jax.Array:
        """A uniform number of `key_bits` bits, as the words of a whole seed, lowest first."""
        words = jax.random.bits(key, (-(-self.key_bits // 32),), jnp.uint32)
        spare = 32 * len(words) - self.key_bits
        return self._whole(words.at[-1].set(words[-1] & jnp.uint32(0xFFFFFFFF >> spare)))

    def _whole(self, words: jax.Array) -> jax.Array:
        """The uint32 words of a seed, and zeros in the higher ones that it leaves out."""
        return jnp.pad(words, (0, -(-_ALGORITHMS[self.algorithm].key_bits // 32) - len(words)))

    def _stream(self, seed: jax.Array) -> jax.Array:
        count = -(-self.length * self.bits_per_token // self.shown_bits)
        words = _ALGORITHMS[self.algorithm].words(seed, self.rounds, count)
        return self._tokens(words, self.length)

    def _pair(self, key: jax.Array) -> Example:
        cipher = _ALGORITHMS[self.algorithm]
        seed_key, plain_key, label_key = jax.random.split(key, 3)
        seed = self._seed(seed_key)
        plain_2xN = jax.random.bits(plain_key, (2, cipher.block_words), jnp.uint32)
        first_N, random_N = plain_2xN & jnp.uint32(2**cipher.word_bits - 1)
        real = jax.random.bernoulli(label_key)
        second_N = jnp.where(real, first_N ^ self.difference, random_N)

        def encrypted(plain_N):
            words = cipher.encrypt(seed, plain_N, self.rounds)
            return self._tokens(words, (self.length - 1) // 2)

        both = jax.vmap(encrypted)(jnp.stack([first_N, second_N]))
        tokens_T = jnp.concatenate([both.reshape(-1), real[None].astype(jnp.int32)])
        return Example(tokens_T, jnp.arange(self.length) == self.length - 1)

    def _tokens(self, words: jax.Array, count: int) -> jax.Array:
        """The first `count` tokens, int32, that uint32 words show."""
        places = self.low_bit + jnp.arange(self.shown_bits, dtype=jnp.uint32)
        bits = ((words[:, None] >> places) & 1).reshape(-1)[: count * self.bits_per_token]
        weights = 1 << jnp.arange(self.bits_per_token, dtype=jnp.int32)
        return (bits.reshape(count, -1).astype(jnp.int32) * weights).sum(1)


def make(
    key: jax.Array,
    algorithm: str = "chacha",
    rounds: int = 0,
    key_bits: int = 0,
    low_bit: int = 0,
    shown_bits: int = 0,
    bits_per_token: int = 1,
    length: int = 64,
    mode: str = "stream",
    difference: int = 0,
) -> Cipher:
    """A pseudo-random stream, or pairs of blocks; the table of the algorithms is in the module.

    Args:
      key: not used; an example's seed comes from the example's own key.
      algorithm: `chacha`, `aes128`, `threefry2x32`, `speck32_64`, or one of the weak `lcg` (of
        Numerical Recipes), `randu`, `xorshift32`, `mt19937`, `blum_blum_shub`.
      rounds: of chacha, threefry2x32 or speck32_64, at least 1; 0: the official number, which is
        the only one elsewhere.
      key_bits: entropy of the seed in bits, up to the algorithm's own; 0: the algorithm's own.
        The law of a stream is known up to 18 bits, by trying every seed.
      low_bit: the lowest bit of a word that is shown.
      shown_bits: bits shown of each word; 0: all from `low_bit` on.
      bits_per_token: 1 to 8; the vocabulary is 2^bits_per_token.
      length: tokens in one example, at least 1. Of pairs, a label after equally many tokens of
        both ciphertexts, hence odd; whole blocks of speck32_64 in bits are 65.
      mode: `stream`, or `pairs`, for which the algorithm needs blocks.
      difference: XOR of the plaintexts of a real pair, a block as one number; 0: 0x00400000 for
        speck32_64 (Gohr's), 0x8000 for chacha (its last input word), otherwise 1. 0 in a stream.

    Raises:
      ValueError: an argument outside these bounds.
    """
    accepted = ", ".join(_ALGORITHMS)
    require("generator.algorithm", algorithm, algorithm in _ALGORITHMS, accepted)
    chosen, given = _ALGORITHMS[algorithm], f"with algorithm={algorithm}"
    if chosen.rounds:
        require("generator.rounds", rounds, rounds >= 0, f"1 or more, or 0 for {chosen.rounds}")
    else:
        require("generator.rounds", rounds, rounds == 0, f"0 {given}")
    most = chosen.key_bits
    require("generator.key_bits", key_bits, 0 <= key_bits <= most, f"0 to {most} {given}")
    most = chosen.word_bits - 1
    require("generator.low_bit", low_bit, 0 <= low_bit <= most, f"0 to {most} {given}")
    most = chosen.word_bits - low_bit
    accepted = f"0 to {most} {given} and low_bit={low_bit}"
    require("generator.shown_bits", shown_bits, 0 <= shown_bits <= most, accepted)
    require("generator.bits_per_token", bits_per_token, 1 <= bits_per_token <= 8, "1 to 8 bits")
    require("generator.mode", mode, mode in ("stream", "pairs"), "stream, pairs")
    shown_bits = shown_bits or most
    if mode == "pairs":
        require("generator.mode", mode, isinstance(chosen, _Block), f"stream {given}")
        most = 1 + 2 * (chosen.output_words * shown_bits // bits_per_token)
        legal = length % 2 == 1 and 3 <= length <= most
        require("generator.length", length, legal, f"odd numbers, 3 to {most}, with mode=pairs")
        words = _block_words(chosen, difference)
    else:
        require("generator.length", length, length >= 1, "1 token or more")
        require("generator.difference", difference, difference == 0, "0 with mode=stream")
        words = None
    return Cipher(
        jnp.uint32(low_bit),
        words,
        algorithm,
        rounds or chosen.rounds,
        key_bits or chosen.key_bits,
        shown_bits,
        bits_per_token,
        length,
        mode,
    )


def _block_words(chosen: _Block, difference: int) -> jax.Array:
    """The words of a block that is given as one number."""
    bits, count = chosen.word_bits, chosen.block_words
    accepted = f"0 to 2^{bits * count} - 1"
    require("generator.difference", difference, 0 <= difference < 2 ** (bits * count), accepted)
    number = difference or chosen.difference
    words = [number >> bits * place & 2**bits - 1 for place in reversed(range(count))]
    return jnp.array(words, jnp.uint32)
