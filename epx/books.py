"""Host side: finds, prepares and caches books of chess games. A book is parsed or played once, in
parts, by `epx.rules`; what is kept are the arrays of `epx.games`. A preparation that is interrupted
goes on with the parts that it has. Needs numpy only, where a book is in the cache.

Books: `gnubook`, the games of Debian's source package gnuchess-book; `selfplay-random`,
`selfplay-greedy` and `selfplay-stockfish`, made on the spot; and any file in PGN.
"""

import contextlib
import difflib
import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from epx import caches, debian, games
from epx.caches import Listed, Verified
from epx.games import Games

_LOG = logging.getLogger(__name__)

# Rises when games are parsed or played in another way: an older cache is another book.
_RECIPE = 1
_PART_BYTES = 2**20  # of a file, parsed at once
_PART_GAMES = 2500  # of self-play, played at once
_SHOWN = 5  # skipped games that are named in a message

# Of self-play, where the caller does not say.
SELFPLAY_GAMES = 10_000
SELFPLAY_PLIES = 200

_GNUBOOK_SHA256 = "33f5d31528f3c93c18adffa7a222b9b9d6097c2ae231147de2048acff5e06583"
_GNUBOOK_GAMES_SHA256 = "bbcb7bd4469b0a6d668baf03d6d8a22ffa238dbb65154e72f0893f1be1ea5a18"
_SELFPLAY = "selfplay-"
_LISTED = {
    "gnubook": ("145,697 real games of masters", "public domain"),
    "selfplay-random": ("self-play: any legal move", "none: made here"),
    "selfplay-greedy": ("self-play: takes the most it can", "none: made here"),
    "selfplay-stockfish": ("self-play by Stockfish, where installed", "none: made here"),
}


class Book(NamedTuple):
    """Legal games, and what was left out of them.

    Attributes:
      games: the games.
      skipped: a text for each game left out: the line of the file where it starts, and why.
      sha256: hexadecimal digest of the arrays of all games of the book, whole.
    """

    games: Games
    skipped: list[str]
    sha256: str


