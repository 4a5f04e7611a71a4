"""Positions of games with the judgement of Stockfish: a score and the best move.

Of each game one position, after a number of half-moves that is drawn once. Judgements are made with
one thread and a fixed number of nodes, so that a version of Stockfish makes the same ones on every
machine, and are kept in the cache.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from epx.data import cache
from epx.data.chess import games
from epx.data.chess.database import Book
from epx.data.chess.games import Games
from epx.files import digest

_LOG = logging.getLogger(__name__)

VERSION = 1  # rises when the positions or the judgements change
FIRST_PLY = 8  # the least number of half-moves before a position
# Upper bounds of the classes of arXiv 2601.03220, appendix C.8; the last has none.
CLASS_BOUNDS = (-800, -400, -200, -50, 50, 200, 400, 800)


class Judged(NamedTuple):
    """Positions with their judgements.

    Attributes:
      games: up to the position, and the best move after it.
      scores_G: int32, centipawns for White.
    """

    games: Games
    scores_G: np.ndarray

    @property
    def positions(self) -> Games:
        """The games up to the position."""
        return games.prefixes(self.games, self.games.plies_G - 1)


def classes(scores_G: np.ndarray) -> np.ndarray:
    """The class of each score in centipawns, 0 to 8: a score equal to a bound is below it."""
    found = np.searchsorted(CLASS_BOUNDS, scores_G, side="left")
    # The last bound belongs to the last class.
    return np.where(scores_G >= CLASS_BOUNDS[-1], len(CLASS_BOUNDS), found)


def load(book: Book, nodes: int, folder: Path | None = None) -> Judged:
    """The judged positions of a database, from the cache or made and stored there.

    Args:
      book: the games; those of at most FIRST_PLY half-moves are left out.
      nodes: that Stockfish searches for a position.
      folder: the cache folder; None: `cache.folder()`.

    Raises:
      ValueError: Stockfish or the package `chess` is needed and not installed, or it failed.
    """
    chosen = positions(book.games)
    name = f"judged-{digest(chosen)[:16]}-{nodes}-{VERSION}.npz"
    file = cache.folder(folder) / "books" / name
    content = (*Games._fields, "scores_G")
    arrays = cache.read(file, content)
    if arrays is None:
        from epx.data.chess import play  # needs the package `chess`, which cached games do not

        _LOG.info("%d positions are judged by Stockfish, once", len(chosen.results_G))
        judged, scores_G = play.judge(chosen, nodes)
        arrays = judged._asdict() | {"scores_G": scores_G}
        try:
            cache.write(file, arrays)
        except OSError as error:
            _LOG.warning("judgements are made but not cached (%s); set EPX_CACHE", error)
    return Judged(Games(*(arrays[field] for field in Games._fields)), arrays["scores_G"])


def positions(played: Games) -> Games:
    """Each game up to a half-move that is drawn uniformly, the same at every call."""
    long = np.flatnonzero(played.plies_G > FIRST_PLY)
    kept = games.take(played, long)
    # RandomState gives the same numbers in every version of numpy.
    share_G = np.random.RandomState(0).random_sample(len(long))
    drawn = FIRST_PLY + (share_G * (kept.plies_G - FIRST_PLY)).astype(np.int64)
    return games.prefixes(kept, drawn)
