"""Paths that a user names as a corpus: the one place where they are checked and read."""

import stat
from pathlib import Path

from epx.types import refusal

KEY = "generator.corpus"


def modified_ns(name: str) -> int:
    """When a file was last modified, in nanoseconds; 0 where there is no such file."""
    try:
        return Path(name).expanduser().stat().st_mtime_ns
    except (OSError, ValueError, RuntimeError):  # `read` says why
        return 0


def is_file(name: str) -> bool:
    """Whether a name is the path of an existing regular file."""
    try:
        return stat.S_ISREG(Path(name).expanduser().stat().st_mode)
    except (OSError, ValueError, RuntimeError):
        return False


def read(name: str, accepted: str) -> bytes:
    """The content of a user's file.

    Args:
      name: its path; `~` is the user's home.
      accepted: what would be accepted instead, for the message of a refusal.

    Raises:
      ValueError: there is no such file, or it is not a regular one, cannot be read, or is empty.
    """
    try:
        path = Path(name).expanduser()
        mode = path.stat().st_mode
        content = path.read_bytes() if stat.S_ISREG(mode) else b""  # a device may have no end
    except FileNotFoundError:
        raise refusal(KEY, name, f"{accepted}; there is no such file") from None
    except OSError as error:
        raise refusal(KEY, name, f"{accepted}; this cannot be read: {error.strerror}") from None
    except (ValueError, RuntimeError) as error:  # a zero byte, or a home folder of nobody
        raise refusal(KEY, name, f"{accepted}; this is no path: {error}") from None
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "device or pipe"
        raise refusal(KEY, name, f"{accepted}; this is a {kind}")
    if not content:
        raise refusal(KEY, name, f"{accepted}; this file is empty")
    return content
