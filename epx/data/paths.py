"""Checks and reading of the user's files that are corpora."""

import stat
from pathlib import Path

from epx.types import refusal

KEY = "generator.corpus"


def modified_ns(name: str) -> int:
    """Time of a file's last modification, in nanoseconds; 0 if there is no such file."""
    try:
        return Path(name).expanduser().stat().st_mtime_ns
    except (OSError, ValueError, RuntimeError):  # `read` reports the reason
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
      name: the path; `~` is the user's home.
      accepted: the accepted values, for the refusal.

    Raises:
      ValueError: there is no such file, or it is not regular, cannot be read, or is empty.
    """
    try:
        path = Path(name).expanduser()
        mode = path.stat().st_mode
        content = path.read_bytes() if stat.S_ISREG(mode) else b""  # a device may have no end
    except FileNotFoundError:
        raise refusal(KEY, name, f"{accepted}; there is no such file") from None
    except OSError as error:
        raise refusal(KEY, name, f"{accepted}; this cannot be read: {error.strerror}") from None
    except (ValueError, RuntimeError) as error:  # such as a zero byte, or `~` of an unknown user
        raise refusal(KEY, name, f"{accepted}; this is not a path: {error}") from None
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "device or pipe"
        raise refusal(KEY, name, f"{accepted}; this is a {kind}")
    if not content:
        raise refusal(KEY, name, f"{accepted}; this file is empty")
    return content
