"""Corpora: known texts, cuts at documents, and a cache that survives damage."""

import dataclasses
import hashlib
import logging
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest

from epx.data import catalogue, texts
from epx.data.sources import Text

DOCUMENTS = ["one\n\n", "two ünï\n\n", "three\n\n"]


def replace(monkeypatch, name, make):
    entry = dataclasses.replace(catalogue.CORPORA[name], prepare=make)
    monkeypatch.setitem(catalogue.CORPORA, name, entry)


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


def test_zen_is_not_printed_and_jax_is_not_imported():
    code = (
        "import sys; from epx import corpora; catalogue.text('zen'); sys.exit('jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_pydoc_is_prepared_once_and_read_back(tmp_path, monkeypatch):
    made = catalogue.text("pydoc", tmp_path)
    assert 1_500_000 < len(made.text) < 5_000_000
    assert made.sha256 == hashlib.sha256(made.text.encode()).hexdigest()
    documents = [made.text[a:b] for a, b in zip(made.starts, [*made.starts[1:], None])]
    assert len(set(documents)) == len(documents) > 500
    replace(monkeypatch, "pydoc", lambda downloads, report: pytest.fail("prepared twice"))
    found = catalogue.text("pydoc", tmp_path)
    assert found.text == made.text
    np.testing.assert_array_equal(found.starts, made.starts)


def test_documents_tile_the_text(small):
    found = catalogue.text("pydoc")
    assert [found.text[start] for start in found.starts] == list("ott")
    assert found.starts.dtype == np.int64


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", ["zen", "pydoc"])
def test_held_out_part_starts_at_the_nearest_document(small, name, fraction):
    found = catalogue.text(name)
    cut = texts.held_out_start(found, fraction)
    assert cut in found.starts[1:]
    target = (1 - fraction) * len(found.text)
    assert abs(cut - target) == min(abs(start - target) for start in found.starts[1:])


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_held_out_fraction_out_of_range(fraction):
    with pytest.raises(ValueError, match="fraction="):
        texts.held_out_start(catalogue.text("zen"), fraction)


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


def test_unwritable_cache_is_done_without(small, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("a file where the folder should be")
    monkeypatch.setenv("EPX_CACHE", str(tmp_path / "file"))
    caplog.set_level(logging.WARNING)
    assert catalogue.text("pydoc").text.startswith("one")
    assert "not cached" in caplog.text
    assert "EPX_CACHE" in caplog.text


def test_listing_says_what_is_cached(small):
    assert {row.size for row in catalogue.listing()} == {None}
    made = catalogue.text("pydoc")
    rows = {row.name: row for row in catalogue.listing()}
    assert rows["pydoc"].size == small.stat().st_size
    assert rows["pydoc"].file == small
    assert rows["pydoc"].sha256 == made.sha256
    small.write_bytes(b"damaged")
    assert catalogue.listing()[0][-3:] == (7, None, False)
    assert rows["zen"].file is None
    assert all(row.about and row.licence for row in rows.values())


def test_training_downloads_nothing(monkeypatch, tmp_path):
    """A text that needs a download is prepared when asked for, and found from then on."""
    replace(monkeypatch, "gcide", lambda downloads, report: Text(DOCUMENTS, f"from {downloads}"))
    with pytest.raises(ValueError, match=r"'gcide'.*python -m experiments.data prepare gcide"):
        catalogue.text("gcide", tmp_path)
    made = catalogue.prepare("gcide", tmp_path)
    assert made.source == f"from {tmp_path / 'downloads'}"
    assert catalogue.text("gcide", tmp_path).sha256 == made.sha256
    assert catalogue.text("gcide", tmp_path).source == made.source


def test_verify(small, monkeypatch):
    assert catalogue.verify("zen").state == "ok"
    assert catalogue.verify("pydoc").state == "not prepared"
    made = catalogue.text("pydoc")
    found = catalogue.verify("pydoc")
    assert found[:2] == ("pydoc", "ok") and "no sha256 is known" in found.detail
    monkeypatch.setitem(texts.KNOWN, "pydoc", ("nowhere 1", made.sha256))
    assert "known to be made from nowhere 1" in catalogue.verify("pydoc").detail
    small.write_bytes(_other_text(small.read_bytes()))
    assert catalogue.verify("pydoc").state == "damaged"
    with pytest.raises(ValueError, match="did you mean 'pydoc'"):
        catalogue.verify("pydocs")


def test_another_text_than_is_known_is_told(small, monkeypatch, caplog):
    monkeypatch.setitem(texts.KNOWN, "pydoc", ("nowhere 1", "0" * 64))
    catalogue.text("pydoc")
    assert "0" * 64 in caplog.text
    assert catalogue.verify("pydoc").state == "damaged"
    monkeypatch.setitem(texts.KNOWN, "pydoc", ("nowhere 2", "0" * 64))
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


def test_single_document_cannot_be_cut(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("one paragraph\nof two lines\n\n")
    with pytest.raises(ValueError, match="single document"):
        texts.held_out_start(catalogue.text(str(file)))


def test_foreign_encoding_is_refused(tmp_path):
    file = tmp_path / "latin.txt"
    file.write_bytes("é".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.txt.*UTF-8"):
        catalogue.text(str(file))


def test_unknown_name_is_helped(tmp_path):
    with pytest.raises(ValueError) as error:
        catalogue.text("pydocs")
    message = str(error.value)
    assert "corpus='pydocs'" in message
    assert "pydoc, code, zen" in message
    assert "path of a UTF-8 text file" in message
    assert "did you mean 'pydoc'?" in message
    with pytest.raises(ValueError, match="nor the path of a UTF-8 text file"):
        catalogue.text(str(tmp_path))  # a folder is no file
