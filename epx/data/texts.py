"""Host side: find, prepare, verify and cache the texts that worlds are cut from. A corpus is a text
and the places where its documents start. Those made from the Python that runs are prepared when
first asked for; those that need a download by `python -m experiments.data prepare NAME` and never
by training; any other name is the path of a file of the user. Needs numpy only, so that a machine
without JAX can prepare a cache.
"""

import difflib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from epx.data import cache as caches
from epx.data.cache import Listed, Verified
from epx.data.debian import Report
from epx.data.sources import KNOWN, RECIPES, Made

# absl's handler, where a binary installs it, takes the messages of the standard logger too.
_LOG = logging.getLogger(__name__)

# Rises when a recipe or the form of a file changes, so that no old file is taken for the new text.
_RECIPE = 2


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text cut into documents.

    Attributes:
      name: the prepared name or the path it was loaded by.
      text: all documents, one after the other, nothing between them.
      starts: int64, offsets in characters where documents start; the first is 0.
      licence: of the text.
      sha256: hexadecimal digest of the text's UTF-8 bytes.
      source: what a prepared text was made from, with its version.
    """

    name: str
    text: str
    starts: np.ndarray
    licence: str
    sha256: str
    source: str = "a file of the user"


def load(corpus: str, cache: Path | None = None) -> Corpus:
    """The corpus of a prepared name, or of a file of the user.

    A file is read byte for byte. Its documents are its paragraphs, separated by blank lines: one
    file taken as one document could not be cut into a training and a held-out part.

    Args:
      corpus: a name in `listing()`, or the path of a UTF-8 text file.
      cache: the folder in place of `caches.folder()`. Where it cannot be written, a corpus that is
        made from the running Python is prepared anew by each process, with a warning.

    Raises:
      ValueError: `corpus` is neither a name nor a file, or the file is not UTF-8, or the name has
        to be prepared first.
    """
    if corpus not in RECIPES:
        return _user_file(corpus)
    if not RECIPES[corpus].fetched:
        return prepare(corpus, cache)
    found = _read(_cache_file(corpus, cache), corpus)
    if found is None:
        raise ValueError(
            f"generator.corpus={corpus!r} is not in the cache: python -m experiments.data prepare "
            f"{corpus}"
        )
    return found


def prepare(name: str, cache: Path | None = None, report: Report = _LOG.info) -> Corpus:
    """A prepared corpus: out of the cache, or made and put there.

    Args:
      name: as in `listing()`.
      cache: as in `load`.
      report: is told, in lines of text, how far the preparation is.

    Raises:
      ValueError: no such name, or what it is made from is missing or damaged.
      OSError: a download failed (`epx.debian.FetchError`), or there is no place for it.
    """
    path = _cache_file(name, cache)
    recipe = RECIPES[name]
    found = _read(path, name) if recipe.cached else None
    if found is not None:
        return found
    made = recipe.make(caches.folder(cache) / "downloads", report)
    corpus = _join(name, made, recipe.licence)
    if recipe.cached:
        _write(path, corpus)
    state, detail = caches.compare(corpus.source, corpus.sha256, KNOWN.get(name))
    if state != "ok":
        _LOG.warning("%s: %s", name, detail)
    return corpus


def verify(name: str, cache: Path | None = None) -> Verified:
    """Recomputes the sha256 of a prepared corpus and compares it with the one it was written with
    and, where the source is one that is known, with that of everybody else.

    Raises:
      ValueError: no such name.
    """
    path, cached = _cache_file(name, cache), RECIPES[name].cached
    if cached and not path.is_file():
        return Verified(name, "not prepared", f"there is no {path}")
    found = _read(path, name) if cached else prepare(name, cache)
    if found is None:
        return Verified(name, "damaged", f"{path}; prepare it again")
    return Verified(name, *caches.compare(found.source, found.sha256, KNOWN.get(name)))


def held_out_start(corpus: Corpus, fraction: float = 0.1) -> int:
    """Offset, in characters, of the document boundary nearest to the last `fraction` of the text.

    Raises:
      ValueError: the fraction is not between 0 and 1, or there is no boundary to cut at.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction={fraction!r}: a number between 0 and 1, both excluded")
    if len(corpus.starts) < 2:
        raise ValueError(
            f"generator.corpus={corpus.name!r} is a single document and has no boundary to hold a "
            "part out at; separate its documents by blank lines"
        )
    boundaries = corpus.starts[1:]
    return int(boundaries[np.argmin(np.abs(boundaries - (1 - fraction) * len(corpus.text)))])


def listing(cache: Path | None = None) -> list[Listed]:
    """The prepared corpora, and what `cache` (by default `caches.folder()`) holds of them."""
    return [listed(name, cache) for name in RECIPES]


def listed(name: str, cache: Path | None = None) -> Listed:
    """One prepared corpus, as `listing` has it. Raises ValueError where there is no such name."""
    path, recipe = _cache_file(name, cache), RECIPES[name]
    file = path if recipe.cached else None
    return caches.listed(name, recipe.about, recipe.licence, file, recipe.fetched, KNOWN.get(name))


def _user_file(corpus: str) -> Corpus:
    path = Path(corpus).expanduser()
    if not path.is_file():
        raise _unknown(corpus, "neither a prepared corpus nor the path of a UTF-8 text file")
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"generator.corpus={corpus!r} must be UTF-8 text: {error}") from error
    # A paragraph keeps the blank lines after it, and its own indentation.
    ends = (match.end() for match in re.finditer(r"\n(?:[ \t]*\r?\n)+", text))
    starts = np.array([0, *(end for end in ends if end < len(text))], np.int64)
    return Corpus(corpus, text, starts, "of the file", _digest(text))


def _unknown(name: str, what: str) -> ValueError:
    near = difflib.get_close_matches(name, RECIPES, n=1)
    return ValueError(
        f"generator.corpus={name!r} is {what}; prepared are {', '.join(RECIPES)}"
        + (f" (did you mean {near[0]!r}?)" if near else "")
    )


def _join(name: str, made: Made, licence: str) -> Corpus:
    text = "".join(made.documents)
    starts = np.cumsum([0, *map(len, made.documents[:-1])], dtype=np.int64)
    return Corpus(name, text, starts, licence, _digest(text), made.source)


def _digest(text: str) -> str:
    return caches.digest([np.frombuffer(text.encode(), np.uint8)])


def _cache_file(name: str, cache: Path | None) -> Path:
    if name not in RECIPES:
        raise _unknown(name, "no prepared corpus")
    edition = f"-{RECIPES[name].edition}" if RECIPES[name].edition else ""
    return caches.folder(cache) / "corpora" / f"{name}-{_RECIPE}{edition}.npz"


def _read(path: Path, name: str) -> Corpus | None:
    found = caches.read(path, ["text"], ["starts", "source"])
    if found is None:
        return None
    text = found["text"].tobytes().decode("utf-8")
    licence, source = RECIPES[name].licence, str(found["source"])
    return Corpus(name, text, found["starts"], licence, str(found["sha256"]), source)


def _write(path: Path, corpus: Corpus) -> None:
    text = np.frombuffer(corpus.text.encode(), np.uint8)
    try:
        caches.write(path, {"text": text}, starts=corpus.starts, source=corpus.source)
        _LOG.info("prepared %s: %d characters in %s", corpus.name, len(corpus.text), path)
    except OSError as error:
        _LOG.warning("%s is prepared but not cached (%s); set EPX_CACHE", corpus.name, error)
