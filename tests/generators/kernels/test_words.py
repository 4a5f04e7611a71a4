"""Every public function on machine words takes whole numbers of any type and refuses others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.automata import eca
from epx.generators.kernels import bitpacking, ciphers, keystreams
from epx.generators.kernels.words import as_words

AES_KEY = list(range(16))
AES_BLOCK = [0x11 * n for n in range(16)]
AES_RESULT = list(bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a"))
CHACHA = (
    [
        0x03020100,
        0x07060504,
        0x0B0A0908,
        0x0F0E0D0C,
        0x13121110,
        0x17161514,
        0x1B1A1918,
        0x1F1E1D1C,
    ],
    1,
    [0x09000000, 0x4A000000, 0],
)
MT_START = [3499211612, 581869302, 3890346734]
ALGORITHMS = keystreams.ALGORITHMS

# The function, its arguments as whole numbers, official results, the bits of a word.
VECTORS = {
    "quarter_round": (
        ciphers.quarter_round,
        (0x11111111, 0x01020304, 0x1B8D6F43, 0x01234567),
        None,
        32,
    ),
    "chacha_block": (lambda *a: ciphers.chacha_block(*a)[:2], CHACHA, [0xE4E7F110, 0x15593BD1], 32),
    "aes128_encrypt": (ciphers.aes128_encrypt, (AES_KEY, AES_BLOCK), AES_RESULT, 8),
    "threefry2x32": (ciphers.threefry2x32, ([0, 0], [0, 0]), [0x6B200159, 0x99BA4EFE], 32),
    "speck32_64_encrypt": (
        ciphers.speck32_64_encrypt,
        ([0x1918, 0x1110, 0x0908, 0x0100], [0x6574, 0x694C]),
        [0xA868, 0x42F2],
        16,
    ),
    "lcg": (ciphers.lcg, (0,), [0x3C6EF35F], 32),
    "randu": (ciphers.randu, (65539,), [393225], 32),
    "xorshift32": (ciphers.xorshift32, (723471715,), [2497366906], 32),
    "blum_blum_shub": (lambda state: ciphers.blum_blum_shub(state, 11, 23), (81,), [236], 8),
    "mt19937": (lambda seed: ciphers.mt19937(seed, 3), (5489,), MT_START, 32),
    "multiply": (ciphers.multiply, (2**30, 12), [3, 0], 32),
    "pack": (bitpacking.pack, ([1, 0, 1, 1],), [0b1101], 1),
    "unpack": (lambda words: bitpacking.unpack(words, 4), ([0b1101],), [1, 0, 1, 1], 32),
    "neighbours": (lambda x: bitpacking.neighbours(x, 4), ([0b1101],), [0b1011, 0b1110], 32),
    "evolve": (lambda rule: eca.evolve(jnp.array([0, 1, 0]), rule, 1), (90,), [1, 0, 1], 8),
    "stream of mt19937": (
        lambda seed: ALGORITHMS["mt19937"].words(seed, 0, 3), ([5489],), MT_START, 32,
    ),
    "stream of threefry2x32": (
        lambda seed: ALGORITHMS["threefry2x32"].words(seed, 20, 2),
        ([0, 0],),
        [0x6B200159, 0x99BA4EFE],
        32,
    ),
}  # fmt: skip


def numbers(result) -> list[int]:
    return np.ravel([np.asarray(leaf) for leaf in jax.tree.leaves(result)]).tolist()


@pytest.mark.parametrize("name", VECTORS)
def test_words_of_any_whole_type_give_the_official_result(name):
    function, arguments, expected, _ = VECTORS[name]
    results = [numbers(function(*arguments))]
    for dtype in (np.int64, np.uint64, np.int32, np.uint32):
        results.append(numbers(function(*(np.asarray(a, dtype) for a in arguments))))
    device = [jnp.asarray(np.asarray(a, np.int32)) for a in arguments]
    results += [numbers(function(*device)), numbers(jax.jit(function)(*device))]
    assert all(result == (expected or results[0]) for result in results)


@pytest.mark.parametrize("name", VECTORS)
def test_words_out_of_range_or_not_whole_are_refused_by_name(name):
    function, arguments, _, bits = VECTORS[name]
    for place, argument in enumerate(arguments):
        for wrong in (-1, 2**bits, 2**70, 0.5, "1"):
            array = np.asarray(argument).astype(object)
            array[(0,) * array.ndim] = wrong
            bad = array.tolist()
            with pytest.raises(ValueError, match=r"^\w+=.*: accepted whole numbers from 0 to \d+"):
                function(*arguments[:place], bad, *arguments[place + 1 :])


def test_words_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"^key_4=.*: accepted .*, of shape \(4,\)"):
        ciphers.speck32_64_encrypt([1, 2, 3], [0, 0])
    with pytest.raises(ValueError, match=r"^counter=.*: accepted .*, a single one"):
        ciphers.chacha_block([0] * 8, [1, 2], [0] * 3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ciphers.chacha_block([0] * 8, 0, [0] * 3, rounds=-1), "rounds=-1: accepted"),
        (lambda: ciphers.speck32_64_encrypt([0] * 4, [0] * 2, 2**31), "rounds=2147483648: acc"),
        (lambda: ciphers.mt19937(0, 2**31), "count=2147483648: accepted whole numbers"),
        (lambda: ciphers.blum_blum_shub(4, 2**31 - 1, 7), "q=7: accepted whole numbers"),
        (lambda: ciphers.blum_blum_shub(4, 13, 7), "p=13: accepted primes that are 3 modulo 4"),
        (lambda: ciphers.lcg(0, multiplier=-5), "multiplier=-5: accepted whole numbers"),
        (lambda: bitpacking.bits(0), "width=0: accepted whole numbers"),
    ],
)
def test_counts_and_constants_are_refused_by_name(call, message):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value).startswith(message)


def test_words_are_not_read_back_where_their_type_is_right():
    """A traced array has no numbers yet; one of the right type needs no check of them."""
    words = jax.eval_shape(
        lambda x: as_words("x", x, jnp.uint32), jax.ShapeDtypeStruct((3,), "int32")
    )
    assert words.dtype == jnp.uint32
    array = jnp.arange(3, dtype=jnp.uint32)
    assert as_words("x", array, jnp.uint32) is array
