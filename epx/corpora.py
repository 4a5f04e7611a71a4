"""Host side: find, prepare, verify and cache the texts that worlds are cut from. A corpus is a text
and the places where its documents start. Prepared corpora are made from the Python that runs, so
nothing is downloaded; any other name is the path of a file of the user. Needs numpy only, so that
a machine without JAX can prepare a cache.
"""

import ast
import codecs
import difflib
import hashlib
import logging
import os
import platform
import re
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

# absl's handler, where a binary installs it, takes the messages of the standard logger too.
_LOG = logging.getLogger(__name__)

# Rises when a recipe below changes, so that an older cache is not mistaken for the new text.
_RECIPE = 1

_STDLIB = Path(sysconfig.get_path("stdlib"))
# Tests quote broken code and foreign scripts; the others do not belong to the standard library.
_SKIPPED = {"test", "tests", "idle_test", "idlelib", "site-packages", "dist-packages"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text cut into documents.

    Attributes:
      name: the prepared name or the path it was loaded by.
      text: all documents, one after the other, nothing between them.
      starts: int64, offsets in characters where documents start; the first is 0.
      licence: of the text.
      sha256: hexadecimal digest of the text's UTF-8 bytes.
    """

    name: str
    text: str
    starts: np.ndarray
    licence: str
    sha256: str


class Listed(NamedTuple):
    """A prepared corpus as `listing` reports it.

    Attributes:
      name, about, licence: what to ask for, what it is, under which terms.
      file: where the cache keeps it; None where it is made on the spot each time.
      size: bytes of that file; None where it is not in the cache.
    """

    name: str
    about: str
    licence: str
    file: Path | None
    size: int | None


def cache_folder() -> Path:
    """The user's folder for caches: $EPX_CACHE, else $XDG_CACHE_HOME/epx, else ~/.cache/epx."""
    if chosen := os.environ.get("EPX_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "epx"


def load(corpus: str, cache: Path | None = None) -> Corpus:
    """The corpus of a prepared name, or of a file of the user.

    A file is read byte for byte. Its documents are its paragraphs, separated by blank lines: one
    file taken as one document could not be cut into a training and a held-out part.

    Args:
      corpus: a name in `listing()`, or the path of a UTF-8 text file.
      cache: the folder of caches in place of `cache_folder()`. Where it cannot be written, the
        corpus is prepared anew by each process, with a warning.

    Raises:
      ValueError: `corpus` is neither a name nor a file, or the file is not UTF-8.
    """
    if corpus not in _PREPARED:
        return _user_file(corpus)
    prepared = _PREPARED[corpus]
    path = _cache_file(corpus, cache)
    found = _read(path, corpus) if prepared.cached else None
    if found is not None:
        return found
    made = _join(corpus, prepared.documents(), prepared.licence)
    if prepared.cached:
        _write(path, made)
    return made


def held_out_start(corpus: Corpus, fraction: float = 0.1) -> int:
    """Offset, in characters, of the document boundary nearest to the last `fraction` of the text.

    Raises:
      ValueError: the fraction is not between 0 and 1, or there is no boundary to cut at.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction={fraction!r}: a number between 0 and 1, both excluded")
    if len(corpus.starts) < 2:
        raise ValueError(
            f"corpus={corpus.name!r} is a single document and has no boundary to hold a part out"
            " at; separate its documents by blank lines"
        )
    boundaries = corpus.starts[1:]
    return int(boundaries[np.argmin(np.abs(boundaries - (1 - fraction) * len(corpus.text)))])


def listing(cache: Path | None = None) -> list[Listed]:
    """The prepared corpora, and what `cache` (by default `cache_folder()`) holds of them."""
    rows = []
    for name, prepared in _PREPARED.items():
        path = _cache_file(name, cache) if prepared.cached else None
        size = os.path.getsize(path) if path and os.path.isfile(path) else None
        rows.append(Listed(name, prepared.about, prepared.licence, path, size))
    return rows


def _user_file(corpus: str) -> Corpus:
    path = Path(corpus).expanduser()
    if not path.is_file():
        near = difflib.get_close_matches(corpus, _PREPARED, n=1)
        raise ValueError(
            f"corpus={corpus!r} is neither a prepared corpus ({', '.join(_PREPARED)}) nor an"
            " existing file; the path of a UTF-8 text file is also accepted"
            + (f" (did you mean {near[0]!r}?)" if near else "")
        )
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"corpus={corpus!r} must be UTF-8 text: {error}") from error
    # A paragraph keeps the blank lines after it, and its own indentation.
    ends = (match.end() for match in re.finditer(r"\n(?:[ \t]*\r?\n)+", text))
    starts = np.array([0, *(end for end in ends if end < len(text))], np.int64)
    return Corpus(corpus, text, starts, "of the file", _digest(text))


def _join(name: str, documents: list[str], licence: str) -> Corpus:
    text = "".join(documents)
    starts = np.cumsum([0, *map(len, documents[:-1])], dtype=np.int64)
    return Corpus(name, text, starts, licence, _digest(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _cache_file(name: str, cache: Path | None) -> Path:
    folder = cache_folder() if cache is None else cache
    return folder / "corpora" / f"{name}-{_RECIPE}-python-{platform.python_version()}.npz"


def _read(path: Path, name: str) -> Corpus | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            text = file["text"].tobytes().decode("utf-8")
            sha256 = str(file["sha256"])
            corpus = Corpus(name, text, file["starts"], _PREPARED[name].licence, sha256)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # a damaged archive raises almost anything; the remedy is the same
        _LOG.warning("%s is damaged (%s) and is prepared anew", path, error)
        return None
    if _digest(text) != sha256:
        _LOG.warning("%s is damaged (its text has another sha256) and is prepared anew", path)
        return None
    return corpus


def _write(path: Path, corpus: Corpus) -> None:
    text = np.frombuffer(corpus.text.encode(), np.uint8)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed only when complete: a reader beside us sees the old file or the new one.
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            partial = Path(folder) / path.name
            np.savez(partial, text=text, starts=corpus.starts, sha256=np.array(corpus.sha256))
            os.replace(partial, path)
        _LOG.info("prepared %s: %d characters in %s", corpus.name, len(corpus.text), path)
    except OSError as error:
        _LOG.warning("%s is prepared but not cached (%s); set EPX_CACHE", corpus.name, error)


def _constant(path: Path, name: str) -> str | dict[str, str]:
    """The literal that a module's source assigns to `name`, without running the module."""
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise ValueError(f"{path} assigns no {name}")


def _zen() -> list[str]:
    text = codecs.decode(_constant(_STDLIB / "this.py", "s"), "rot13")
    return text.splitlines(keepends=True)


def _sources() -> Iterator[Path]:
    for folder, inner, names in os.walk(_STDLIB):  # follows no links to folders
        inner[:] = [name for name in inner if name not in _SKIPPED]
        paths = (Path(folder, name) for name in names if name.endswith(".py"))
        yield from (path for path in paths if not path.is_symlink())


def _docstrings(path: Path) -> list[str]:
    found = [node for node in ast.walk(ast.parse(path.read_bytes())) if type(node) in _DOCUMENTED]
    found.sort(key=lambda node: getattr(node, "lineno", 0))  # source order; a module has no line
    return [text for node in found if (text := ast.get_docstring(node))]


def _pydoc() -> list[str]:
    """One document per help topic and per module (its docstrings in source order), duplicates
    dropped, ordered by a hash of their names: the last 10 % is no corner of the alphabet."""
    topics = _constant(_STDLIB / "pydoc_data" / "topics.py", "topics")
    parts = {f"topic {name}": [text] for name, text in topics.items()}
    for path in sorted(_sources()):
        parts[path.relative_to(_STDLIB).as_posix()] = _docstrings(path)
    seen, documents = set(), []
    for name in sorted(parts, key=lambda name: hashlib.sha256(name.encode()).digest()):
        fresh = [text for text in dict.fromkeys(parts[name]) if text not in seen]
        seen.update(fresh)
        if fresh:
            documents.append("\n\n".join(text.strip("\n") for text in fresh) + "\n\n")
    return documents


class _Prepared(NamedTuple):
    about: str
    licence: str
    documents: Callable[[], list[str]]
    cached: bool


_PREPARED = {
    "pydoc": _Prepared("CPython's help topics and docstrings: English", "PSF-2.0", _pydoc, True),
    "zen": _Prepared("the Zen of Python: 21 lines, for tests", "PSF-2.0", _zen, False),
}
