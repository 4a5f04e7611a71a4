"""Files of the user that are corpora."""

from pathlib import Path

from epx import paths
from epx.types import require

KEY = "generator.corpus"


def modified_ns(name: str) -> int:
    """When a file was last modified, in nanoseconds; 0 where there is no such file."""
    try:
        return Path(name).expanduser().stat().st_mtime_ns
    except (OSError, ValueError, RuntimeError):  # `read` says why
        return 0


def read(name: str, accepted: str) -> bytes:
    """The content of a corpus. Arguments and errors as `epx.paths.read`; it may not be empty."""
    content = paths.read(KEY, name, accepted)
    require(KEY, name, len(content) > 0, f"{accepted}; this file is empty")
    return content
