"""Archives of the cache: whole, or as if they were not there."""

import hashlib
import sys

import numpy as np
import pytest

from epx.data import cache

CONTENT = {"a": np.arange(5, dtype=np.int16), "b": np.array([7, 8], np.uint8)}


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "folder" / "archive.npz"
    cache.write(path, CONTENT, source="somewhere")
    return path


def test_round_trip(archive):
    found = cache.read(archive, CONTENT, ["source"])
    assert {name: found[name].tolist() for name in CONTENT} == {"a": [0, 1, 2, 3, 4], "b": [7, 8]}
    assert str(found["source"]) == "somewhere"
    expected = hashlib.sha256(bytes([0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 7, 8])).hexdigest()
    assert str(found["sha256"]) == expected
    assert cache.read_sha256(archive) == expected
    assert [file.name for file in archive.parent.iterdir()] == [archive.name]


@pytest.mark.parametrize("names", [[["b", "a"]], [["a"]], [["missing"]], [CONTENT, ["missing"]]])
def test_changed_content_is_refused(archive, names, caplog):
    assert cache.read(archive, *names) is None
    assert "is damaged" in caplog.text and str(archive) in caplog.text


def test_missing_entry_is_none(tmp_path, caplog):
    (tmp_path / "file").touch()
    for path in (tmp_path / "none.npz", tmp_path / "file" / "none.npz"):
        assert cache.read(path, CONTENT) is None
        assert cache.read_sha256(path) is None
    assert not caplog.text


def test_a_failed_write_leaves_what_was_there(archive, monkeypatch):
    def full_disk(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        cache.write(archive, {"a": np.zeros(3)})
    assert cache.read(archive, CONTENT) is not None
    assert [file.name for file in archive.parent.iterdir()] == [archive.name]


def test_folder_comes_from_the_environment_or_the_system(monkeypatch, tmp_path):
    monkeypatch.delenv("EPX_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    if sys.platform == "linux":
        assert cache.folder() == tmp_path / ".cache" / "epx"
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache.folder() == tmp_path / "xdg" / "epx"
    monkeypatch.setenv("EPX_CACHE", str(tmp_path / "own"))
    assert cache.folder() == tmp_path / "own"
