"""Pseudo-random streams and pairs: other programs, periods known since Knuth, Gohr's differential,
and seeds few enough to try them all."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from epx.generators.kernels import ciphers
from epx.generators.sequences import cipher
from tests.params import parametrize

KEY = jax.random.key(5)


def ror(word, places):
    return (word >> places | word << (16 - places)) % 2**16


def speck_keys(key: int, rounds: int) -> list[int]:
    low, *ls = (key >> 16 * n & 0xFFFF for n in range(4))
    found = [low]
    for n in range(rounds - 1):
        ls.append((found[-1] + ror(ls[n], 7)) % 2**16 ^ n)
        found.append(ror(found[-1], 14) ^ ls[-1])
    return found


def speck_encrypt(key: int, block: tuple[int, int], rounds: int) -> tuple[int, int]:
    x, y = block
    for round_key in speck_keys(key, rounds):
        x = (ror(x, 7) + y) % 2**16 ^ round_key
        y = ror(y, 14) ^ x
    return x, y


def speck_decrypt(key: int, block: tuple[int, int], rounds: int) -> tuple[int, int]:
    x, y = block
    for round_key in reversed(speck_keys(key, rounds)):
        y = ror(x ^ y, 2)
        x = ror(((x ^ round_key) - y) % 2**16, 9)
    return x, y


def aes(key: int, mode):
    return Cipher(algorithms.AES(key.to_bytes(16, "little")), mode)


def states(state: int, step):
    while True:
        state = step(state)
        yield state


def xorshift(state: int) -> int:
    state ^= state << 13 & 0xFFFFFFFF
    state ^= state >> 17
    return state ^ state << 5 & 0xFFFFFFFF


def slow_words(algorithm: str, seed: int):
    """Words without end, as the docstring of the module has them, by other programs."""
    match algorithm:
        case "chacha":
            whole = Cipher(algorithms.ChaCha20(seed.to_bytes(32, "little"), bytes(16)), mode=None)
            yield from np.frombuffer(whole.encryptor().update(bytes(4096)), "<u4").tolist()
        case "aes128":
            yield from aes(seed, modes.CTR(bytes(16))).encryptor().update(bytes(4096))
        case "threefry2x32":
            key_2 = jnp.array([seed % 2**32, seed >> 32], jnp.uint32)
            key = jax.random.wrap_key_data(key_2, impl="threefry2x32")
            # `fold_in` encrypts the counter (0, n).
            blocks = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(200))
            yield from jax.random.key_data(blocks).reshape(-1).tolist()
        case "speck32_64":
            for n in range(200):
                yield from speck_encrypt(seed, (0, n), 22)
        case "lcg":
            yield from states(seed, lambda x: (1664525 * x + 1013904223) % 2**32)
        case "randu":
            yield from states(2 * seed + 1, lambda x: 65539 * x % 2**31)
        case "xorshift32":
            yield from states(seed + 1, xorshift)
        case "mt19937":
            yield from np.random.RandomState(seed).randint(0, 2**32, 1000, np.uint32).tolist()
        case "blum_blum_shub":
            yield from (x % 2 for x in states(seed + 2, lambda x: x * x % (64007 * 60647)))


def cut(words, low_bit: int, shown_bits: int, bits_per_token: int, length: int) -> list[int]:
    """The tokens that words show."""
    bits = (word >> low_bit + place & 1 for word in words for place in range(shown_bits))
    return [sum(next(bits) << n for n in range(bits_per_token)) for _ in range(length)]


@jax.jit
def first_example(generator: cipher.Cipher):
    return generator.example(KEY, 0)


def keys(count: int) -> jax.Array:
    return jax.random.split(KEY, count)


def examples(generator, count: int) -> np.ndarray:
    return np.asarray(
        jax.jit(jax.vmap(lambda key: generator.example(key, 0).tokens_T))(keys(count))
    )


STREAMS = [  # algorithm, word bits, and what is shown: low_bit, shown_bits, bits_per_token, length
    ("chacha", 32, (0, 32, 8, 80)),
    ("chacha", 32, (5, 7, 3, 50)),
    ("aes128", 8, (0, 8, 8, 40)),
    ("aes128", 8, (7, 1, 1, 40)),
    ("threefry2x32", 32, (0, 32, 5, 60)),
    ("speck32_64", 16, (0, 16, 8, 30)),
    ("speck32_64", 16, (12, 4, 2, 30)),
    ("lcg", 32, (16, 1, 1, 40)),
    ("lcg", 32, (24, 8, 8, 40)),
    ("lcg", 32, (29, 3, 2, 40)),
    ("randu", 31, (0, 31, 8, 40)),
    ("xorshift32", 32, (0, 32, 8, 40)),
    ("xorshift32", 32, (4, 2, 4, 40)),
    ("mt19937", 32, (0, 32, 8, 40)),
    ("mt19937", 32, (31, 1, 1, 300)),
    ("blum_blum_shub", 1, (0, 1, 1, 70)),
    ("blum_blum_shub", 1, (0, 1, 4, 20)),
]
FIRST = list({stream[0]: stream for stream in reversed(STREAMS)}.values())  # of each algorithm
WHOLE = dict(chacha=256, aes128=128, threefry2x32=64, speck32_64=64, lcg=32, randu=30,
             xorshift32=31, mt19937=32, blum_blum_shub=30)  # fmt: skip


def made(algorithm, word_bits, shown, key_bits):
    """A generator; shown_bits is left to its default where that means the same."""
    low_bit, shown_bits, bits_per_token, length = shown
    if shown_bits == word_bits - low_bit:
        shown_bits = 0
    layout = dict(low_bit=low_bit, shown_bits=shown_bits, bits_per_token=bits_per_token)
    return cipher.make(KEY, algorithm, key_bits=key_bits, length=length, **layout)


def seeds(key_bits: int, count: int) -> list[int]:
    """The numbers that the keys of `examples` draw."""
    drawn = [jax.random.bits(key, (-(-key_bits // 32),), jnp.uint32) for key in keys(count)]
    numbers = [sum(int(word) << 32 * n for n, word in enumerate(words)) for words in drawn]
    return [number % 2**key_bits for number in numbers]


@pytest.mark.parametrize("algorithm, word_bits, shown", STREAMS)
def test_a_stream_is_that_of_other_programs(algorithm, word_bits, shown):
    found = examples(made(algorithm, word_bits, shown, key_bits=0), 3).tolist()
    assert found == [cut(slow_words(algorithm, n), *shown) for n in seeds(WHOLE[algorithm], 3)]


@pytest.mark.parametrize(
    "algorithm, key_bits", [("chacha", 225), ("aes128", 33), ("speck32_64", 32), ("mt19937", 31)]
)
def test_fewer_bits_are_a_smaller_number(algorithm, key_bits):
    generator = cipher.make(KEY, algorithm, key_bits=key_bits)
    word_bits = {"aes128": 8, "speck32_64": 16}.get(algorithm, 32)
    expected = [cut(slow_words(algorithm, n), 0, word_bits, 1, 64) for n in seeds(key_bits, 3)]
    assert examples(generator, 3).tolist() == expected


@parametrize("algorithm, word_bits, shown", STREAMS, gate=FIRST)
def test_there_are_as_many_streams_as_seeds(algorithm, word_bits, shown):
    """... and the law counts those that agree with the tokens so far."""
    generator = made(algorithm, word_bits, shown, key_bits=4)
    streams = [tuple(cut(slow_words(algorithm, seed), *shown)) for seed in range(16)]
    tokens = [tuple(stream) for stream in examples(generator, 300).tolist()]
    assert set(tokens) == set(streams)
    example = first_example(generator)
    tokens_of_first = example.tokens_T.tolist()
    agreeing = [
        sum(list(stream[:t]) == tokens_of_first[:t] for stream in streams)
        for t in range(shown[3] + 1)
    ]
    expected = [math.log(before / now) for before, now in itertools.pairwise(agreeing)]
    np.testing.assert_allclose(generator.oracle_nats(example), expected, atol=1e-6)


@pytest.mark.parametrize("algorithm", WHOLE)
def test_a_long_stream_costs_the_bits_of_its_seed(algorithm):
    generator = cipher.make(KEY, algorithm, key_bits=14, bits_per_token=4, length=40)
    nats_T = generator.oracle_nats(first_example(generator))
    assert nats_T.dtype == jnp.float32
    assert float(nats_T.sum()) == pytest.approx(14 * math.log(2), rel=1e-5)


@pytest.mark.parametrize("algorithm", ["speck32_64", "lcg", "xorshift32"])
def test_the_law_is_known_up_to_18_bits_of_seed(algorithm):
    for key_bits, known in ((18, True), (19, False), (0, False)):
        generator = cipher.make(KEY, algorithm, key_bits=key_bits, length=8)
        assert (generator.oracle_nats(first_example(generator)) is not None) == known


@pytest.mark.parametrize("rounds", [1, 3, 8])
def test_rounds_are_those_of_the_cipher(rounds):
    seed_8 = jax.random.bits(KEY, (8,), jnp.uint32)
    zero_3 = jnp.zeros(3, jnp.uint32)
    generator = cipher.make(KEY, "chacha", rounds=rounds, length=20 * 32)
    blocks = [ciphers.chacha_block(seed_8, n, zero_3, rounds).tolist() for n in range(2)]
    found = first_example(generator).tokens_T.tolist()
    assert found == cut(itertools.chain(*blocks), 0, 32, 1, 20 * 32)


@pytest.mark.parametrize("low_bit", [0, 1, 2, 5, 8])
def test_bit_k_of_lcg_has_period_2_to_the_k_plus_1(low_bit):
    period = 2 ** (low_bit + 1)
    generator = cipher.make(KEY, "lcg", low_bit=low_bit, shown_bits=1, length=4 * period)
    bits = np.asarray(first_example(generator).tokens_T)
    np.testing.assert_array_equal(bits[period:], bits[:-period])
    # Half a period later the bit is the opposite, so no shorter period divides it.
    np.testing.assert_array_equal(bits[period // 2 :], 1 - bits[: -period // 2])


@pytest.mark.parametrize("low_bit, bits", [(0, 1), (3, 2), (8, 1), (0, 8), (12, 4), (16, 2)])
def test_low_bits_of_lcg_hide_no_higher_ones(low_bit, bits):
    layout = dict(low_bit=low_bit, shown_bits=bits, bits_per_token=bits)
    length = 2 ** (low_bit + 1) if low_bit < 6 else 96
    generator = cipher.make(KEY, "lcg", length=length, **layout)
    nats_T = generator.oracle_nats(first_example(generator))
    assert float(nats_T.sum()) == pytest.approx((low_bit + bits) * math.log(2), rel=1e-5)
    assert float(nats_T[0]) == pytest.approx(bits * math.log(2), rel=1e-5)


@pytest.mark.parametrize("algorithm", ["lcg", "randu"])
@pytest.mark.parametrize("low_bit", [0, 2, 6, 9])
def test_the_law_of_low_bits_is_that_of_all_seeds(algorithm, low_bit):
    shown = low_bit, 2, 2, 12
    generator = cipher.make(
        KEY, algorithm, key_bits=9, low_bit=low_bit, shown_bits=2, bits_per_token=2, length=12
    )
    streams = [cut(slow_words(algorithm, seed), *shown) for seed in range(2**9)]
    tokens_of_first = first_example(generator).tokens_T.tolist()
    agreeing = [sum(stream[:t] == tokens_of_first[:t] for stream in streams) for t in range(13)]
    expected = [math.log(before / now) for before, now in itertools.pairwise(agreeing)]
    np.testing.assert_allclose(generator.oracle_nats(first_example(generator)), expected, atol=1e-6)


def test_the_law_of_lcg_reaches_to_bit_17():
    for low_bit, known in ((17, True), (18, False)):
        generator = cipher.make(KEY, "lcg", low_bit=low_bit, shown_bits=1)
        assert (generator.oracle_nats(first_example(generator)) is not None) == known


def test_members_may_show_different_bits():
    generators = [cipher.make(KEY, "lcg", low_bit=low_bit, shown_bits=1) for low_bit in (0, 12, 31)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *generators)
    together = jax.jit(jax.vmap(lambda generator: generator.example(KEY, 0).tokens_T))(stacked)
    for generator, tokens_T in zip(generators, together):
        np.testing.assert_array_equal(tokens_T, first_example(generator).tokens_T)


def pairs_of(algorithm: str, count: int, word_bits: int, **arguments):
    """Ciphertexts as words, of shape (count, 2, words), and labels, one bit in a token."""
    generator = cipher.make(KEY, algorithm, mode="pairs", **arguments)
    assert generator.spec.vocab == 2
    example = first_example(generator)
    assert example.coded_T.tolist() == [False] * (generator.spec.length - 1) + [True]
    assert generator.oracle_nats(example) is None
    tokens = examples(generator, count)
    bits = tokens[:, :-1].reshape(count, 2, -1, word_bits).astype(np.int64)
    return (bits << np.arange(word_bits)).sum(-1), tokens[:, -1].astype(bool)


@pytest.mark.parametrize("rounds, chance", [(1, 1), (2, 1 / 2), (3, 1 / 8)])
def test_pairs_of_speck_show_the_differential_of_gohr(rounds, chance):
    """0040 0000 -> 8000 8000 -> 8100 8102 -> 8000 840a: certain, then 1/2, then 1/4."""
    expected = {1: (0x8000, 0x8000), 2: (0x8100, 0x8102), 3: (0x8000, 0x840A)}[rounds]
    words, real = pairs_of("speck32_64", 4000, 16, rounds=rounds, length=65)
    assert abs(real.mean() - 1 / 2) < 5 * (1 / 4 / 4000) ** 0.5
    differences = words[:, 0] ^ words[:, 1]
    follows = (differences == expected).all(1)
    assert not follows[~real].any()
    spread = (chance * (1 - chance) / real.sum()) ** 0.5
    assert abs(follows[real].mean() - chance) <= 5 * spread


@pytest.mark.parametrize("difference", [0, 0x00400000, 0x12345678])
@pytest.mark.parametrize("rounds", [5, 0])
def test_pairs_of_speck_decrypt_to_the_difference(difference, rounds):
    """Under one of the 2^6 keys, and random pairs under none of them."""
    words, real = pairs_of(
        "speck32_64", 40, 16, key_bits=6, rounds=rounds, difference=difference, length=65
    )
    number = difference or 0x00400000
    for (first, second), label in zip(words.tolist(), real):
        plains = [
            (speck_decrypt(key, first, rounds or 22), speck_decrypt(key, second, rounds or 22))
            for key in range(2**6)
        ]
        found = [(x0 ^ x1) << 16 | y0 ^ y1 for (x0, y0), (x1, y1) in plains]
        assert (number in found) == label


@pytest.mark.parametrize("difference", [0, 0x0102 << 112 | 0x80])
def test_pairs_of_aes_decrypt_to_the_difference(difference):
    words, real = pairs_of("aes128", 20, 8, key_bits=4, difference=difference, length=257)
    for (first, second), label in zip(words.astype(np.uint8), real):
        found = []
        for key in range(2**4):
            decryptor = aes(key, modes.ECB()).decryptor()
            plain = decryptor.update(first.tobytes() + second.tobytes())
            found.append(int.from_bytes(plain[:16]) ^ int.from_bytes(plain[16:]))
        assert ((difference or 1) in found) == label


def test_a_round_of_chacha_moves_the_difference_down_its_column():
    words, real = pairs_of("chacha", 60, 32, rounds=1, length=1025)
    differs = words[:, 0] != words[:, 1]
    last = np.arange(16) % 4 == 3
    assert not differs[real][:, ~last].any() and differs[real][:, last].all()
    # Of a random pair the block's words differ, which are the last row, not the key's.
    assert differs[~real][:, 12:].all()


def test_a_round_of_threefry_keeps_the_top_bit():
    words, real = pairs_of("threefry2x32", 60, 32, rounds=1, difference=1 << 63, length=129)
    differences = words[:, 0] ^ words[:, 1]
    assert (differences[real] == [1 << 31, 1 << 31]).all()
    assert not (differences[~real] == [1 << 31, 1 << 31]).all(1).any()


def test_both_ciphertexts_show_equally_many_tokens():
    arguments = dict(mode="pairs", low_bit=8, bits_per_token=4)
    whole = cipher.make(KEY, "speck32_64", length=9, **arguments)
    part = cipher.make(KEY, "speck32_64", length=5, **arguments)
    tokens, first = first_example(whole).tokens_T, first_example(part).tokens_T
    assert first.tolist() == [*tokens[:2].tolist(), *tokens[4:6].tolist(), int(tokens[8])]


def test_members_may_have_different_differences():
    arguments = dict(algorithm="speck32_64", rounds=1, mode="pairs", length=65)
    generators = [cipher.make(KEY, difference=difference, **arguments) for difference in (0, 1, 2)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *generators)
    draw = jax.vmap(
        jax.vmap(lambda generator, key: generator.example(key, 0).tokens_T, (None, 0)), (0, None)
    )
    together = np.asarray(jax.jit(draw)(stacked, keys(20)))
    for generator, tokens in zip(generators, together):
        np.testing.assert_array_equal(tokens, examples(generator, 20))
    real = together[0, :, -1] == 1
    assert 0 < real.sum() < 20
    for left, right in itertools.combinations(together, 2):
        np.testing.assert_array_equal((left != right).any(1), real)


SPECK = dict(algorithm="speck32_64", mode="pairs", length=65)


@pytest.mark.parametrize(
    "wrong",
    [
        dict(algorithm="rc4"),
        dict(rounds=-1),
        dict(rounds=10, algorithm="aes128"),
        dict(rounds=1, algorithm="lcg"),
        dict(key_bits=-1),
        dict(key_bits=257),
        dict(key_bits=31, algorithm="randu"),
        dict(key_bits=32, algorithm="xorshift32"),
        dict(low_bit=-1),
        dict(low_bit=32),
        dict(low_bit=1, algorithm="blum_blum_shub"),
        dict(shown_bits=-1),
        dict(shown_bits=33),
        dict(shown_bits=9, low_bit=8, algorithm="speck32_64"),
        dict(bits_per_token=0),
        dict(bits_per_token=9),
        dict(length=0),
        dict(length=2**31),
        dict(rounds=2**31),
        dict(mode="triples"),
        dict(mode="pairs", algorithm="lcg", length=65),
        dict(SPECK, length=64),
        dict(SPECK, length=67),
        dict(SPECK, length=1),
        dict(difference=1),
        SPECK | dict(difference=2**32),
        SPECK | dict(difference=-1),
    ],
)
def test_cipher_refuses_illegal_arguments(wrong):
    name = "difference" if "difference" in wrong else next(iter(wrong))
    name = "length" if wrong.get("length") in (1, 64, 67) else name
    with pytest.raises(ValueError, match=f"generator.{name}={wrong[name]!r}: accepted"):
        cipher.make(KEY, **wrong)
