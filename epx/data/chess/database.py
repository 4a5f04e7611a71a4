"""Host side: finds, prepares and caches books of chess games. A book is parsed or played once; what
is kept are the arrays of `epx.games`. Needs numpy only, where a book is in the cache.

Books: `gnubook`, the games of Debian's source package gnuchess-book; `selfplay-random`,
`selfplay-greedy` and `selfplay-stockfish`, made on the spot; and any file in PGN.
"""

import difflib
import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from epx.data import cache as caches
from epx.data import debian
from epx.data.cache import Listed, Verified
from epx.data.chess import games
from epx.data.chess import workers as parts
from epx.data.chess.games import Games

_LOG = logging.getLogger(__name__)

# Rises when games are parsed or played in another way: an older cache is another book.
_RECIPE = 2
_SHOWN = 5  # skipped games that are named in a message

# Of self-play, where the caller does not say.
SELFPLAY_GAMES = 10_000
SELFPLAY_PLIES = 200

_SELFPLAY = "selfplay-"
_LISTED = {
    "gnubook": ("145,697 real games of masters (26 MB to download)", "public domain"),
    "selfplay-random": ("self-play: any legal move", "none: made here"),
    "selfplay-greedy": ("self-play: takes the most it can", "none: made here"),
    "selfplay-stockfish": ("self-play by Stockfish, where installed", "none: made here"),
}
# Where a book is the same on every machine: a source, and the sha256 of its games.
KNOWN = {
    "gnubook": (
        "gnuchess-book 1.02",
        "bbcb7bd4469b0a6d668baf03d6d8a22ffa238dbb65154e72f0893f1be1ea5a18",
    ),
}


class Book(NamedTuple):
    """Legal games, and what was left out of them.

    Attributes:
      games: the games.
      skipped: a text for each game left out: the line of the file where it starts, and why.
      sha256: hexadecimal digest of the arrays of all games of the book, whole.
      source: what they were made from, with its version.
    """

    games: Games
    skipped: list[str]
    sha256: str
    source: str


def load(name: str, count: int = 0, plies: int = 0, cache: Path | None = None) -> Book:
    """A book: out of the cache, or else a file that is parsed, or self-play that is played, now.

    Args:
      name: as in `listing()`, or the path of a file in PGN.
      count: how many games, from the first one on; 0 is all of a file, SELFPLAY_GAMES of self-play.
      plies: half-moves after which games are cut; 0 keeps those of a file whole, and those of
        self-play to SELFPLAY_PLIES.
      cache: the folder in place of `caches.folder()`. Where it cannot be written, a book is parsed
        or played anew by each process, with a warning.

    Raises:
      ValueError: no such book, or one that has to be prepared; no legal game, or fewer than
        `count`; the `chess` package, or Stockfish, is needed and not installed.
    """
    book = _read(_file(name, cache)) if name == "gnubook" else None
    if name == "gnubook" and book is None:
        raise ValueError(
            f"generator.corpus={name!r} is not in the cache: python -m experiments.data prepare "
            f"{name}"
        )
    book = book or prepare(
        name, cache, lambda line: _LOG.info("%s: %s", name, line), count=count, plies=plies
    )
    whole = len(book.games.results_G)
    if book.skipped:
        _LOG.info(
            "%s: %d games, %d skipped; python -m experiments.data verify %s lists them",
            name, whole, len(book.skipped), name,
        )  # fmt: skip
    if count > whole:
        raise ValueError(
            f"generator.games={count!r}: accepted are 1 to {whole}, the games in corpus={name!r}, "
            "or 0 (all)"
        )
    chosen = games.take(book.games, slice(count)) if count else book.games
    return book._replace(games=games.cut(chosen, plies) if plies else chosen)


def prepare(
    name: str,
    cache: Path | None = None,
    report: Callable[[str], None] = _LOG.info,
    workers: int = 1,
    count: int = 0,
    plies: int = 0,
) -> Book:
    """Puts a book into the cache, or finds it there, and returns all of it.

    Args:
      name, cache: as in `load`.
      report: is told how far the preparation is.
      workers: processes that parse or play; with more than one, the caller's main module is
        imported by each of them.
      count, plies: as in `load`, of self-play alone: it is played no further than asked for.

    Raises:
      ValueError: as in `load`, or a damaged download.
      OSError: a download failed (`epx.debian.FetchError`), or a process was killed.
    """
    path = _file(name, cache, count, plies)
    book = _read(path)
    if book is None:
        source, tasks = _tasks(name, cache, report, count, plies)
        folder = path.with_suffix(".parts")
        made = parts.make(tasks, folder, report, workers)
        book = Book(*made, caches.digest(made.games), source)
        try:
            beside = dict(skipped=json.dumps(book.skipped), source=source)
            caches.write(path, book.games._asdict(), **beside)
        except OSError as error:
            _LOG.warning("%s is prepared but not cached (%s); set EPX_CACHE", name, error)
        else:  # another process may be at the same book; what it finds missing, it makes
            shutil.rmtree(folder, ignore_errors=True)
        _say(name, book)
    if not len(book.games.results_G):
        raise ValueError(f"generator.corpus={name!r} holds no legal game: {_skipped(book, _SHOWN)}")
    return book


