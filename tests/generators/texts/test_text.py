"""Text generators: nothing of the corpus is lost, leaked or paired wrongly."""

import os
import re

import jax
import numpy as np
import pytest

from epx.data import catalogue, texts
from epx.generators.texts import text
from epx.run import provenance
from epx.run import setup as setups

KEY = jax.random.key(7)
UNITS = ("byte", "char", "word")
DIRECTIONS = ("forward", "reverse", "reverse_words")


@pytest.fixture
def mixed(tmp_path):
    """A file with characters of one to four bytes."""
    file = tmp_path / "mixed.txt"
    line = "The naïve café costs 3 €, 日本 and 😀 say.\n\n"
    file.write_text("".join(f"{i} {line}" for i in range(40)), encoding="utf-8", newline="")
    return str(file)


def _windows(generator, indices):
    examples = jax.jit(jax.vmap(lambda index: generator.example(KEY, index)))(indices)
    assert examples.coded_T.all()
    return np.asarray(examples.tokens_T)


def _split(generator):
    spec = generator.spec
    training = _windows(generator, np.arange(spec.size, dtype=np.uint32))
    held_out = _windows(generator, np.arange(spec.size, spec.size + spec.held_out, dtype=np.uint32))
    return training, held_out


def _in_order(generator):
    """The training and the held-out windows in the order of the corpus, as they are read."""
    training, held_out = _split(generator)
    in_order = np.empty_like(np.concatenate([training, held_out]))
    in_order[np.asarray(generator.order_N)] = np.concatenate([training, held_out])
    return in_order[: generator.size], in_order[generator.size :]


def _parts(name):
    """The training and the held-out part of a corpus."""
    found = catalogue.text(name)
    cut = texts.held_out_start(found)
    return found.text[:cut], found.text[cut:]


def _plain_words(part, known):
    """A text as known words and single characters, written the slow and obvious way."""
    out = []
    for piece in re.findall(r"\w+|\s+|[^\w\s]", part):
        out += [piece] if piece in known else list(piece)
    return out


def _plain_symbols(name, unit, words):
    """Both parts of a corpus as lists of symbols, bytes as characters below 256."""
    parts = _parts(name)
    if unit == "byte":
        return [[chr(byte) for byte in part.encode()] for part in parts]
    if unit == "char":
        return [list(part) for part in parts]
    pieces = re.findall(r"\w\w+|\s\s+", parts[0])
    ranked = sorted(set(pieces), key=lambda piece: (-pieces.count(piece), piece))
    return [_plain_words(part, ranked[:words]) for part in parts]


def _plain_turn(symbols, direction, unit):
    """A window of a corpus in the order in which this direction reads it."""
    if direction != "reverse_words":
        return symbols[::-1] if direction == "reverse" else symbols
    pieces, before = [], ""
    for symbol in symbols:
        in_word = re.match(r"\w", symbol) or (unit == "byte" and symbol >= "\x80")
        kind = "word" if in_word else "space" if symbol.isspace() else ""
        if kind and kind == before:
            pieces[-1].append(symbol)
        else:
            pieces.append([symbol])
        before = kind
    return [symbol for piece in pieces[::-1] for symbol in piece]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("which", ["zen", "mixed"])
def test_windows_reassemble_the_corpus(which, direction, unit, mixed):
    name = mixed if which == "mixed" else which
    generator = text.make(KEY, corpus=name, direction=direction, unit=unit, length=13, words=20)
    alphabet = generator.alphabet or [chr(byte) for byte in range(256)]
    for expected, windows in zip(_plain_symbols(name, unit, 20), _in_order(generator)):
        assert len(windows) == len(expected) // 13 > 0
        for n, window in enumerate(windows):
            read = [alphabet[token] for token in window]
            assert read == _plain_turn(expected[13 * n : 13 * n + 13], direction, unit)


ODD = """Numbers 3.14 and 1_000, e-mail: a.b@c.d!

\tIndented  twice,\u00a0hard\u2003em; na\u00efve na\u0069\u0308ve.

\u65e5\u672c\u8a9e\u306e\u6587\u3002 \U0001f600\U0001f600 \u0645\u0631\u062d\u0628\u0627

a

\r\nb\x00c\x1f\x7f ___ --- ... "quoted" 'single' \u201ccurly\u201d\u2014dash\n
"""


