"""Books of chess games: what they are made from, and which of their games are taken. A book in the
cache needs no package `chess`."""

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

_NAMED = 5  # skipped games that are named in a message

# Self-play, where the caller does not say how much.
SELFPLAY_GAMES = 10_000
SELFPLAY_PLIES = 200
# 100 million half-moves: 400 MB as arrays, and days to play.
_MOST_PLIES = 10**8

CONTENT, EXTRA = Games._fields, ("skipped", "source")


class Book(NamedTuple):
    """Legal games, and what was left out of them.

    Attributes:
      name: the prepared name or the path it was loaded by.
      games: the games.
      skipped: a text for each game left out: the line of the file where it starts, and the reason.
      sha256: hexadecimal digest of the arrays of all games of the book.
      source: what they were made from, with its version.
    """

    name: str
    games: Games
    skipped: list[str]
    sha256: str
    source: str


class Recipe(NamedTuple):
    """What a book is made from, with its version, and the tasks that make it."""

    source: str
    tasks: list[workers.Task]


def selfplay_size(count: int, plies: int) -> tuple[int, int]:
    """Games and half-moves of self-play, where 0 stands for the default.

    Raises:
      ValueError: it is more than can be played and kept.
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
    """The games of a file of the user."""
    return Recipe("a file of the user", workers.pgn_tasks(content))


def make(
    name: str, recipe: Recipe, parts: Path, report: Callable[[str], None], processes: int
) -> Book:
    """Makes a book.

    Args:
      name: of the book.
      recipe: what it is made from.
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
    """Content and extra arrays of a book, as the cache keeps them."""
    return book.games._asdict(), {"skipped": json.dumps(book.skipped), "source": book.source}


def unpack(name: str, arrays: Arrays) -> Book:
    """The book in the arrays of an archive."""
    stored = Games(*(arrays[field] for field in Games._fields))
    skipped = json.loads(str(arrays["skipped"]))
    return Book(name, stored, skipped, str(arrays["sha256"]), str(arrays["source"]))


def select(book: Book, count: int, plies: int) -> Book:
    """The first `count` games (0: all) of a book, up to half-move `plies` (0: whole).

    Raises:
      ValueError: there are fewer than `count`.
    """
    whole = len(book.games.results_G)
    accepted = f"2 to {whole}, the games in corpus={book.name!r}, or 0 (all)"
    require("generator.games", count, count <= whole, accepted)
    selected = games.take(book.games, slice(count)) if count else book.games
    return book._replace(games=games.truncate(selected, plies) if plies else selected)


def require_games(book: Book) -> None:
    """Raises ValueError where a book has no legal game."""
    accepted = f"a file with legal games; this one holds no legal game: {describe(book)}"
    require("generator.corpus", book.name, len(book.games.results_G) > 0, accepted)


def describe(book: Book, named: int | None = _NAMED) -> str:
    """How many games were skipped, and the lines of the first few; of all if `named` is None."""
    lines = book.skipped[:named]
    more = len(book.skipped) - len(lines)
    lines += [f"and {more} more"] * (more > 0)
    return f"games skipped: {len(book.skipped)}" + "".join(f"\n  {line}" for line in lines)
