"""Ciphers and weak generators: the official vectors, and programs written by others."""

import itertools
import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from epx.generators.kernels import ciphers

RANDOM = random.Random(0)


def words(*values, dtype=jnp.uint32):
    return jnp.array(values, dtype)


def from_hex(text: str, dtype=jnp.uint8) -> jax.Array:
    """Bytes in order, or the little-endian words that they spell."""
    return jnp.asarray(np.frombuffer(bytes.fromhex(text), np.dtype(dtype).newbyteorder("<")))


def to_hex(array: jax.Array) -> str:
    return np.asarray(array).astype(array.dtype.newbyteorder("<")).tobytes().hex()


def iterate(step, state: int, count: int) -> list[int]:
    found, state = [], jnp.uint32(state)
    for _ in range(count):
        state = step(state)
        assert state.dtype == jnp.uint32
        found.append(int(state))
    return found


def test_quarter_round_of_rfc_8439():
    found = ciphers.quarter_round(*words(0x11111111, 0x01020304, 0x9B8D6F43, 0x01234567))
    assert [int(word) for word in found] == [0xEA2A92F4, 0xCB1CF8CE, 0x4581472E, 0x5881C4BB]


RFC_2_3_2 = (
    "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
    "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
)
RFC_A_1 = (
    "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
    "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
)
ZERO = "00" * 32, 0, "00" * 12


@pytest.mark.parametrize(
    "key, counter, nonce, rounds, expected",
    [
        (bytes(range(32)).hex(), 1, "000000090000004a00000000", 20, RFC_2_3_2),
        (*ZERO, 20, RFC_A_1),
        (*ZERO, 12, "9bf49a6a0755f953811fce125f2683d5"),
        (*ZERO, 8, "3e00ef2f895f40d67f5bb8e81f09a5a1"),
    ],
)
def test_chacha_block_of_rfc_8439(key, counter, nonce, rounds, expected):
    block = ciphers.chacha_block(
        from_hex(key, jnp.uint32), counter, from_hex(nonce, jnp.uint32), rounds
    )
    assert block.shape == (16,) and block.dtype == jnp.uint32
    assert to_hex(block).startswith(expected)


def slow_chacha(state: list[int], rounds: int) -> list[int]:
    """From the text of the RFC, on Python's integers; odd rounds are columns."""
    x = list(state)
    for number in range(rounds):
        for column in range(4):
            turn = number % 2
            a, b, c, d = (4 * row + (column + turn * row) % 4 for row in range(4))
            for p, q, r, places in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                x[p] = (x[p] + x[q]) % 2**32
                mixed = x[r] ^ x[p]
                x[r] = (mixed << places | mixed >> (32 - places)) % 2**32
    return [(one + other) % 2**32 for one, other in zip(x, state)]


@pytest.mark.parametrize("rounds", [0, 1, 2, 3, 5, 7, 8, 20, 33])
def test_chacha_has_any_number_of_rounds(rounds):
    constants = [int.from_bytes(b"expand 32-byte k"[n : n + 4], "little") for n in (0, 4, 8, 12)]
    state = [RANDOM.getrandbits(32) for _ in range(12)]
    found = ciphers.chacha_block(words(*state[:8]), state[8], words(*state[9:]), rounds)
    assert found.tolist() == slow_chacha(constants + state, rounds)


def test_chacha_agrees_with_cryptography():
    blocks = jax.jit(jax.vmap(ciphers.chacha_block))
    starts = [RANDOM.randbytes(48) for _ in range(20)]
    state = np.frombuffer(b"".join(starts), "<u4").reshape(20, 12)
    found = blocks(state[:, :8], state[:, 8], state[:, 9:])
    for start, block in zip(starts, found):
        cipher = Cipher(algorithms.ChaCha20(start[:32], start[32:]), mode=None)
        assert to_hex(block) == cipher.encryptor().update(bytes(64)).hex()


def test_aes_of_fips_197():
    key, block = bytes(range(16)).hex(), "00112233445566778899aabbccddeeff"
    found = ciphers.aes128_encrypt(from_hex(key), from_hex(block))
    assert found.shape == (16,) and found.dtype == jnp.uint8
    assert to_hex(found) == "69c4e0d86a7b0430d8cdb78070b4c55a"


def test_aes_counter_mode_of_sp_800_38a():
    key = from_hex("2b7e151628aed2a6abf7158809cf4f3c")
    plain = (
        "6bc1bee22e409f96e93d7e117393172a", "ae2d8a571e03ac9c9eb76fac45af8e51",
        "30c81c46a35ce411e5fbc1191a0a52ef", "f69f2445df4f9b17ad2b417be66c3710",
    )  # fmt: skip
    secret = (
        "874d6191b620e3261bef6864990db6ce", "9806f66b7970fdff8617187bb9fffdff",
        "5ae4df3edbd5d35e5b4f09020db03eab", "1e031dda2fbe03d1792170a0f3009cee",
    )  # fmt: skip
    counter = int("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", 16)
    for n in range(4):
        stream = ciphers.aes128_encrypt(key, from_hex(f"{counter + n:032x}"))
        assert to_hex(stream ^ from_hex(plain[n])) == secret[n]


def test_aes_agrees_with_cryptography():
    keys, blocks = ([RANDOM.randbytes(16) for _ in range(50)] for _ in range(2))
    arrays = (np.frombuffer(b"".join(part), np.uint8).reshape(50, 16) for part in (keys, blocks))
    found = jax.jit(jax.vmap(ciphers.aes128_encrypt))(*map(jnp.asarray, arrays))
    for key, block, secret in zip(keys, blocks, found):
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        assert to_hex(secret) == encryptor.update(block).hex()


