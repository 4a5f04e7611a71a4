"""Text worlds: nothing of the corpus is lost, leaked or paired wrongly."""

import os

import jax
import numpy as np
import pytest

from epx import corpora
from epx.generators import text

KEY = jax.random.key(7)


@pytest.fixture
def mixed(tmp_path):
    """A file with characters of one to four bytes."""
    file = tmp_path / "mixed.txt"
    line = "The naïve café costs 3 €, 日本 and 😀 say.\n\n"
    file.write_text("".join(f"{i} {line}" for i in range(40)), encoding="utf-8", newline="")
    return str(file)


def _windows(world, indices):
    examples = jax.vmap(lambda index: world.example(KEY, index))(indices)
    assert examples.coded_T.all()
    return np.asarray(examples.tokens_T)


def _split(world):
    spec = world.spec
    training = _windows(world, np.arange(spec.size, dtype=np.uint32))
    held_out = _windows(world, np.arange(spec.size, spec.size + spec.held_out, dtype=np.uint32))
    return training, held_out


def _reassembled(world):
    """The training and the held-out part as texts, each less the tail of less than a window."""
    training, held_out = _split(world)
    in_order = np.empty_like(np.concatenate([training, held_out]))
    in_order[np.asarray(world.order_N)] = np.concatenate([training, held_out])
    if world.reverse:
        in_order = in_order[:, ::-1]
    return in_order[: world.size].ravel(), in_order[world.size :].ravel()


def _plain_tokens(part, unit, alphabet):
    """The tokens of a text, written the slow and obvious way."""
    if unit == "byte":
        return list(part.encode())
    return [alphabet.index(character) for character in part]


@pytest.mark.parametrize("unit", ["byte", "char"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("which", ["zen", "mixed"])
def test_windows_reassemble_the_corpus(which, direction, unit, mixed):
    name = mixed if which == "mixed" else which
    world = text.make(KEY, corpus=name, direction=direction, unit=unit, length=13)
    found = corpora.load(name)
    cut = corpora.held_out_start(found)
    alphabet = sorted(set(found.text))
    for part, tokens in zip((found.text[:cut], found.text[cut:]), _reassembled(world)):
        expected = _plain_tokens(part, unit, alphabet)
        whole = len(expected) // 13 * 13
        assert 0 < whole == len(tokens)
        assert tokens.tolist() == expected[:whole]


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_held_out_windows_share_no_text_with_training(tmp_path, direction):
    """In a text that repeats no character, the windows of the two parts have none in common."""
    characters = map(chr, range(0x4E00, 0x4E00 + 600))
    file = tmp_path / "distinct.txt"
    file.write_text(
        "\n\n".join("".join(next(characters) for _ in range(20)) for _ in range(30)),
        encoding="utf-8",
    )
    world = text.make(KEY, corpus=str(file), direction=direction, length=7)
    training, held_out = (set(part.ravel().tolist()) for part in _split(world))
    breaks = {world.alphabet.index("\n")}
    assert not training & held_out - breaks
    assert len(held_out - breaks) > 50


@pytest.mark.parametrize("unit", ["byte", "char"])
def test_directions_pair_exactly(unit):
    forward, reverse = (
        text.make(KEY, corpus="zen", direction=direction, unit=unit, length=16)
        for direction in ("forward", "reverse")
    )
    assert forward.spec == reverse.spec
    for one, other in zip(_split(forward), _split(reverse)):
        np.testing.assert_array_equal(one, other[:, ::-1])


def test_order_is_a_permutation_drawn_from_the_key():
    orders = []
    for seed in range(3):
        world = text.make(jax.random.key(seed), corpus="zen", length=8)
        order = np.asarray(world.order_N)
        assert sorted(order[: world.size]) == list(range(world.size))
        assert sorted(order[world.size :]) == list(range(world.size, len(order)))
        assert order[: world.size].tolist() != list(range(world.size))
        orders.append(tuple(order))
    assert len({order[: world.size] for order in orders}) == 3
    assert len({order[world.size :] for order in orders}) == 1, "all measure on the same windows"
    again = text.make(jax.random.key(0), corpus="zen", length=8)
    assert tuple(np.asarray(again.order_N)) == orders[0]


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("unit", ["byte", "char"])
def test_decode(direction, unit, mixed):
    world = text.make(KEY, corpus=mixed, unit=unit, direction=direction, length=24)
    found = corpora.load(mixed)
    cut = corpora.held_out_start(found)
    tokens_T = world.example(KEY, world.size).tokens_T
    expected = {"char": found.text[cut:][:24], "byte": found.text[cut:].encode()[:24].decode()}
    assert world.decode(tokens_T) == expected[unit]


def test_decode_of_half_a_character():
    world = text.make(KEY, **text.TINY)
    assert world.decode(np.array([65, 0xC3])) == "A\ufffd"


def test_units(mixed):
    found = corpora.load(mixed)
    char, byte = (text.make(KEY, corpus=mixed, unit=unit, length=8) for unit in ("char", "byte"))
    assert char.spec.vocab == len(set(found.text))
    assert byte.spec.vocab == 256
    assert byte.bytes_per_token == 1
    assert char.bytes_per_token == len(found.text.encode()) / len(found.text) > 1
    assert char.example(KEY, 0).tokens_T.dtype == np.int32
    assert char.tokens_NxT.dtype == byte.tokens_NxT.dtype == np.uint8


def test_more_than_256_characters_keep_apart(tmp_path):
    file = tmp_path / "many.txt"
    paragraph = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    file.write_text(f"{paragraph}\n\n" * 12, encoding="utf-8")
    world = text.make(KEY, corpus=str(file), length=300)
    assert world.tokens_NxT.dtype == np.uint16
    assert set(paragraph) <= {c for window in _split(world)[0] for c in world.decode(window)}


def test_a_changed_file_is_read_again(tmp_path):
    file = tmp_path / "mine.txt"
    texts = [f"{letter}\n\n" * 20 for letter in "ab"]
    seen = []
    for second, content in enumerate(texts):
        file.write_text(content)
        os.utime(file, (second, second))
        world = text.make(KEY, corpus=str(file), length=3)
        seen.append(world.decode(world.example(KEY, 0).tokens_T))
    assert seen == ["a\n\n", "b\n\n"]


def test_members_share_the_tokenised_corpus(monkeypatch, mixed):
    text.make(KEY, corpus=mixed, length=8)
    monkeypatch.setattr(corpora, "load", lambda name: pytest.fail("loaded twice"))
    text.make(jax.random.key(1), corpus=mixed, length=8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"unit": "word"}, ["unit='word'", "char, byte"]),
        ({"direction": "backward"}, ["direction='backward'", "forward, reverse"]),
        ({"length": 65}, ["length=65", "1 to 64"]),
        ({"length": 0}, ["length=0", "1 to 64"]),
        ({"corpus": "zenn"}, ["corpus='zenn'", "'zen'"]),
    ],
)
def test_useful_errors(arguments, words):
    with pytest.raises(ValueError) as error:
        text.make(KEY, **{"corpus": "zen", "length": 8, **arguments})
    assert all(word in str(error.value) for word in words), error.value
