"""Anybody's data as tokens, the controls beside it, and one clear line for what cannot be."""

import numpy as np
import pytest
from PIL import Image

from epx.data import anything, labels
from epx.types import Refusal

TEXT = "Größe zählt – or does it?\n" * 60


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def test_text_is_read_by_character(tmp_path):
    found = anything.read(write(tmp_path, "a.txt", TEXT.encode()))
    alphabet = sorted(set(TEXT))
    assert (found.name, found.unit, found.length) == ("a.txt", "character", None)
    assert found.vocab == len(alphabet)
    assert "".join(alphabet[token] for token in found.tokens_N) == TEXT
    assert found.bytes_per_token == len(TEXT.encode()) / len(TEXT)


def test_what_is_no_text_is_read_by_byte(tmp_path):
    content = bytes(np.random.default_rng(0).integers(0, 256, 4096).tolist())
    found = anything.read(write(tmp_path, "a.bin", content))
    assert found.unit == "byte" and found.bytes_per_token == 1.0
    values = sorted(set(content))
    assert bytes(values[token] for token in found.tokens_N) == content
    many = "".join(chr(1000 + n) for n in range(anything.MOST_CHARACTERS + 1)) * 4
    assert anything.read(write(tmp_path, "b.txt", many.encode())).unit == "byte"


def test_numbers_of_two_bytes_are_bytes_and_no_text(tmp_path):
    """Small ones have zeros at every second place, as UTF-16 has."""
    for order in "<>":
        content = (np.arange(4096) % 200).astype(f"{order}u2").tobytes()
        assert anything.read(write(tmp_path, "a.bin", content)).unit == "byte"
    sparse = b"word\x00\x00\x00\x00" * 400  # text in fields of fixed width
    assert anything.read(write(tmp_path, "b.bin", sparse)).tokens_N.size == len(sparse)


def test_arrays_keep_their_rows(tmp_path):
    rows = np.arange(2048).reshape(256, 8) % 5 * 3
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "b.npz", tokens=rows.reshape(-1))
    first, second = (anything.read(tmp_path / name) for name in ("a.npy", "b.npz"))
    assert first.length == 8 and second.length is None and first.vocab == second.vocab == 5
    np.testing.assert_array_equal(first.tokens_N, rows.reshape(-1) // 3)
    assert anything.examples(first, 64, 10).shape == (10, 8)
    assert anything.examples(second, 64).shape == (32, 64)


def test_pictures_become_patches_of_grey(tmp_path):
    grey = np.arange(40 * 33, dtype=np.int64).reshape(40, 33) % 256
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "b.png")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    found = anything.read(tmp_path)
    assert (found.unit, found.length, found.vocab) == ("pixel", 64, 16)
    patches = anything.examples(found, 0)
    assert patches.shape == (1 + 5 * 4, 64) and not patches[0].any()
    np.testing.assert_array_equal(patches[2].reshape(8, 8), grey[:8, 8:16] // 16)


def test_controls_keep_shape_and_frequencies():
    tokens = np.random.default_rng(0).choice(4, (50, 32), p=[0.7, 0.1, 0.1, 0.1])
    tokens[45:] = 3  # the held-out tenth
    found = dict(anything.controls(tokens, 4))
    assert list(found) == ["shuffled", "noise of the same frequencies", "a constant"]
    assert all(array.shape == tokens.shape for array in found.values())
    for part in (slice(0, 45), slice(45, None)):
        counts = [
            np.bincount(x[part].reshape(-1), minlength=4) for x in (tokens, found["shuffled"])
        ]
        np.testing.assert_array_equal(*counts)
    assert (found["shuffled"][:45] != tokens[:45]).any()
    share = (found["noise of the same frequencies"] == 0).mean()
    assert abs(share - (tokens == 0).mean()) < 5 * 0.5 / 1600**0.5
    assert set(found["a constant"].reshape(-1).tolist()) == {0}
    for name, again in anything.controls(tokens, 4):
        np.testing.assert_array_equal(again, found[name])


BAD = {
    "empty": (b"", "a file that is not empty"),
    "a byte": (b"x", "data of at least 1024 tokens; this one has 1"),
    "a symbol": (b"x" * 5000, "data of at least two different tokens; all are the same"),
    "UTF-16": (("hello " * 500).encode("utf-16"), "text in UTF-8; this one is in UTF-16"),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), "text in UTF-8; this one is in UTF-16"),
    "UTF-16, large end first": (TEXT.encode("utf-16-be"), "text in UTF-8; this one is in UTF-16"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_measured_is_refused(tmp_path, content, message):
    with pytest.raises(Refusal, match=f"file='.*x': accepted {message}"):
        anything.read(write(tmp_path, "x", content))


def test_arrays_that_are_no_tokens_are_refused(tmp_path):
    for array, message in (
        (np.arange(2000) / 3, "this is float64 of shape"),
        (np.full(2000, np.nan), "this is float64 of shape"),
        (np.arange(-5, 2000), "this is int64 of shape"),
        (np.arange(70_000), "data of at most 65,536 different tokens; this one has 70,000"),
        (np.zeros((4, 4, 4), int), "of whole numbers from 0; this is int64"),
    ):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(Refusal, match=message):
            anything.read(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", other=np.arange(9))
    for name in ("b.npz", "c.npy"):
        with pytest.raises(Refusal, match=r"accepted a \.npy or a \.npz with an array `tokens`"):
            anything.read(tmp_path / name)
    with pytest.raises(Refusal, match="accepted a folder of pictures: png"):
        anything.read(tmp_path)
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(Refusal, match=r"x\.png': accepted a picture"):
        anything.read(tmp_path)


TABLE = "age,town,answer\n20,Rome,yes\n30,Oslo,no\n40,Rome,yes\n"


def test_labels_come_with_their_inputs(tmp_path):
    path = write(tmp_path, "t.csv", TABLE.encode())
    found = labels.labelled(path, "answer")
    assert found.name == "t.csv: answer" and found.classes == ("no", "yes")
    np.testing.assert_array_equal(found.labels_N, [1, 0, 1])
    deviation = np.std([20, 30, 40])
    np.testing.assert_allclose(
        found.inputs_NxR[:, 0], np.array([-10, 0, 10]) / deviation, rtol=1e-6
    )
    np.testing.assert_array_equal(found.inputs_NxR[:, 1:], [[0, 1], [1, 0], [0, 1]])
    assert labels.labelled(path, "answer", ("age",)).inputs_NxR.shape == (3, 1)


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("a,a,b\n1,2,3\n", "b", "columns of different names; two are a"),
        (TABLE, "colour", "column='colour': accepted the columns of the file: age, town, answer"),
        ("x,y\n1,a\n2,a\n", "y", "a label of 2 to 65,536 classes; this one has 1"),
        ("x,y\nnan,a\n2,b\n", "y", "column='x': accepted a column of finite numbers; 1 are not"),
        ("x,y\n1,a\n2\n", "y", "rows of 2 values; line 3 has another number"),
        ("y\na\nb\n", "y", "a label beside at least one column of inputs"),
        ("x,y\n", "y", "a CSV file with a line of names and rows below it"),
    ],
)
def test_tables_that_cannot_be_measured_are_refused(tmp_path, text, label, message):
    with pytest.raises(Refusal, match=message):
        labels.labelled(write(tmp_path, "t.csv", text.encode()), label)
    names = "x,y\n" + "".join(f"n{n},{n % 2}\n" for n in range(100))
    with pytest.raises(Refusal, match="of at most 64 different values; this one has 100"):
        labels.labelled(write(tmp_path, "u.csv", names.encode()), "y")
