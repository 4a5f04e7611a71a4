"""Files: paths of the user, checked before anything is computed; atomic writes; digests."""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from epx.types import refusal, require

# Endings of the formats that figures are written in, without the dot.
FIGURES = ("png", "pdf", "svg")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    The content goes to `path.tmp`, is flushed to the disk, and is renamed. A reader sees the old
    file or the new one, even if the process is killed.

    Raises:
      OSError: it cannot be written; an old file stays unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def digest(arrays: Iterable[np.ndarray], *, shapes: bool = False) -> str:
    """The sha256, hexadecimal, of the bytes of arrays in order.

    Args:
      arrays: numpy arrays, or values that numpy converts.
      shapes: also digest dtypes and shapes, so that equal bytes of different arrays differ.
    """
    sha256 = hashlib.sha256()
    for array in map(np.asarray, arrays):
        if shapes:
            sha256.update(f"{array.dtype} {array.shape}".encode())
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


def existing(key: str, name: str, accepted: str) -> Path:
    """The path of a regular file that is there.

    Args:
      key: the flag, argument or config key that holds the path.
      name: as the user wrote it; `~` is the user's home.
      accepted: what would be accepted, for the message of a refusal.

    Raises:
      ValueError: there is no such file, or it is a folder, a device, or not a path.
    """
    path, mode = _status(key, name, accepted)
    require(key, name, mode is not None, f"{accepted}; there is no such file")
    require(key, name, stat.S_ISREG(mode), f"{accepted}; this is a {_kind(mode)}")
    return path


def read(key: str, name: str, accepted: str) -> bytes:
    """The content of a regular file. Arguments and errors as `existing`; also if it cannot be read.

    A device may have no end, so none is read.
    """
    path = existing(key, name, accepted)
    try:
        return path.read_bytes()
    except OSError as error:
        raise refusal(key, name, f"{accepted}; this cannot be read: {error.strerror}") from None


def output(key: str, name: str, endings: tuple[str, ...] = (), new: bool = False) -> Path:
    """The path of a file that can be written.

    Args:
      key, name: as in `existing`.
      endings: accepted endings of the name, without the dot; empty accepts any.
      new: refuse a file that is there.

    Raises:
      ValueError: a folder, a device, a folder that is not there or cannot be written, another
        ending, or not a path.
    """
    accepted = "a file in a folder that can be written"
    if endings:
        accepted = f"a file that ends in {', '.join(endings)}, in a folder that can be written"
    path, mode = _status(key, name, accepted)
    if mode is not None:
        require(key, name, stat.S_ISREG(mode), f"{accepted}; this is a {_kind(mode)}")
        require(key, name, not new, f"{accepted}; this one exists")
    fits = not endings or path.suffix.lstrip(".").lower() in endings
    require(key, name, fits, accepted)
    parent = path.parent
    require(key, name, parent.is_dir(), f"{accepted}; there is no such folder")
    require(key, name, os.access(parent, os.W_OK), f"{accepted}; this folder cannot be written")
    return path


def folder(key: str, name: str) -> Path:
    """The path of a folder, or of nothing yet. Arguments and errors as `existing`."""
    path, mode = _status(key, name, "a folder")
    if mode is not None:
        require(key, name, stat.S_ISDIR(mode), f"a folder; this is a {_kind(mode)}")
    return path


def _status(key: str, name: str, accepted: str) -> tuple[Path, int | None]:
    """A path and its mode, which is None where nothing is there."""
    require(key, name, isinstance(name, str | os.PathLike), accepted)
    try:
        path = Path(name).expanduser()
        return path, path.stat().st_mode
    except FileNotFoundError:
        return path, None
    except OSError as error:
        raise refusal(key, name, f"{accepted}; this cannot be read: {error.strerror}") from None
    except (ValueError, RuntimeError) as error:  # a zero byte, or a home of nobody
        raise refusal(key, name, f"{accepted}; this is not a path: {error}") from None


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "device or pipe"