def _say(name: str, book: Book) -> None:
    if book.skipped:
        _LOG.warning("%s: %s", name, _skipped(book, _SHOWN))
    state, detail = caches.compare(book.source, book.sha256, KNOWN.get(name))
    if state != "ok":
        _LOG.warning("%s: %s", name, detail)


def _skipped(book: Book, shown: int | None = None) -> str:
    """How many games were skipped, and the lines of the first few, or of all."""
    lines = book.skipped[:shown]
    more = len(book.skipped) - len(lines)
    lines += [f"and {more} more"] * (more > 0)
    return f"games skipped: {len(book.skipped)}" + "".join(f"\n  {line}" for line in lines)


def listing(cache: Path | None = None) -> list[Listed]:
    """The books with a name, and what the cache holds of them; self-play of its default size."""
    return [listed(name, cache) for name in _LISTED]


def listed(name: str, cache: Path | None = None) -> Listed:
    """One book, with a name or in a file, as `listing` has it. Raises ValueError as `load`."""
    about, licence = _LISTED.get(name, ("a file of the user", "of the file"))
    return caches.listed(
        name, about, licence, _file(name, cache), name == "gnubook", KNOWN.get(name)
    )


def verify(name: str, cache: Path | None = None) -> Verified:
    """Recomputes the sha256 of a prepared book's games and compares it with the one that it was
    written with and, where that is known, with that of everybody else. Names the games skipped.

    Raises:
      ValueError: no such book.
    """
    path = _file(name, cache)
    if not path.is_file():
        return Verified(name, "not prepared", f"there is no {path}")
    book = _read(path)
    if book is None:
        return Verified(name, "damaged", f"{path}; prepare it again")
    state, detail = caches.compare(book.source, book.sha256, KNOWN.get(name))
    return Verified(name, state, f"{len(book.games.results_G)} games, {detail}; {_skipped(book)}")


def _file(name: str, cache: Path | None, count: int = 0, plies: int = 0) -> Path:
    """Where the cache keeps a book: by its name, or by the content of the file."""
    if name in _LISTED and name.startswith(_SELFPLAY):
        key = f"{name}-{count or SELFPLAY_GAMES}x{plies or SELFPLAY_PLIES}"
    elif name in _LISTED:
        key = name
    else:
        key = hashlib.sha256(_content(name)).hexdigest()[:16]
    return caches.folder(cache) / "books" / f"{key}-{_RECIPE}.npz"


def _content(name: str) -> bytes:
    path = Path(name).expanduser()
    if path.is_file():
        return path.read_bytes()
    near = difflib.get_close_matches(name, _LISTED, n=1)
    raise ValueError(
        f"generator.corpus={name!r} is neither a book ({', '.join(_LISTED)}) nor an existing file "
        "in PGN" + (f" (did you mean {near[0]!r}?)" if near else "")
    )


def _tasks(
    name: str, cache: Path | None, report: Callable[[str], None], count: int, plies: int
) -> tuple[str, list[parts.Task]]:
    """What a book is made from, and how."""
    if name in _LISTED and name.startswith(_SELFPLAY):
        player = name.removeprefix(_SELFPLAY)
        count, plies = count or SELFPLAY_GAMES, plies or SELFPLAY_PLIES
        return "self-play", parts.play_tasks(player, count, plies)
    if name not in _LISTED:
        return "a file of the user", parts.pgn_tasks(_content(name))
    file = debian.source("gnuchess-book", caches.folder(cache) / "downloads", report)
    content = b"".join(data for inner, data in debian.files(file) if inner.endswith(".pgn"))
    return f"gnuchess-book {debian.version(file)}", parts.pgn_tasks(content)


def _read(path: Path) -> Book | None:
    found = caches.read(path, Games._fields, ["skipped", "source"])
    if found is None:
        return None
    kept = Games(*(found[name] for name in Games._fields))
    return Book(kept, json.loads(str(found["skipped"])), str(found["sha256"]), str(found["source"]))