@pytest.mark.parametrize(
    "bits, rounds, expected",
    [
        (0, 13, (0x9D1C5EC6, 0x8BD50731)),
        (0, 20, (0x6B200159, 0x99BA4EFE)),
        (0, 32, (0xCEE3D47E, 0xA23DFD5C)),
        (2**32 - 1, 13, (0xFD36D048, 0x2D17272C)),
        (2**32 - 1, 20, (0x1CB996FC, 0xBB002BE7)),
        (2**32 - 1, 32, (0x6E2FE0D0, 0xB1B76F82)),
    ],
)
def test_threefry_of_random123(bits, rounds, expected):
    found = ciphers.threefry2x32(words(bits, bits), words(bits, bits), rounds)
    assert found.shape == (2,) and found.dtype == jnp.uint32
    assert tuple(found.tolist()) == expected


def test_threefry_is_the_generator_of_jax():
    for seed in range(5):
        key = jax.random.key(seed, impl="threefry2x32")
        later = jax.random.fold_in(key, 7)  # encrypts what `key` makes of 7: the counter (0, 7)
        found = ciphers.threefry2x32(jax.random.key_data(key), words(0, 7))
        np.testing.assert_array_equal(found, jax.random.key_data(later))


@pytest.mark.parametrize(
    "rounds, expected",
    [
        (5, (0x4164, 0x50BB)),
        (6, (0x6EDF, 0x2C32)),
        (8, (0xA9C6, 0xF4FF)),
        (22, (0xA868, 0x42F2)),
    ],
)
def test_speck_of_its_authors(rounds, expected):
    key_4 = words(0x1918, 0x1110, 0x0908, 0x0100, dtype=jnp.uint16)
    block_2 = words(0x6574, 0x694C, dtype=jnp.uint16)
    found = ciphers.speck32_64_encrypt(key_4, block_2, rounds)
    assert found.shape == (2,) and found.dtype == jnp.uint16
    assert tuple(found.tolist()) == expected


def test_lcg_of_numerical_recipes():
    expected = [0x3C6EF35F, 0x47502932, 0xD1CCF6E9, 0xAAF95334]
    assert iterate(ciphers.lcg, 0, 4) == expected


@pytest.mark.parametrize("multiplier, increment", [(2**32 - 5, 2**32 - 1), (69069, 0), (6, 4)])
def test_lcg_has_any_constants(multiplier, increment):
    state = 123456789
    for found in iterate(lambda x: ciphers.lcg(x, multiplier, increment), state, 10):
        state = (multiplier * state + increment) % 2**32
        assert found == state


def test_randu_and_its_planes():
    found = iterate(ciphers.randu, 1, 100)
    assert found[:6] == [65539, 393225, 1769499, 7077969, 26542323, 95552217]
    for first, second, third in zip(found, found[1:], found[2:]):
        assert third == (6 * second - 9 * first) % 2**31


def test_xorshift32_of_marsaglia():
    expected = [723471715, 2497366906, 2064144800, 2008045182]
    assert iterate(ciphers.xorshift32, 2463534242, 4) == expected


def test_mt19937_of_its_authors():
    found = ciphers.mt19937(5489, 10_000)
    assert found.shape == (10_000,) and found.dtype == jnp.uint32
    assert found[:5].tolist() == [3499211612, 581869302, 3890346734, 3586334585, 545404204]
    assert int(found[-1]) == 4123659995


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("count", [1, 227, 228, 700])
def test_mt19937_agrees_with_numpy(seed, count):
    numbers = np.random.RandomState(seed).randint(0, 2**32, count, np.uint32)
    np.testing.assert_array_equal(ciphers.mt19937(jnp.uint32(seed), count), numbers)


def test_blum_blum_shub_of_the_textbook():
    found = iterate(lambda state: ciphers.blum_blum_shub(state, 11, 23), 3, 6)
    assert found == [9, 81, 236, 36, 31, 202]
    assert [state & 1 for state in found] == [1, 1, 0, 0, 1, 0]


@pytest.mark.parametrize("p, q", [ciphers.BLUM_PRIMES, (3, 7), (65519, 65479)])
def test_blum_blum_shub_is_exact(p, q):
    states = [0, 1, p, q, p * q - 1, *(RANDOM.randrange(p * q) for _ in range(1000))]
    found = ciphers.blum_blum_shub(jnp.array(states, jnp.uint32), p, q)
    assert found.tolist() == [state * state % (p * q) for state in states]


def test_blum_primes_give_the_longest_cycles():
    def prime(n):
        return n > 1 and all(n % k for k in range(2, math.isqrt(n) + 1))

    p, q = ciphers.BLUM_PRIMES
    for n in (p, q):
        assert n % 4 == 3 and prime(n) and prime(n // 2) and prime(n // 4)
    assert 2**31 < p * q < 2**32
    # A square of full order o = (p - 1)/2 (q - 1)/2 comes back when 2^steps = 1 modulo o.
    order, cycle = (p // 2) * (q // 2), math.lcm(p // 2 - 1, q // 2 - 1)
    assert cycle == 485_182_322 and pow(2, cycle, order) == 1
    for prime_factor in (2, p // 4, q // 4):
        assert pow(2, cycle // prime_factor, order) != 1


def test_products_of_64_bits():
    ends = [0, 1, 0xFFFF, 0x10000, 0xFFFF0000, 0xFFFFFFFF]
    pairs = [*itertools.product(ends, ends)]
    pairs += [(RANDOM.getrandbits(32), RANDOM.getrandbits(32)) for _ in range(200)]
    left, right = jnp.array(pairs, jnp.uint32).T
    high, low = ciphers.multiply(left, right)
    found = [(h << 32) + lo for h, lo in zip(high.tolist(), low.tolist())]
    assert found == [a * b for a, b in pairs]