def load(name: str, count: int = 0, plies: int = 0, cache: Path | None = None) -> Book:
    """A book: out of the cache, or else a file that is parsed, or self-play that is played, now.

    Args:
      name: as in `listing()`, or the path of a file in PGN.
      count: how many games, from the first one on; 0 is all of a file, SELFPLAY_GAMES of self-play.
      plies: half-moves after which games are cut; 0 keeps those of a file whole, and those of
        self-play to SELFPLAY_PLIES.
      cache: the folder in place of `caches.folder()`. Where it cannot be written,
        a book is parsed or played anew by each process, with a warning.

    Raises:
      ValueError: no such book, or one that has to be prepared; no legal game, or fewer than
        `count`; the `chess` package, or Stockfish, is needed and not installed.
    """
    if name == "gnubook" and _read(_file(name, cache)) is None:
        raise ValueError(
            f"corpus={name!r} is not in the cache: python -m experiments.data prepare {name}"
        )
    book = prepare(name, cache, count=count, plies=plies)
    whole = len(book.games.results_G)
    if count > whole:
        raise ValueError(f"games={count!r}: 1 to {whole}, the games in corpus={name!r}, or 0 (all)")
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
      OSError: a download failed (`epx.debian.FetchError`).
    """
    if name.startswith(_SELFPLAY) and name in _LISTED:
        count, plies = count or SELFPLAY_GAMES, plies or SELFPLAY_PLIES
        path = _file(f"{name}-{count}x{plies}", cache)
        tasks = _selfplay_tasks(name, count, plies)
    else:
        path, tasks = _pgn(name, cache, report)
    book = _read(path)
    if book is None:
        book = _in_parts(tasks(), path, report, workers)
        if book.skipped:
            _LOG.warning("%s: %s", name, _skipped(book.skipped))
    if not len(book.games.results_G):
        raise ValueError(f"corpus={name!r} holds no legal game: {_skipped(book.skipped)}")
    return book


def _skipped(reasons: list[str]) -> str:
    more = len(reasons) - _SHOWN
    shown = [*reasons[:_SHOWN], f"and {more} more"] if more > 0 else reasons
    return f"games skipped: {len(reasons)}" + "".join(f"\n  {reason}" for reason in shown)


def listing(cache: Path | None = None) -> list[Listed]:
    """The books with a name, and what the cache holds of them; self-play of its default size."""
    return [
        caches.listed(name, about, licence, _default_file(name, cache))
        for name, (about, licence) in _LISTED.items()
    ]


def verify(name: str, cache: Path | None = None) -> Verified:
    """Recomputes the sha256 of a prepared book's games and compares it with the one that it was
    written with and, for gnubook, with that of everybody else.

    Raises:
      ValueError: no such book.
    """
    if name not in _LISTED:
        raise ValueError(f"{name}: no book has this name; known are {', '.join(_LISTED)}")
    path = _default_file(name, cache)
    if not path.is_file():
        return Verified(name, "not prepared", f"there is no {path}")
    book = _read(path)
    if book is None:
        return Verified(name, "damaged", f"{path}; prepare it again")
    found = f"{len(book.games.results_G)} games, {len(book.skipped)} skipped"
    if name != "gnubook":
        return Verified(name, "ok", f"whole, {found}")
    if book.sha256 == _GNUBOOK_GAMES_SHA256:
        return Verified(name, "ok", f"whole, {found}, those known for version 1.02")
    return Verified(name, "damaged", f"{found}, not those known for version 1.02")


def _default_file(name: str, cache: Path | None) -> Path:
    if name.startswith(_SELFPLAY):
        name = f"{name}-{SELFPLAY_GAMES}x{SELFPLAY_PLIES}"
    return _file(name, cache)


def _file(key: str, cache: Path | None) -> Path:
    return caches.folder(cache) / "books" / f"{key}-{_RECIPE}.npz"


# A task is one part of a book: the name of a function below and its arguments.
Task = tuple[str, tuple]


def _selfplay_tasks(name: str, count: int, plies: int) -> Callable[[], list[Task]]:
    player = name.removeprefix(_SELFPLAY)
    starts = range(0, count, _PART_GAMES)
    return lambda: [
        ("play", (player, first, min(first + _PART_GAMES, count), plies)) for first in starts
    ]


def _pgn(
    name: str, cache: Path | None, report: Callable[[str], None]
) -> tuple[Path, Callable[[], list[Task]]]:
    """Where the cache keeps the games of a file, and how to cut it into parts."""
    if name == "gnubook":
        return _file(name, cache), lambda: _pgn_tasks(_gnubook(caches.folder(cache), report))
    path = Path(name).expanduser()
    if not path.is_file():
        near = difflib.get_close_matches(name, _LISTED, n=1)
        raise ValueError(
            f"corpus={name!r} is neither a book ({', '.join(_LISTED)}) nor an existing file in PGN"
            + (f" (did you mean {near[0]!r}?)" if near else "")
        )
    content = path.read_bytes()
    return _file(hashlib.sha256(content).hexdigest()[:16], cache), lambda: _pgn_tasks(content)


def _gnubook(cache: Path, report: Callable[[str], None]) -> bytes:
    source = debian.source("gnuchess-book", cache / "downloads", report)
    content = b"".join(data for name, data in debian.files(source) if name.endswith(".pgn"))
    if hashlib.sha256(content).hexdigest() != _GNUBOOK_SHA256:
        _LOG.warning("gnubook: another version than the one this was written for: %s", source)
    return content


def _pgn_tasks(content: bytes) -> list[Task]:
    """A file cut between games, where a blank line and an Event tag say so."""
    try:
        content.decode("utf-8")
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = "latin-1"  # the encoding of the PGN standard
    tasks, begin, line = [], 0, 1
    while begin < len(content) or not tasks:
        boundary = re.compile(rb"\n[ \t\r]*\n(?=\[Event )").search(content, begin + _PART_BYTES)
        end = boundary.end() if boundary else len(content)
        part = content[begin:end]
        tasks.append(("parse", (part.decode(encoding), line)))
        begin, line = end, line + part.count(b"\n")
    return tasks


def _run(task: Task) -> Book:
    from epx import rules

    work, arguments = task
    if work == "play":
        return _book(rules.play(*arguments), [])
    found, skipped = rules.parse(*arguments)
    return _book(found, [f"line {line}: {reason}" for line, reason in skipped])


def _in_parts(tasks: list[Task], path: Path, report: Callable[[str], None], workers: int) -> Book:
    """Does the tasks that the folder of parts has not, and joins all parts into one file."""
    folder = path.with_suffix(".parts")
    files = [folder / f"{_task_digest(task)}.npz" for task in tasks]
    found = [_read(file) for file in files]
    missing = [number for number, part in enumerate(found) if part is None]
    done = len(tasks) - len(missing)
    for number, made in zip(missing, _results([tasks[n] for n in missing], workers)):
        found[number] = made
        done += 1
        with contextlib.suppress(OSError):  # such a part is done again, should this not end well
            _write(files[number], made)
        report(f"{path.stem}: {done} of {len(tasks)} parts")
    book = _book(
        games.join([part.games for part in found]),
        [reason for part in found for reason in part.skipped],
    )
    try:
        _write(path, book)
    except OSError as error:
        _LOG.warning("%s is prepared but not cached (%s); set EPX_CACHE", path.stem, error)
    else:  # another process may be at the same book; what it finds missing, it makes
        shutil.rmtree(folder, ignore_errors=True)
    return book


def _task_digest(task: Task) -> str:
    """A name for a part that only the same task has: not one that was cut elsewhere."""
    return hashlib.sha256(repr(task).encode()).hexdigest()[:16]


def _results(tasks: list[Task], workers: int) -> Iterator[Book]:
    if workers == 1 or len(tasks) < 2:
        yield from map(_run, tasks)
        return
    # A forked child would inherit the locks of JAX's threads.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_run, tasks)


def _book(found: Games, skipped: list[str]) -> Book:
    return Book(found, skipped, caches.digest(found))


def _read(path: Path) -> Book | None:
    found = caches.read(path, Games._fields, ["skipped"])
    if found is None:
        return None
    kept = Games(*(found[name] for name in Games._fields))
    return Book(kept, json.loads(str(found["skipped"])), str(found["sha256"]))


def _write(path: Path, book: Book) -> None:
    caches.write(path, book.games._asdict(), skipped=json.dumps(book.skipped))
