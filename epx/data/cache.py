"""Host side: the user's folder of caches, and archives of arrays in it, each with the sha256 of its
content: an archive is whole, or it is as if it were not there. Needs numpy only.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

_LOG = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


class Listed(NamedTuple):
    """A prepared corpus, of text or of games, as a listing shows it.

    Attributes:
      name, about, licence: what to ask for, what it is, under which terms.
      file: where the cache keeps it; None where it is made on the spot each time.
      size: bytes of that file; None where it is not in the cache.
      sha256: that the file was written with, hexadecimal; where it is not in the cache, the one
        that is known beforehand, or None.
      fetched: whether it has to be prepared, as it needs a download.
    """

    name: str
    about: str
    licence: str
    file: Path | None
    size: int | None
    sha256: str | None = None
    fetched: bool = False

    @property
    def held(self) -> str:
        """What the cache holds, in words."""
        if self.size is not None:
            return f"{self.size / 1e6:.1f} MB"
        if self.file is None:
            return "made each time"
        return "to be prepared" if self.fetched else "made when used"


class Verified(NamedTuple):
    """What `verify` finds.

    Attributes:
      name: of the corpus.
      state: `ok`, `damaged` or `not prepared`.
      detail: what was compared, in words.
    """

    name: str
    state: str
    detail: str


def folder(chosen: Path | None = None) -> Path:
    """`chosen`, else the user's: $EPX_CACHE, else $XDG_CACHE_HOME/epx, else ~/.cache/epx."""
    if chosen is not None:
        return chosen
    if of_user := os.environ.get("EPX_CACHE"):
        return Path(of_user).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "epx"


def read(path: Path, content: Iterable[str], beside: Iterable[str] = ()) -> Arrays | None:
    """The arrays of an archive, with `sha256`; None where there is none or, with a warning, where
    it is damaged.

    Args:
      path: of the archive.
      content: names of the arrays that the sha256 is of, in order.
      beside: names of what lies beside them.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in (*content, *beside, "sha256")}
        if digest(arrays[name] for name in content) != str(arrays["sha256"]):
            raise ValueError("its content has another sha256")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # a damaged archive raises almost anything; the remedy is the same
        _LOG.warning("%s is damaged (%s) and is not used", path, error)
        return None
    return arrays


def write(path: Path, content: Arrays, **beside: np.ndarray | str) -> None:
    """Writes an archive: the content, its sha256, and what else is to lie beside them.

    Raises:
      OSError: there is no place for it; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256 = digest(content.values())
    # Renamed only when complete: a reader beside us sees the old file or the new one.
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        partial = Path(scratch) / path.name
        np.savez(partial, **content, sha256=sha256, **beside)
        os.replace(partial, path)


def digest(arrays: Iterable[np.ndarray]) -> str:
    """The sha256, hexadecimal, of the bytes of arrays, one after the other."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def compare(source: str, sha256: str, known: tuple[str, str] | None) -> tuple[str, str]:
    """State and detail, as in `Verified`, of content that is whole, beside a source and the sha256
    that is known to be made from it."""
    if known is None or source != known[0]:
        return "ok", f"whole; made from {source}, for which no sha256 is known beforehand"
    if sha256 == known[1]:
        return "ok", f"whole, and what is known to be made from {source}"
    return "damaged", (
        f"sha256 {sha256}, but what is made from {source} is known to have {known[1]}: remove its "
        "file in the cache and what it was made from, and prepare it again"
    )


def listed(
    name: str,
    about: str,
    licence: str,
    file: Path | None,
    fetched: bool = False,
    known: tuple[str, str] | None = None,
) -> Listed:
    """A row of a listing; `file`, an archive that `write` wrote or will write, is looked at.
    Otherwise as in `Listed` and `compare`."""
    if file is None or not file.is_file():
        return Listed(name, about, licence, file, None, known and known[1], fetched)
    try:
        with np.load(file, allow_pickle=False) as archive:
            sha256 = str(archive["sha256"])
    except Exception:  # a damaged archive raises almost anything; `verify` says so
        sha256 = None
    return Listed(name, about, licence, file, file.stat().st_size, sha256, fetched)
