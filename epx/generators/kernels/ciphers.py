"""Ciphers and weak random number generators as pure functions of machine words.

All are traceable and unbatched (`jax.vmap` encrypts many blocks). Integers of any type are accepted
if they are in range, see `words.as_words`. Sources: RFC 8439 (ChaCha), FIPS 197 (AES), Salmon et
al. 2011 (Threefry), eprint 2013/404 (Speck), Matsumoto and Nishimura 1998 (MT19937), Marsaglia 2003
(xorshift), Blum, Blum and Shub 1986. JAX's 64-bit integers are off, so that a product of 64 bits is
a pair of words.

>>> words = chacha_block(jnp.zeros(8, jnp.uint32), 0, jnp.zeros(3, jnp.uint32))
>>> [format(int(word), "08x") for word in words[:4]]
['ade0b876', '903df1a0', 'e56a5d40', '28bd8653']
>>> [int(lcg(jnp.uint32(state))) for state in (0, 1)]
[1013904223, 1015568748]
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from epx.generators.kernels.words import as_words
from epx.types import require, require_whole

MAX_ROUNDS = 1024  # more than 30 times the rounds of any of the ciphers
MAX_OUTPUTS = 2**28  # of MT19937: 1 GiB

# The defaults of `blum_blum_shub`: primes p for which (p - 1) / 2 and (p - 3) / 4 are prime, too.
# Almost every cycle then has the greatest possible length, 485 182 322 states.
BLUM_PRIMES = (64007, 60647)


def quarter_round(
    a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """ChaCha's quarter round (RFC 8439, 2.1) of uint32 words, or of arrays of them elementwise."""
    a, b, c, d = (as_words(name, word, jnp.uint32) for name, word in zip("abcd", (a, b, c, d)))
    for left, right in ((16, 12), (8, 7)):
        a += b
        d = _rotate(d ^ a, left)
        c += d
        b = _rotate(b ^ c, right)
    return a, b, c, d


def chacha_block(
    key_8: jax.Array, counter: int | jax.Array, nonce_3: jax.Array, rounds: int = 20
) -> jax.Array:
    """One block of ChaCha (RFC 8439, 2.3), uint32 of shape (16,).

    Args:
      key_8: uint32, the key's bytes as little-endian words.
      counter: uint32, of this block.
      nonce_3: uint32, likewise little-endian.
      rounds: 0 or more; rounds 1, 3, ... go over columns, rounds 2, 4, ... over diagonals.
    """
    key_8 = as_words("key_8", key_8, jnp.uint32, (8,))
    counter = as_words("counter", counter, jnp.uint32, ())
    nonce_3 = as_words("nonce_3", nonce_3, jnp.uint32, (3,))
    require_whole("rounds", rounds, 0, MAX_ROUNDS)
    constants = [jnp.uint32(word) for word in (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)]
    # Sixteen scalars instead of an array: under vmap each is a vector, and rotating a row is free.
    start = [*constants, *key_8, counter, *nonce_3]

    def one_round(words, turn):
        words = list(words)
        for column in range(4):
            quarter = [4 * row + (column + turn * row) % 4 for row in range(4)]
            for n, word in zip(quarter, quarter_round(*(words[n] for n in quarter))):
                words[n] = word
        return words

    words = lax.fori_loop(
        0, rounds // 2, lambda _, words: one_round(one_round(words, turn=0), turn=1), start
    )
    if rounds % 2:
        words = one_round(words, turn=0)
    return jnp.stack([word + first for word, first in zip(words, start)])


def aes128_encrypt(key_16: jax.Array, block_16: jax.Array) -> jax.Array:
    """One block of AES-128 (FIPS 197), uint8 of shape (16,), from a uint8 key and block."""
    key_16 = as_words("key_16", key_16, jnp.uint8, (16,))
    block_16 = as_words("block_16", block_16, jnp.uint8, (16,))
    sbox = jnp.array(_SBOX, jnp.uint8)
    # Byte n is in row n % 4 and column n // 4; row r moves r columns to the left.
    shifted = jnp.array([(n + 4 * (n % 4)) % 16 for n in range(16)])

    def next_key(key_16, constant):
        words = key_16.reshape(4, 4)
        mixed = sbox[jnp.roll(words[3], -1)]
        first = words[0] ^ mixed.at[0].set(mixed[0] ^ constant)
        second = first ^ words[1]
        third = second ^ words[2]
        return jnp.concatenate([first, second, third, third ^ words[3]])

    def one_round(_, carry):
        state_16, key_16, constant = carry
        columns = sbox[state_16[shifted]].reshape(4, 4)
        total = columns[:, :1] ^ columns[:, 1:2] ^ columns[:, 2:3] ^ columns[:, 3:]
        mixed = columns ^ total ^ _double(columns ^ jnp.roll(columns, -1, axis=1))
        key_16 = next_key(key_16, constant)
        return mixed.reshape(16) ^ key_16, key_16, _double(constant)

    start = block_16 ^ key_16, key_16, jnp.uint8(1)
    state_16, key_16, constant = lax.fori_loop(0, 9, one_round, start)
    return sbox[state_16[shifted]] ^ next_key(key_16, constant)  # the last round mixes no columns


