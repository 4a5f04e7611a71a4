"""The user's cache folder, and archives of arrays in it.

An archive holds the sha256 of its content. A damaged archive counts as missing.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import platformdirs

from epx.files import digest, replacing

_LOG = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


def folder(override: Path | None = None) -> Path:
    """The cache folder: `override`, else $EPX_CACHE, else the system's folder for user caches."""
    if override is not None:
        return override
    if from_environment := os.environ.get("EPX_CACHE"):
        return Path(from_environment).expanduser()
    return platformdirs.user_cache_path("epx")


def read(path: Path, content: Iterable[str], extra: Iterable[str] = ()) -> Arrays | None:
    """The arrays of an archive; None if it is missing or, with a warning, damaged.

    Args:
      path: the archive.
      content: names of the arrays that the sha256 covers, in order.
      extra: names of the other arrays.
    """
    content = tuple(content)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in (*content, *extra, "sha256")}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # a damaged archive can raise almost any exception
        _LOG.warning("%s is damaged (%s) and is not used", path, error)
        return None
    if digest(arrays[name] for name in content) != str(arrays["sha256"]):
        _LOG.warning("%s is damaged (its content has another sha256) and is not used", path)
        return None
    return arrays


def read_sha256(path: Path) -> str | None:
    """The sha256 stored in an archive; None if it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return str(archive["sha256"])
    except Exception:  # as in `read`
        return None


def write(path: Path, content: Arrays, **extra: np.ndarray | str) -> None:
    """Write an archive: the content, its sha256, and the extra arrays.

    Raises:
      OSError: it cannot be written; an older archive stays unchanged.
    """
    with replacing(path) as handle:
        np.savez(handle, **content, sha256=digest(content.values()), **extra)
