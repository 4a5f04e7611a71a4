"""Corpora: known texts, cuts at documents, and a cache that survives damage."""

import dataclasses
import hashlib
import logging
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from epx.data import catalogue, texts
from epx.data.sources import Text

DOCUMENTS = ["one\n\n", "two ünï\n\n", "three\n\n"]


def replace(monkeypatch, name, make):
    entry = dataclasses.replace(catalogue.CORPORA[name], prepare=make)
    monkeypatch.setitem(catalogue.CORPORA, name, entry)


def publish(monkeypatch, source, sha256):
    entry = dataclasses.replace(catalogue.CORPORA["pydoc"], source=source, sha256=sha256)
    monkeypatch.setitem(catalogue.CORPORA, "pydoc", entry)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """`pydoc` made of three short documents, in a cache of the test's own."""
    monkeypatch.setenv("EPX_CACHE", str(tmp_path))
    replace(monkeypatch, "pydoc", lambda downloads, report: Text(DOCUMENTS, "nowhere 1"))
    return catalogue.path(catalogue.CORPORA["pydoc"])


def test_zen_is_the_known_text():
    zen = catalogue.text("zen")
    lines = zen.text.splitlines()
    assert lines[0] == "The Zen of Python, by Tim Peters"
    assert lines[-1] == "Namespaces are one honking great idea -- let's do more of those!"
    assert zen.sha256 == "e250f274f33b9b621a04264025d50e5fb9b1f989f444d13bb373882e734e996f"
    assert [zen.text[start:].splitlines()[0] for start in zen.starts] == lines


def test_pydoc_is_prepared_once_and_read_back(monkeypatch):
    made = catalogue.text("pydoc")
    assert 1_500_000 < len(made.text) < 5_000_000
    assert made.sha256 == hashlib.sha256(made.text.encode()).hexdigest()
    documents = [made.text[a:b] for a, b in zip(made.starts, [*made.starts[1:], None])]
    assert len(set(documents)) == len(documents) > 500
    replace(monkeypatch, "pydoc", lambda downloads, report: pytest.fail("prepared twice"))
    found = catalogue.text("pydoc")
    assert found.text == made.text
    np.testing.assert_array_equal(found.starts, made.starts)


def test_documents_tile_the_text(small):
    found = catalogue.text("pydoc")
    assert [found.text[start] for start in found.starts] == list("ott")
    assert found.starts.dtype == np.int64