def threefry2x32(key_2: jax.Array, counter_2: jax.Array, rounds: int = 20) -> jax.Array:
    """One block of Threefry-2x32 (Random123), uint32 of shape (2,).

    Args:
      key_2, counter_2: uint32, in the order of the authors' test vectors.
      rounds: 0 or more; a key is added after every fourth.
    """
    key_2 = as_words("key_2", key_2, jnp.uint32, (2,))
    counter_2 = as_words("counter_2", counter_2, jnp.uint32, (2,))
    require_whole("rounds", rounds, 0, MAX_ROUNDS)
    keys_3 = jnp.stack([*key_2, key_2[0] ^ key_2[1] ^ jnp.uint32(0x1BD11BDA)])
    rotations_2x4 = jnp.array([[13, 15, 26, 6], [17, 29, 16, 24]], jnp.uint32)

    def mix(words, rotation):
        left = words[0] + words[1]
        return left, _rotate(words[1], rotation) ^ left

    def four_rounds(group, words):
        for rotation in rotations_2x4[group % 2]:
            words = mix(words, rotation)
        injection = group + 1
        right = words[1] + keys_3[(injection + 1) % 3] + injection.astype(jnp.uint32)
        return words[0] + keys_3[injection % 3], right

    start = counter_2[0] + keys_3[0], counter_2[1] + keys_3[1]
    words = lax.fori_loop(0, rounds // 4, four_rounds, start)
    for rotation in rotations_2x4[rounds // 4 % 2, : rounds % 4]:
        words = mix(words, rotation)
    return jnp.stack(words)


def speck32_64_encrypt(key_4: jax.Array, block_2: jax.Array, rounds: int = 22) -> jax.Array:
    """One block of Speck32/64, uint16 of shape (2,), from a uint16 key and block.

    Words are in the order of the authors' test vectors: the highest first.
    """
    key_4 = as_words("key_4", key_4, jnp.uint16, (4,))
    block_2 = as_words("block_2", block_2, jnp.uint16, (2,))
    require_whole("rounds", rounds, 0, MAX_ROUNDS)

    def one_round(n, carry):
        left, right, key, low, middle, high = carry
        left = (_rotate(left, 9) + right) ^ key  # 9 to the left is 7 to the right
        right = _rotate(right, 2) ^ left
        new = (_rotate(low, 9) + key) ^ n.astype(jnp.uint16)
        return left, right, _rotate(key, 2) ^ new, middle, high, new

    high, middle, low, key = key_4
    start = block_2[0], block_2[1], key, low, middle, high
    return jnp.stack(lax.fori_loop(0, rounds, one_round, start)[:2])


def lcg(state: jax.Array, multiplier: int = 1664525, increment: int = 1013904223) -> jax.Array:
    """The uint32 state after `state`, modulo 2^32; the defaults are those of Numerical Recipes."""
    multiplier = as_words("multiplier", multiplier, jnp.uint32)
    return multiplier * as_words("state", state, jnp.uint32) + as_words(
        "increment", increment, jnp.uint32
    )


def randu(state: jax.Array) -> jax.Array:
    """The uint32 state after `state` of IBM's RANDU, below 2^31. States are odd."""
    return (jnp.uint32(65539) * as_words("state", state, jnp.uint32)) & jnp.uint32(2**31 - 1)


def xorshift32(state: jax.Array) -> jax.Array:
    """The uint32 state after `state` (shifts 13, 17, 5). State 0 stays 0."""
    state = as_words("state", state, jnp.uint32)
    state ^= state << 13
    state ^= state >> 17
    return state ^ (state << 5)


def blum_blum_shub(state: jax.Array, p: int = BLUM_PRIMES[0], q: int = BLUM_PRIMES[1]) -> jax.Array:
    """The uint32 state after `state`: its square modulo p q. The lowest bit is the output.

    Args:
      state: uint32 below p q.
      p, q: primes that are 3 modulo 4, with p q < 2^32.
    """
    require_whole("p", p, 3, 2**32 - 1)
    require_whole("q", q, 3, (2**32 - 1) // p, f"p q is a word, and p={p}")
    require("p", p, p % 4 == 3, "primes that are 3 modulo 4")
    require("q", q, q % 4 == 3, "primes that are 3 modulo 4")
    modulus = p * q
    state = as_words("state", state, jnp.uint32, most=modulus - 1)
    # Montgomery reduction: exact, without a 64-bit division.
    inverse, shift = jnp.uint32(pow(modulus, -1, 2**32)), jnp.uint32(pow(2, 64, modulus))

    def reduced(high, low):
        """(2^32 high + low) / 2^32 modulo the modulus, which is above `high`."""
        multiple, _ = multiply(low * inverse, jnp.uint32(modulus))
        return high - multiple + jnp.where(high < multiple, jnp.uint32(modulus), jnp.uint32(0))

    return reduced(*multiply(reduced(*multiply(state, state)), shift))


def mt19937(seed: int | jax.Array, count: int) -> jax.Array:
    """The first `count` outputs of the Mersenne Twister (MT19937), uint32 of shape (count,).

    Args:
      seed: uint32, for `init_genrand`.
      count: a Python integer, not traced.
    """
    first = as_words("seed", seed, jnp.uint32, ())
    require_whole("count", count, 1, MAX_OUTPUTS, "more than 1 GiB of words")

    def fill(word, n):
        word = jnp.uint32(1812433253) * (word ^ (word >> 30)) + n
        return word, word

    _, rest = lax.scan(fill, first, jnp.arange(1, 624, dtype=jnp.uint32))

    def twist(words_624, _):
        """The next 227 words, all at once; later words depend on them."""
        upper, lower = words_624[:227] >> 31, words_624[1:228]
        joined = (upper << 31) | (lower & 0x7FFFFFFF)
        new_227 = words_624[397:] ^ (joined >> 1) ^ (lower & 1) * jnp.uint32(0x9908B0DF)
        return jnp.concatenate([words_624[227:], new_227]), new_227

    start = jnp.concatenate([first[None], rest])
    _, words = lax.scan(twist, start, length=-(-count // 227))
    return _tempered(words.reshape(-1)[:count])


def multiply(left: jax.Array, right: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The product of two uint32 words as a high and a low uint32 word."""
    left, right = as_words("left", left, jnp.uint32), as_words("right", right, jnp.uint32)
    left_high, left_low = left >> 16, left & 0xFFFF
    right_high, right_low = right >> 16, right & 0xFFFF
    inner, outer = left_low * right_high, left_high * right_low
    middle = ((left_low * right_low) >> 16) + (inner & 0xFFFF) + (outer & 0xFFFF)
    high = left_high * right_high + (inner >> 16) + (outer >> 16) + (middle >> 16)
    return high, left * right


def _tempered(word: jax.Array) -> jax.Array:
    word ^= word >> 11
    word ^= (word << 7) & jnp.uint32(0x9D2C5680)
    word ^= (word << 15) & jnp.uint32(0xEFC60000)
    return word ^ (word >> 18)


def _rotate(word: jax.Array, places: int) -> jax.Array:
    """An unsigned word with its bits rotated to the left."""
    return (word << places) | (word >> (jnp.iinfo(word.dtype).bits - places))


def _double(byte: jax.Array) -> jax.Array:
    """A byte times x in GF(2^8) of AES, modulo x^8 + x^4 + x^3 + x + 1."""
    return (byte << 1) ^ (0x1B * (byte >> 7))


def _sbox() -> tuple[int, ...]:
    """The S-box of AES: the inverse in GF(2^8), then a sum of five rotations."""

    def product(left: int, right: int) -> int:
        total = 0
        for bit in range(7, -1, -1):
            total = total << 1 ^ (0x11B if total & 0x80 else 0) ^ (left if right >> bit & 1 else 0)
        return total

    def affine(byte: int) -> int:
        return (
            functools.reduce(lambda x, n: x ^ (byte << n | byte >> (8 - n)), range(5), 0x63) & 255
        )

    # 3 generates the group: the inverse of 3^n is 3^(255 - n). The inverse of 0 is defined as 0.
    powers = [1]
    for _ in range(254):
        powers.append(product(powers[-1], 3))
    inverses = {0: 0} | {powers[n]: powers[-n] for n in range(255)}
    return tuple(affine(inverses[byte]) for byte in range(256))


_SBOX = _sbox()
