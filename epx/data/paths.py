"""Checks and reading of the user's files that are corpora."""

from pathlib import Path

from epx import files
from epx.types import require

KEY = "generator.corpus"


def modified_ns(name: str) -> int:
    """Time of a file's last modification, in nanoseconds; 0 if there is no such file."""
    try:
        return Path(name).expanduser().stat().st_mtime_ns
    except (OSError, ValueError, RuntimeError):  # `read` reports the reason
        return 0


def read(name: str, accepted: str) -> bytes:
    """The content of a corpus. Arguments and errors as `epx.files.read`; it may not be empty."""
    content = files.read(KEY, name, accepted)
    require(KEY, name, len(content) > 0, f"{accepted}; this file is empty")
    return content