@pytest.mark.parametrize("size", [5, 7, 8, 9, 11, 20, 1000])
def test_the_held_out_part_starts_at_the_document_nearest_to_its_tenth(tmp_path, size, caplog):
    """Documents of `size` letters; where none starts near the last tenth, the cut is exact."""
    file = tmp_path / "own.txt"
    file.write_text(("x" * (size - 2) + "\n\n") * (100 // size) + "y" * (100 % size))
    corpus = catalogue.text(str(file))
    length = len(corpus.text)
    start = texts.held_out_start(corpus)
    distances = [abs(start - 0.9 * length) for start in corpus.starts[1:]]
    near = [s for s in corpus.starts[1:] if 0.05 <= 1 - s / length <= 0.2]
    if near:
        assert start in near and abs(start - 0.9 * length) == min(distances)
        assert not caplog.text
    else:
        assert start == int(0.9 * length) and len(caplog.records) == 1


PLAIN = {
    "one line": b"word " * 100,
    "CRLF lines": b"a line\r\n" * 100,
    "a log": b"".join(b"12:00:%02d INFO started\n" % n for n in range(60)),
    "DNA": b"ACGTTGCA" * 60,
    "emoji": "\U0001f600\U0001f680".encode() * 100,
    "a blank line at the start": b"title\n\n" + b"x" * 500,
}


@pytest.mark.parametrize("kind", PLAIN)
def test_of_plain_text_without_documents_the_last_tenth_is_held_out(kind, tmp_path, caplog):
    file = tmp_path / "own.txt"
    file.write_bytes(PLAIN[kind])
    corpus = catalogue.text(str(file))
    assert texts.held_out_start(corpus) == int(0.9 * len(corpus.text))
    (record,) = caplog.records
    assert "own.txt" in record.getMessage() and "10 %" in record.getMessage()


def test_blank_lines_with_carriage_returns_separate_documents(tmp_path, caplog):
    file = tmp_path / "own.txt"
    file.write_bytes(b"a line\r\n\r\n" * 40)
    assert texts.held_out_start(catalogue.text(str(file))) == 36 * 10
    assert not caplog.text


def _truncate(data):
    return data[: len(data) // 2]


def _other_text(data):
    """A whole archive whose text is not the one that its sha256 was taken of."""
    buffer = BytesIO()
    with np.load(BytesIO(data)) as file:
        np.savez(buffer, **{**file, "text": file["text"] + np.uint8(1)})
    return buffer.getvalue()


DAMAGES = {
    "empty": lambda data: b"",
    "truncated": _truncate,
    "no archive": lambda data: b"not a zip file",
    "flipped byte": lambda data: data.replace(b"three", b"thrEe"),
    "another text": _other_text,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_cache_is_rebuilt(small, caplog, damage):
    made = catalogue.text("pydoc")
    whole = small.read_bytes()
    small.write_bytes(DAMAGES[damage](whole))
    assert small.read_bytes() != whole
    caplog.set_level(logging.WARNING)
    assert catalogue.text("pydoc").text == made.text
    assert "is damaged" in caplog.text
    caplog.clear()
    assert catalogue.text("pydoc").text == made.text  # the file itself was mended
    assert not caplog.text


def test_every_single_damaged_byte_is_harmless(small):
    made = catalogue.text("pydoc")
    whole = small.read_bytes()
    for position in range(0, len(whole), 7):
        small.write_bytes(
            whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
        )
        found = catalogue.text("pydoc")
        assert found.text == made.text
        np.testing.assert_array_equal(found.starts, made.starts)


def test_cache_leaves_no_partial_file(small):
    catalogue.text("pydoc")
    assert list(small.parent.iterdir()) == [small]


def test_unwritable_cache_is_warned_about(small, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("a file where the folder should be")
    monkeypatch.setenv("EPX_CACHE", str(tmp_path / "file"))
    caplog.set_level(logging.WARNING)
    assert catalogue.text("pydoc").text.startswith("one")
    assert "not cached" in caplog.text
    assert "EPX_CACHE" in caplog.text


def test_list_reports_what_is_cached(small):
    assert catalogue.status("pydoc").size is None
    made = catalogue.text("pydoc")
    rows = {row.entry.name: row for row in catalogue.listing()}
    assert rows["pydoc"].size == small.stat().st_size
    assert rows["pydoc"].file == small
    assert rows["pydoc"].sha256 == made.sha256
    small.write_bytes(b"damaged")
    assert catalogue.listing()[0][-2:] == (7, None)
    assert rows["zen"].file is None


def test_training_downloads_nothing(monkeypatch, tmp_path):
    """A text that needs a download is prepared when asked for, and found from then on."""
    replace(monkeypatch, "gcide", lambda downloads, report: Text(DOCUMENTS, f"from {downloads}"))
    with pytest.raises(ValueError, match=r"'gcide'.*prepare it first"):
        catalogue.text("gcide", tmp_path)
    made = catalogue.prepare("gcide", tmp_path)
    assert made.source == f"from {tmp_path / 'downloads'}"
    assert catalogue.text("gcide", tmp_path).sha256 == made.sha256
    assert catalogue.text("gcide", tmp_path).source == made.source


def test_verify_compares_with_the_published_digest(small, monkeypatch):
    assert catalogue.verify("zen").state == "ok"
    assert catalogue.verify("pydoc").state == "not prepared"
    made = catalogue.text("pydoc")
    found = catalogue.verify("pydoc")
    assert found[:2] == ("pydoc", "ok") and "no sha256 is published" in found.detail
    publish(monkeypatch, "nowhere 1", made.sha256)
    assert "published one for nowhere 1" in catalogue.verify("pydoc").detail
    small.write_bytes(_other_text(small.read_bytes()))
    assert catalogue.verify("pydoc").state == "damaged"
    with pytest.raises(ValueError, match="did you mean 'pydoc'"):
        catalogue.verify("pydocs")


def test_unknown_text_is_reported(small, monkeypatch, caplog):
    publish(monkeypatch, "nowhere 1", "0" * 64)
    catalogue.text("pydoc")
    assert "0" * 64 in caplog.text
    assert catalogue.verify("pydoc").state == "damaged"
    publish(monkeypatch, "nowhere 2", "0" * 64)
    assert catalogue.verify("pydoc").state == "ok"  # another version has another text


def test_path_corpus_is_cut_at_blank_lines(tmp_path):
    data = b"first\nparagraph\r\n \t\r\n\n  second\n\nthird \xc3\xa9\n\n"
    file = tmp_path / "mine.txt"
    file.write_bytes(data)
    found = catalogue.text(str(file))
    assert found.text.encode() == data
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    ends = [*found.starts[1:], None]
    documents = [found.text[start:end] for start, end in zip(found.starts, ends)]
    assert documents == ["first\nparagraph\r\n \t\r\n\n", "  second\n\n", "third é\n\n"]


@pytest.mark.parametrize(
    "content", ["é".encode("latin-1"), "é".encode("utf-16"), bytes(range(256))]
)
def test_bytes_that_are_not_utf8_are_kept_as_they_are(content, tmp_path):
    file = tmp_path / "own.bin"
    file.write_bytes(content)
    corpus = catalogue.text(str(file))
    assert corpus.encode(corpus.text) == content
    assert corpus.sha256 == hashlib.sha256(content).hexdigest()
    offset = next(n for n, byte in enumerate(content) if byte >= 128)
    assert f"byte 0x{content[offset]:02x} at offset {offset}: " in corpus.not_utf8


def test_an_unknown_name_lists_the_names_and_suggests_one():
    with pytest.raises(ValueError) as error:
        catalogue.text("pydocs")
    message = str(error.value)
    assert message.startswith("generator.corpus='pydocs': accepted pydoc, code, zen")
    assert "path of a text file of your own" in message
    assert "did you mean 'pydoc'?" in message


@pytest.mark.parametrize("kind", ["text", "chess"])
def test_paths_that_cannot_be_read_are_refused_in_one_line(kind, tmp_path, monkeypatch):
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    load = {"text": catalogue.text, "chess": catalogue.book}[kind]
    for name, reason in {
        "x" * 5000: "File name too long",
        "/dev/zero": "device or pipe",
        str(tmp_path / "pipe"): "device or pipe",
        str(tmp_path): "folder",
        str(tmp_path / "empty"): "is empty",
        str(tmp_path / "empty" / "inside"): "Not a directory",
        str(tmp_path / "none"): "no such file",
        "~nobody-of-this-name/x": "not a path",
        "a\0b": "not a path",
    }.items():
        with pytest.raises(ValueError, match=reason) as error:
            load(name)
        message = str(error.value)
        assert message.startswith("generator.corpus=") and "\n" not in message
        assert len(message) < 600
    (tmp_path / "closed").write_text("text")
    monkeypatch.setattr(Path, "read_bytes", _denied)  # root may read everything
    with pytest.raises(ValueError, match="Permission denied"):
        load(str(tmp_path / "closed"))


def _denied(path):
    raise PermissionError(13, "Permission denied", str(path))


def test_a_corpus_of_the_other_kind_is_refused():
    with pytest.raises(ValueError, match=r"generator\.corpus='gnubook': accepted pydoc"):
        catalogue.text("gnubook")
    with pytest.raises(ValueError, match=r"generator\.corpus='zen': accepted gnubook"):
        catalogue.book("zen")
