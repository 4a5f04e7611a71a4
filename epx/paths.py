"""Paths that a user names: the one place where they are checked, before anything is computed."""

import os
import stat
from pathlib import Path

from epx.types import refusal, require

# Endings of the formats that figures are written in, without the dot.
FIGURES = ("png", "pdf", "svg")


def file(key: str, name: str, accepted: str) -> Path:
    """The path of a regular file that is there.

    Args:
      key: the flag, argument or config key that holds the path.
      name: as the user wrote it; `~` is the user's home.
      accepted: what would be accepted, for the message of a refusal.

    Raises:
      ValueError: there is no such file, or it is a folder, a device or no path at all.
    """
    path, mode = _status(key, name, accepted)
    require(key, name, mode is not None, f"{accepted}; there is no such file")
    require(key, name, stat.S_ISREG(mode), f"{accepted}; this is a {_kind(mode)}")
    return path


def read(key: str, name: str, accepted: str) -> bytes:
    """The content of a regular file; a device may have no end. Arguments and errors as `file`, and
    a ValueError where it cannot be read."""
    path = file(key, name, accepted)
    try:
        return path.read_bytes()
    except OSError as error:
        raise refusal(key, name, f"{accepted}; this cannot be read: {error.strerror}") from None


def output(key: str, name: str, endings: tuple[str, ...] = (), new: bool = False) -> Path:
    """The path of a file that can be written.

    Args:
      key, name: as in `file`.
      endings: accepted endings of the name, without the dot; empty accepts any.
      new: refuse a file that is there.

    Raises:
      ValueError: a folder, a device, a folder that is not there or cannot be written, another
        ending, or no path at all.
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
    """The path of a folder, or of nothing yet. Arguments and errors as `file`."""
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
        raise refusal(key, name, f"{accepted}; this is no path: {error}") from None


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "device or pipe"
