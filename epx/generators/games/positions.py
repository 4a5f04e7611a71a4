"""Positions of chess games, each with a question: what games may teach.

Source: arXiv 2601.03220, figure 7 and appendix C.8. An example is a begin token, the position in
FEN, a separator, the answer and an end token, in the alphabet of `chess`, so that a learner of
games can go on from its weights. The answer is the class of Stockfish's score, a digit from 0
(Black wins) to 8, its best move in SAN, or, without Stockfish, the class of the difference in
material. Only the answer is coded; a move with the end token.

>>> generator = make(jax.random.key(0), corpus="selfplay-random", games=40, task="material")
>>> generator.spec
Spec(vocab=44, length=96, size=36, version=1, held_out=4, given=0, side=0)
>>> print("".join(generator.symbols(generator.tokens_NxT[0])).strip())
⊢3k1n2/qp2pp2/p3P2b/P5pB/1P2R3/6p1/8/2B4K w - - 5 49|1
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx import streams
from epx.data import catalogue, paths
from epx.data.chess import judged
from epx.data.chess.games import Games
from epx.data.chess.notation import boards, moves_text
from epx.generators.games import _chess_text
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(corpus="selfplay-random", games=40, task="material")

TASKS = ("class", "best", "material")
_MOST_GAMES, _MOST_NODES, _LONGEST = 10**6, 10**7, 2**20


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["tokens_NxT", "begin_N", "end_N", "order_N"],
    meta_fields=["alphabet", "length", "size", "held_out"],
)
@dataclass(frozen=True)
class Positions:
    """N rows of T tokens.

    Attributes:
      tokens_NxT: uint8; the training rows, then the held-out rows.
      begin_N, end_N: int32, the coded tokens of each row.
      order_N: int32, the row of each index, as in `chess`.
      alphabet: the character of each token.
      length, size, held_out: as in `Spec`; N = size + held_out.
    """

    tokens_NxT: jax.Array
    begin_N: jax.Array
    end_N: jax.Array
    order_N: jax.Array
    alphabet: str
    length: int
    size: int
    held_out: int

    @property
    def spec(self) -> Spec:
        return Spec(len(self.alphabet), self.length, self.size, VERSION, self.held_out)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The row of this index, below size + held_out; `key` is not used."""
        row, place_T = self.order_N[index], jnp.arange(self.length)
        coded_T = (self.begin_N[row] <= place_T) & (place_T < self.end_N[row])
        return Example(self.tokens_NxT[row].astype(jnp.int32), coded_T)

    def oracle_nats(self, example: Example) -> None:
        """None: it would be Stockfish."""

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """The character of each token."""
        return [self.alphabet[token] for token in np.asarray(tokens_T)]


def make(
    key: jax.Array,
    corpus: str = "selfplay-greedy",
    games: int = 2000,
    nodes: int = 2000,
    task: str = "class",
    separators: str = ",;|",
    length: int = 96,
) -> Positions:
    """Positions of the games of a corpus, one of each game, at a half-move drawn once.

    Those of a tenth of the games are held out. They are other games than `chess` holds out, which
    also has those without a position here.

    Args:
      key: draws the order of the training rows.
      corpus: as in `chess`.
      games: number of games, from the first one on; 0: all.
      nodes: that Stockfish searches for a position, at first use; judgements are then cached.
      task: `class` of the score, the `best` move, or the class of the `material`.
      separators: as in `chess`; the last one is between position and answer.
      length: tokens of an example, at least those of the longest, about 85; end tokens fill the
        rest.

    Raises:
      ValueError: an argument outside these bounds, too few positions, or Stockfish is needed and
        not installed.
    """
    require("generator.task", task, task in TASKS, " or ".join(TASKS))
    require_whole("generator.games", games, 0, _MOST_GAMES, "each is judged; 0 takes all")
    require("generator.games", games, games != 1, "0, or 2 or more, as one is held out")
    require_whole("generator.nodes", nodes, 1, _MOST_NODES, "they are searched for each position")
    _chess_text.check_separators(separators)
    require_whole("generator.length", length, 1, _LONGEST, "an observer reads them at once")
    loaded = _load(corpus, games, nodes, task, separators, paths.modified_ns(corpus))
    longest = max(len(row) for row in loaded.rows)
    require("generator.length", length, length >= longest, f"at least {longest}, the longest")
    count = len(loaded.rows)
    tokens_NxT = np.full((count, length), _chess_text.END, np.uint8)
    for row_T, tokens in zip(tokens_NxT, loaded.rows):
        row_T[: len(tokens)] = tokens
    return Positions(
        tokens_NxT=jnp.asarray(tokens_NxT),
        begin_N=jnp.asarray(loaded.begins, jnp.int32),
        end_N=jnp.asarray(loaded.ends, jnp.int32),
        order_N=streams.permutation(key, loaded.size, count - loaded.size),
        alphabet=_chess_text.alphabet(separators),
        length=length,
        size=loaded.size,
        held_out=count - loaded.size,
    )


class _Rows(NamedTuple):
    """Rows of the training positions, `size` of them, then of the held-out positions.

    Attributes:
      rows: the tokens of each.
      begins, ends: the coded ones.
    """

    rows: list[np.ndarray]
    begins: list[int]
    ends: list[int]
    size: int


# Members of an ensemble share the rows. A modified file is read again.
@functools.lru_cache(maxsize=2)
def _load(
    corpus: str, games: int, nodes: int, task: str, separators: str, modified_ns: int
) -> _Rows:
    book = catalogue.book(corpus, games)
    if task == "material":
        positions = judged.positions(book.games)
        answers = [b"%d" % n for n in judged.classes(material(boards(positions)))]
    else:
        found = judged.load(book, nodes)
        positions = found.positions
        answers = [b"%d" % n for n in judged.classes(found.scores_G)]
        if task == "best":
            answers = _last_moves(found.games, positions)
    count = len(positions.results_G)
    accepted = f"a corpus with 2 games or more of {judged.FIRST_PLY + 1} half-moves or more"
    require(paths.KEY, corpus, count >= 2, accepted)
    between = separators[2].encode()
    training, held_out = _chess_text.shuffled_parts(count)
    fens, rows, begins = boards(positions), [], []
    for number in [*training, *held_out]:
        given = fens[number] + between
        rows.append(_chess_text.tokens(given + answers[number], separators))
        begins.append(1 + len(given))
    # A class has one character; that of a move says by the end token that it is complete.
    ends = [len(row) if task == "best" else len(row) - 1 for row in rows]
    return _Rows(rows, begins, ends, len(training))


def material(fens: Sequence[bytes]) -> np.ndarray:
    """White's material minus Black's in centipawns, of 100, 300, 300, 500 and 900 for PNBRQ."""
    worth = np.zeros(256, np.int64)
    for piece, value in zip(b"PNBRQ", (100, 300, 300, 500, 900)):
        worth[piece], worth[piece + 32] = value, -value
    boards = (np.frombuffer(fen.partition(b" ")[0], np.uint8) for fen in fens)
    return np.array([worth[board].sum() for board in boards])


def _last_moves(games: Games, positions: Games) -> list[bytes]:
    """The last half-move of each game in SAN, where `positions` are the games without it."""
    separator = ";"
    whole, begun = (moves_text(part, "san", separator, separator) for part in (games, positions))
    return [text[len(before) : -1] for text, before in zip(whole, begun)]