@pytest.fixture
def odd(tmp_path):
    file = tmp_path / "odd.txt"
    file.write_text(ODD * 9, encoding="utf-8", newline="")
    return str(file)


@pytest.mark.parametrize("words", [1, 7, 4096])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_words_lose_nothing(direction, words, odd):
    """Decoded one after the other, the windows are the text, character for character."""
    generator = text.make(KEY, corpus=odd, direction=direction, unit="word", length=5, words=words)
    for part, windows in zip(_parts(odd), _in_order(generator)):
        read = "".join(generator.decode(window) for window in windows)
        assert part.startswith(read) and len(read) > len(part) - 5 * 40


def test_the_words_are_the_most_frequent_of_the_training_part(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("bb aa bb cc, aa!\n\n" * 30 + "unseen zz aa\n\n" * 4, encoding="utf-8")

    def alphabet(words):
        return list(text.make(KEY, corpus=str(file), unit="word", length=4, words=words).alphabet)

    characters = sorted(set(file.read_text()))
    # aa and bb are as frequent as each other, cc as the blank line, which sorts before it.
    assert alphabet(3) == [*characters, "aa", "bb", "\n\n"]
    assert alphabet(100) == [*characters, "aa", "bb", "\n\n", "cc"], "nothing of the held-out part"


@pytest.mark.parametrize(
    ("unit", "length", "read"),
    [
        ("char", 18, "\n\n!sat it ,cat The"),
        ("byte", 18, "\\x0a\\x0a!sat it ,cat The"),
        ("word", 17, "\n\n!sat it ,cat The"),  # its only word is the blank line: one token
    ],
)
def test_reverse_words_in_plain_sight(unit, length, read, tmp_path):
    file = tmp_path / "plain.txt"
    file.write_text("The cat, it sat!\n\n" * 30)
    generator = text.make(
        KEY, corpus=str(file), direction="reverse_words", unit=unit, length=length, words=1
    )
    assert "".join(generator.symbols(generator.example(KEY, generator.size).tokens_T)) == read


def test_bytes_of_one_character_stay_together(mixed):
    """A whole window of them, turned word by word, is still UTF-8."""
    forward, by_word = (
        text.make(KEY, corpus=mixed, unit="byte", length=56, direction=direction)
        for direction in ("forward", "reverse_words")
    )
    tokens_T = by_word.example(KEY, by_word.size).tokens_T
    read = bytes(np.asarray(tokens_T).tolist()).decode()
    assert "naïve The " in read and read.endswith(" 36")
    assert by_word.decode(tokens_T) == forward.decode(forward.example(KEY, by_word.size).tokens_T)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_held_out_windows_share_no_text_with_training(tmp_path, direction):
    """In a text that repeats no character, the windows of the two parts have none in common."""
    characters = map(chr, range(0x4E00, 0x4E00 + 600))
    file = tmp_path / "distinct.txt"
    file.write_text(
        "\n\n".join("".join(next(characters) for _ in range(20)) for _ in range(30)),
        encoding="utf-8",
    )
    generator = text.make(KEY, corpus=str(file), direction=direction, length=7)
    training, held_out = (set(part.ravel().tolist()) for part in _split(generator))
    breaks = {generator.alphabet.index("\n")}
    assert not training & held_out - breaks
    assert len(held_out - breaks) > 50


@pytest.mark.parametrize("unit", UNITS)
def test_directions_pair_exactly(unit):
    forward, reverse, by_word = (
        text.make(KEY, corpus="zen", direction=direction, unit=unit, length=16, words=30)
        for direction in DIRECTIONS
    )
    assert forward.spec == reverse.spec == by_word.spec
    for one, other, third in zip(_split(forward), _split(reverse), _split(by_word)):
        np.testing.assert_array_equal(one, other[:, ::-1])
        np.testing.assert_array_equal(np.sort(one, 1), np.sort(third, 1))
        assert (third != one).any() and (third != other).any()


@pytest.mark.parametrize("unit", UNITS)
def test_directions_share_an_ensemble(unit):
    """As members: one program for all, each with its own order of reading."""
    generators = [
        text.make(KEY, corpus="zen", direction=direction, unit=unit, length=16, words=30)
        for direction in DIRECTIONS
    ]
    stacked = setups.stack(generators)
    together = jax.vmap(lambda generator: generator.example(KEY, 3).tokens_T)(stacked)
    for generator, tokens_T in zip(generators, together):
        np.testing.assert_array_equal(generator.example(KEY, 3).tokens_T, tokens_T)
        assert generator.decode(tokens_T) == generators[0].decode(together[0])


def test_order_is_a_permutation_drawn_from_the_key():
    orders = []
    for seed in range(3):
        generator = text.make(jax.random.key(seed), corpus="zen", length=8)
        order = np.asarray(generator.order_N)
        assert sorted(order[: generator.size]) == list(range(generator.size))
        assert sorted(order[generator.size :]) == list(range(generator.size, len(order)))
        assert order[: generator.size].tolist() != list(range(generator.size))
        orders.append(tuple(order))
    assert len({order[: generator.size] for order in orders}) == 3
    assert len({order[generator.size :] for order in orders}) == 1, (
        "all measure on the same windows"
    )
    again = text.make(jax.random.key(0), corpus="zen", length=8)
    assert tuple(np.asarray(again.order_N)) == orders[0]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("unit", ["byte", "char"])
def test_decode_inverts_the_alphabet(direction, unit, mixed):
    generator = text.make(KEY, corpus=mixed, unit=unit, direction=direction, length=24)
    found = catalogue.text(mixed)
    cut = texts.held_out_start(found)
    tokens_T = generator.example(KEY, generator.size).tokens_T
    expected = {"char": found.text[cut:][:24], "byte": found.text[cut:].encode()[:24].decode()}
    assert generator.decode(tokens_T) == expected[unit]


def test_decode_of_half_a_character():
    generator = text.make(KEY, **text.TINY)
    assert generator.decode(np.array([65, 0xC3])) == "A\ufffd"


def test_symbols_are_the_text(mixed):
    byte = text.make(KEY, corpus=mixed, unit="byte", length=8)
    assert byte.symbols(np.array([10, 32, 65, 126, 127, 255])) == [
        "\\x0a", " ", "A", "~", "\\x7f", "\\xff"
    ]  # fmt: skip
    for unit, direction in (("char", "reverse"), ("word", "reverse"), ("word", "forward")):
        generator = text.make(KEY, corpus=mixed, unit=unit, direction=direction, length=8)
        tokens_T = generator.example(KEY, 0).tokens_T
        symbols = generator.symbols(tokens_T)[:: -1 if direction == "reverse" else 1]
        assert len(symbols) == 8 and "".join(symbols) == generator.decode(tokens_T)


def test_units_divide_the_same_text(mixed):
    char, byte, word = (text.make(KEY, corpus=mixed, unit=unit, length=8) for unit in
                        ("char", "byte", "word"))  # fmt: skip
    assert char.spec.vocab == len(set(catalogue.text(mixed).text))
    assert byte.spec.vocab == 256
    assert word.spec.vocab > char.spec.vocab
    assert char.example(KEY, 0).tokens_T.dtype == np.int32
    assert char.tokens_NxT.dtype == byte.tokens_NxT.dtype == np.uint8


@pytest.mark.parametrize("unit", UNITS)
def test_bytes_of_the_source(unit, mixed):
    """All that is held out, in bytes, over the tokens that it takes."""
    generator = text.make(KEY, corpus=mixed, unit=unit, length=8)
    windows = _in_order(generator)[1]
    size = len("".join(generator.decode(window) for window in windows).encode("utf-8"))
    if unit == "byte":  # a window may end within a character
        size = windows.size
    assert generator.bytes_per_token == size / windows.size
    assert (generator.bytes_per_token > 1) == (unit != "byte")


def test_more_than_256_characters_keep_apart(tmp_path):
    file = tmp_path / "many.txt"
    paragraph = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    file.write_text(f"{paragraph}\n\n" * 12, encoding="utf-8")
    generator = text.make(KEY, corpus=str(file), length=300)
    assert generator.tokens_NxT.dtype == np.uint16
    assert set(paragraph) <= {
        c for window in _split(generator)[0] for c in generator.decode(window)
    }


def test_a_changed_file_is_read_again(tmp_path):
    file = tmp_path / "mine.txt"
    texts = [f"{letter}\n\n" * 20 for letter in "ab"]
    seen = []
    for second, content in enumerate(texts):
        file.write_text(content)
        os.utime(file, (second, second))
        generator = text.make(KEY, corpus=str(file), length=3)
        seen.append(generator.decode(generator.example(KEY, 0).tokens_T))
    assert seen == ["a\n\n", "b\n\n"]


def test_members_share_the_tokenised_corpus(monkeypatch, mixed):
    text.make(KEY, corpus=mixed, length=8)
    monkeypatch.setattr(catalogue, "text", lambda name: pytest.fail("loaded twice"))
    text.make(jax.random.key(1), corpus=mixed, length=8)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"unit": "line"}, ["generator.unit='line'", "char, byte, word"]),
        ({"direction": "back"}, ["generator.direction='back'", "forward, reverse, reverse_words"]),
        ({"length": 65}, ["generator.length=65", "1 to 64"]),
        ({"length": 0}, ["generator.length=0", "1 to 1048576"]),
        ({"words": 0}, ["generator.words=0", "1 piece or more"]),
        ({"words": 2**31}, ["generator.words=2147483648", "at most 1048576"]),
        ({"length": 2**31}, ["generator.length=2147483648", "1 to 1048576"]),
        ({"length": 70}, ["windows of 70 need about 700 chars, and the corpus has 856"]),
        ({"corpus": "zenn"}, ["corpus='zenn'", "'zen'"]),
    ],
)
def test_refused_arguments_are_named(arguments, words):
    with pytest.raises(ValueError) as error:
        text.make(KEY, **{"corpus": "zen", "length": 8, **arguments})
    assert all(word in str(error.value) for word in words), error.value


