"""Pseudo-random streams: the output of a cipher or weak generator for a secret seed.

The seed has `key_bits` bits, so Shannon's entropy is tiny. To a bounded observer the stream ranges
from a short period (the low bits of an LCG) to noise (ChaCha). From each output word `shown_bits`
bits are shown, from `low_bit` on. All shown bits, lowest first, are cut into tokens of
`bits_per_token` bits, the first bit the lowest. Mode `pairs` is Gohr's real-or-random task (CRYPTO
2019): two ciphertexts under one key and a label; only the label is coded. `kernels.keystreams`
lists the algorithms with their seeds and words.

>>> generator = make(jax.random.key(0), algorithm="lcg", shown_bits=1, length=8)
>>> generator.spec
Spec(vocab=2, length=8, size=None, version=1, held_out=0, given=0, side=0)
>>> bits = generator.example(jax.random.key(1), 0).tokens_T  # bit 0 of odd constants alternates
>>> (bits[1:] + bits[:-1]).tolist()
[1, 1, 1, 1, 1, 1, 1]
"""

import functools
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from epx.generators._bounds import MAX_LENGTH
from epx.generators.kernels.ciphers import MAX_ROUNDS
from epx.generators.kernels.keystreams import ALGORITHMS, Block
from epx.learning import nll
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(algorithm="lcg", low_bit=3, shown_bits=2, bits_per_token=2, length=6)

