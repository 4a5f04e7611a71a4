"""Databases of chess games: their sources, and the selection of games.

A database in the cache is read without the package `chess`.
"""

import importlib.util
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from epx.data import debian
from epx.data.cache import Arrays
from epx.data.chess import games, workers
from epx.data.chess.games import Games
from epx.files import digest
from epx.types import refusal, require

_LOG = logging.getLogger(__name__)

_NAMED = 5  # skipped games named in a message

# Default size of self-play.
SELFPLAY_GAMES = 10_000
SELFPLAY_PLIES = 200
# 100 million half-moves: 400 MB as arrays, and days to play.
_MOST_PLIES = 10**8

CONTENT, EXTRA = Games._fields, ("skipped", "source")


class Book(NamedTuple):
    """A database of legal games.

    Attributes:
      name: of the corpus, or the path of the file.
      games: the games.
      skipped: for each skipped game, the line of the file where it starts and the reason.
      sha256: hexadecimal digest of the arrays of all games.
      source: the source of the games, with its version.
    """

    name: str
    games: Games
    skipped: list[str]
    sha256: str
    source: str


class Recipe(NamedTuple):
    """The source of a database, with its version, and the tasks that make it."""

    source: str
    tasks: list[workers.Task]


def selfplay_size(count: int, plies: int) -> tuple[int, int]:
    """Games and half-moves of self-play, with the defaults in place of 0.

    Raises:
      ValueError: there are more half-moves than can be played and stored.
    """
    count, plies = count or SELFPLAY_GAMES, plies or SELFPLAY_PLIES
    accepted = (
        f"at most {_MOST_PLIES // plies} games of {plies} half-moves: more than {_MOST_PLIES} "
        "half-moves take days to play and 400 MB"
    )
    require("generator.games", count, count * plies <= _MOST_PLIES, accepted)
    return count, plies


def selfplay(player: str, count: int, plies: int) -> Recipe:
    """Self-play by `random`, `greedy` or `stockfish`."""
    return Recipe("self-play", workers.play_tasks(player, *selfplay_size(count, plies)))


def gnubook(downloads: Path, report: Callable[[str], None]) -> Recipe:
    """The games of Debian's source package gnuchess-book."""
    file = debian.source("gnuchess-book", downloads, report)
    content = b"".join(data for name, data in debian.files(file) if name.endswith(".pgn"))
    return Recipe(f"gnuchess-book {debian.version(file)}", workers.pgn_tasks(content))


def from_pgn(content: bytes) -> Recipe:
    """The games of a user's file."""
    return Recipe("a file of the user", workers.pgn_tasks(content))


def make(
    name: str, recipe: Recipe, parts: Path, report: Callable[[str], None], processes: int
) -> Book:
    """Make a database of games.

    Args:
      name: of the corpus.
      recipe: its source and tasks.
      parts, report, processes: folder, report and workers as in `epx.data.chess.workers.make`.

    Raises:
      ValueError, OSError: as `epx.data.chess.workers.make`; or the package `chess` is missing.
    """
    if importlib.util.find_spec("chess") is None:
        accepted = (
            "a corpus in the cache; to read and play games, install the package chess: "
            "pip install 'epx-jax[chess]'"
        )
        raise refusal("generator.corpus", name, accepted)
    part = workers.make(recipe.tasks, parts, report, processes)
    return Book(name, part.games, part.skipped, digest(part.games), recipe.source)


def pack(book: Book) -> tuple[Arrays, dict[str, str]]:
    """Content and extra arrays of a database, in the form of the cache."""
    return book.games._asdict(), {"skipped": json.dumps(book.skipped), "source": book.source}


def unpack(name: str, arrays: Arrays) -> Book:
    """The database in the arrays of an archive."""
    stored = Games(*(arrays[field] for field in Games._fields))
    skipped = json.loads(str(arrays["skipped"]))
    return Book(name, stored, skipped, str(arrays["sha256"]), str(arrays["source"]))


def select(book: Book, count: int, plies: int) -> Book:
    """The first `count` games (0: all), up to half-move `plies` (0: no limit).

    Raises:
      ValueError: there are fewer than `count` games.
    """
    available = len(book.games.results_G)
    accepted = f"2 to {available}, the games in corpus={book.name!r}, or 0 (all)"
    require("generator.games", count, count <= available, accepted)
    selected = games.take(book.games, slice(count)) if count else book.games
    return book._replace(games=games.truncate(selected, plies) if plies else selected)


def require_games(book: Book) -> None:
    """Raise ValueError if a database has no legal game."""
    accepted = f"a file with legal games; this one has no legal game: {describe(book)}"
    require("generator.corpus", book.name, len(book.games.results_G) > 0, accepted)


def describe(book: Book, named: int | None = _NAMED) -> str:
    """The number of skipped games, and the lines of the first `named` (None: of all)."""
    lines = book.skipped[:named]
    more = len(book.skipped) - len(lines)
    lines += [f"and {more} more"] * (more > 0)
    return f"games skipped: {len(book.skipped)}" + "".join(f"\n  {line}" for line in lines)