def test_a_byte_unit_takes_any_bytes(tmp_path):
    file, content = tmp_path / "own.bin", bytes(range(255, -1, -1)) * 4
    file.write_bytes(content)
    generator = text.make(KEY, corpus=str(file), unit="byte", length=9)
    training, held_out = _in_order(generator)
    boundary = int(0.9 * len(content))
    assert bytes(training.ravel().tolist()) == content[: boundary // 9 * 9]
    assert bytes(held_out.ravel().tolist()) == content[boundary:][: held_out.size]
    assert generator.bytes_per_token == 1


@pytest.mark.parametrize("unit", ["char", "word"])
def test_other_units_name_the_byte_that_is_not_utf8(unit, tmp_path):
    file = tmp_path / "own.txt"
    file.write_bytes("naïve ".encode("latin-1") * 40)
    with pytest.raises(ValueError, match=r"text in UTF-8, or unit=byte; byte 0xef at offset 2: "):
        text.make(KEY, corpus=str(file), unit=unit)


def test_a_record_knows_the_bytes_of_its_source(tiny_config):
    def facts(generator):
        # Six training and five held-out windows of the Zen of Python.
        run = tiny_config["run"] | {"repeats": 100}
        evaluation = tiny_config["eval"] | {"examples": 2}
        changed = {"generator": generator, "run": run, "eval": evaluation}
        return provenance.static_facts(setups.assemble(tiny_config | changed))

    words = dict(corpus="zen", unit="word", length=8)
    found = facts({"name": "text", **words})
    assert found["source_bytes_per_tok"] == text.make(KEY, **words).bytes_per_token > 1
    assert "source_bytes_per_tok" not in facts(tiny_config["generator"])


def test_shuffled_windows_have_the_same_tokens_in_another_order():
    """The same order in every run, and another one in every window."""
    plain, mixed = (text.make(KEY, corpus="zen", length=32, shuffled=s) for s in (False, True))
    orders = []
    for index in range(6):
        before, after = (np.asarray(g.example(KEY, index).tokens_T) for g in (plain, mixed))
        assert (before != after).any() and sorted(before) == sorted(after)
        orders.append(tuple(np.argsort(after, kind="stable").tolist()))
        again = text.make(jax.random.key(9), corpus="zen", length=32, shuffled=True)
        (where,) = np.flatnonzero(np.asarray(again.order_N) == int(mixed.order_N[index]))
        np.testing.assert_array_equal(again.example(KEY, where).tokens_T, after)
    assert len(set(orders)) == len(orders)