_STATIC = {"static": True}
_MAX_ORACLE_BITS = 18  # of a seed; the oracle tries all seeds
_CHUNK = 2**12  # most seeds that the oracle tries at once


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Cipher:
    """The generator made by `make`. Members of an ensemble may vary `low_bit` and `difference`.

    `low_bit` is uint32. `difference` holds the words of a block, uint32, with mode=pairs, else
    None.
    """

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
        """Nats per token, float32 of shape T, by counting the seeds that agree with the tokens.

        A token costs ln(before / after), with the numbers of seeds that agree with the tokens
        before it and up to it. Infinite at the first token that agrees with no seed, nan after it.
        None for pairs, and where the tokens depend on more than 18 bits of the seed. `low_bit` may
        be traced if the whole seed has 18 bits or fewer.
        """
        logits_TxV = self.oracle_logits(example.tokens_T)
        return None if logits_TxV is None else nll.nats(logits_TxV, example.tokens_T)

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array | None:
        """Log probabilities TxV by trying all seeds; None where `oracle_nats` is."""
        bits = self._seed_bits()
        if self.mode == "pairs" or bits > _MAX_ORACLE_BITS:
            return None
        counts_TxV = self._counts(tokens_T, seeds=2**bits).astype(jnp.float32)
        # Where no seed is left, 0 / 0.
        return jnp.log(counts_TxV / counts_TxV.sum(-1, keepdims=True))

    def _seed_bits(self) -> int:
        """The number of low bits of the seed on which the tokens depend."""
        if isinstance(self.low_bit, jax.core.Tracer):
            return self.key_bits
        # Modulo a power of two no bit depends on a higher one; RANDU's lowest bit is constant.
        highest = int(self.low_bit) + self.shown_bits
        relevant = {"lcg": highest, "randu": highest - 1}.get(self.algorithm, self.key_bits)
        return min(relevant, self.key_bits)

    @functools.partial(jax.jit, static_argnames="seeds")
    def _counts(self, tokens_T: jax.Array, seeds: int) -> jax.Array:
        """How many of the first `seeds` seeds agree with the tokens before each, int32 TxV.

        They are counted by their own token at that place.
        """
        chunk_size, place_T = min(seeds, _CHUNK), jnp.arange(self.length)

        def add_chunk(chunk, counts_TxV):
            seed_S = jnp.uint32(chunk) * jnp.uint32(chunk_size) + jnp.arange(
                chunk_size, dtype=jnp.uint32
            )
            guess_SxT = jax.vmap(lambda seed: self._stream(self._padded(seed[None])))(seed_S)
            agrees_SxT = jnp.cumprod(guess_SxT == tokens_T, axis=1, dtype=jnp.int32)
            before_SxT = jnp.pad(agrees_SxT[:, :-1], ((0, 0), (1, 0)), constant_values=1)
            return counts_TxV.at[place_T, guess_SxT].add(before_SxT)

        counts_TxV = jnp.zeros((self.length, self.spec.vocab), jnp.int32)
        return jax.lax.fori_loop(0, seeds // chunk_size, add_chunk, counts_TxV)

    def _seed(self, key: jax.Array) -> jax.Array:
        """A uniform number of `key_bits` bits, as words padded to a full seed, lowest first."""
        words = jax.random.bits(key, (-(-self.key_bits // 32),), jnp.uint32)
        spare = 32 * len(words) - self.key_bits
        return self._padded(words.at[-1].set(words[-1] & jnp.uint32(0xFFFFFFFF >> spare)))

    def _padded(self, words: jax.Array) -> jax.Array:
        """The uint32 words of a seed, padded with zeros to a full key."""
        return jnp.pad(words, (0, -(-ALGORITHMS[self.algorithm].key_bits // 32) - len(words)))

    def _stream(self, seed: jax.Array) -> jax.Array:
        count = -(-self.length * self.bits_per_token // self.shown_bits)
        words = ALGORITHMS[self.algorithm].words(seed, self.rounds, count)
        return self._tokens(words, self.length)

    def _pair(self, key: jax.Array) -> Example:
        cipher = ALGORITHMS[self.algorithm]
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
        """The first `count` tokens, int32, of the shown bits of uint32 words."""
        places = self.low_bit + jnp.arange(self.shown_bits, dtype=jnp.uint32)
        bits = ((words[:, None] >> places) & 1).reshape(-1)[: count * self.bits_per_token]
        weights = 1 << jnp.arange(self.bits_per_token, dtype=jnp.int32)
        return (bits.reshape(count, -1).astype(jnp.int32) * weights).sum(1, dtype=jnp.int32)


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
    """A pseudo-random stream, or pairs of blocks.

    Args:
      key: not used; an example's seed is drawn with the example's key.
      algorithm: `chacha`, `aes128`, `threefry2x32`, `speck32_64`, or one of the weak `lcg` (of
        Numerical Recipes), `randu`, `xorshift32`, `mt19937`, `blum_blum_shub`.
      rounds: of chacha, threefry2x32 or speck32_64, 1 to 1024; 0: the official number. Others
        accept only 0.
      key_bits: entropy of the seed in bits, up to that of the algorithm; 0: that of the algorithm.
        The law of a stream is known up to 18 bits, by trying every seed.
      low_bit: lowest shown bit of a word.
      shown_bits: bits shown of each word; 0: all from `low_bit` on.
      bits_per_token: 1 to 8; the vocabulary is 2^bits_per_token.
      length: tokens in one example, 1 to 2^20. Odd for pairs: equally many tokens of both
        ciphertexts and a label; all bits of speck32_64 need 65.
      mode: `stream`, or `pairs` of chacha, aes128, threefry2x32 or speck32_64.
      difference: XOR of the plaintexts of a real pair, a block as one number; 0: 0x00400000 for
        speck32_64 (Gohr's), 0x8000 for chacha (its last input word), otherwise 1. Must be 0 with
        mode=stream.

    Raises:
      ValueError: an argument outside these bounds.
    """
    accepted = ", ".join(ALGORITHMS)
    require("generator.algorithm", algorithm, algorithm in ALGORITHMS, accepted)
    cipher, condition = ALGORITHMS[algorithm], f"with algorithm={algorithm}"
    if cipher.rounds:
        official = f"0 is the official number, {cipher.rounds}"
        require_whole("generator.rounds", rounds, 0, MAX_ROUNDS, official)
    else:
        require("generator.rounds", rounds, rounds == 0, f"0 {condition}")
    require_whole("generator.key_bits", key_bits, 0, cipher.key_bits, condition)
    require_whole("generator.low_bit", low_bit, 0, cipher.word_bits - 1, condition)
    most = cipher.word_bits - low_bit
    require_whole("generator.shown_bits", shown_bits, 0, most, f"{condition} and low_bit={low_bit}")
    require_whole("generator.bits_per_token", bits_per_token, 1, 8, "the vocabulary is 2^bits")
    memory = "a batch of examples is held in memory"
    require_whole("generator.length", length, 1, MAX_LENGTH, memory)
    require("generator.mode", mode, mode in ("stream", "pairs"), "stream, pairs")
    shown_bits = shown_bits or most
    if mode == "pairs":
        require("generator.mode", mode, isinstance(cipher, Block), f"stream {condition}")
        most = cipher.output_words * shown_bits
        accepted = f"1 to {most}, the bits shown of a block"
        require("generator.bits_per_token", bits_per_token, bits_per_token <= most, accepted)
        most = 1 + 2 * (most // bits_per_token)
        legal = length % 2 == 1 and 3 <= length <= most
        require("generator.length", length, legal, f"odd numbers, 3 to {most}, with mode=pairs")
        words = _block_words(cipher, difference)
    else:
        require("generator.difference", difference, difference == 0, "0 with mode=stream")
        words = None
    return Cipher(
        jnp.uint32(low_bit),
        words,
        algorithm,
        rounds or cipher.rounds,
        key_bits or cipher.key_bits,
        shown_bits,
        bits_per_token,
        length,
        mode,
    )


def _block_words(cipher: Block, difference: int) -> jax.Array:
    """The words of a block given as one number; 0 is the cipher's default difference."""
    bits, count = cipher.word_bits, cipher.block_words
    most = 2 ** (bits * count) - 1
    require_whole("generator.difference", difference, 0, most, f"a block has {bits * count} bits")
    number = difference or cipher.difference
    words = [number >> bits * place & 2**bits - 1 for place in reversed(range(count))]
    return jnp.array(words, jnp.uint32)
