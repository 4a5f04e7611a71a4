"""Chess games as text: the moves, the position they lead to, or both in either order (arXiv
2601.03220, figure 4c and appendix C.4). Playing the moves out gives the board; the board tells
little of the moves: the same record, read in two orders, asks an observer for different things.

A record is a begin token, `e4,e5;Nf3,Nc6;...;1-0`, `|`, the position in FEN, and an end token; or
the position first. Records fill rows one after the other, or one row each.

>>> import jax
>>> world = make(jax.random.key(0), corpus="selfplay-random", games=20, plies=4, result=False,
...              rows="game", length=90)
>>> world.spec
Spec(vocab=44, length=90, size=18, version=2, held_out=2, given=0)
>>> print("".join(world.symbols(world.tokens_NxT[0])).strip())
⊢g3,a6;d3,b6;|rnbqkbnr/2pppppp/pp6/8/8/3P2P1/PPP1PP1P/RNBQKBNR w KQkq - 0 3
"""

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx import streams
from epx.data.chess import database
from epx.data.chess.games import NOTATIONS, RESULTS, Games, boards, moves_text, take
from epx.types import Example, Spec, require

VERSION = 2
TINY = dict(corpus="selfplay-random", games=40, plies=4, length=16)

_LOG = logging.getLogger(__name__)

_ORDERS = ("moves_board", "board_moves", "moves", "board")
_ROWS = ("stream", "game")
# Every character of the notations and of FEN; the tokens are begin, end, separators, then these.
_WRITTEN = " #*+-/0123456789=BKNOPQRabcdefghknpqrwx"
_BEGIN, _END = 0, 1
_HELD_OUT = 0.1


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["tokens_NxT", "coded_N", "order_N"],
    meta_fields=["alphabet", "length", "size", "held_out"],
)
@dataclass(frozen=True)
class Chess:
    """N rows of T tokens.

    Attributes:
      tokens_NxT: uint8; the rows for training, then those held out.
      coded_N: int32, how many tokens of a row are coded; behind them it is filled with end tokens.
      order_N: int32, the row of each index: a permutation of the training rows, then one of the
        held-out rows, the same under every key.
      alphabet: the character of each token; begin and end are the first two.
      length, size, held_out: as in `Spec`; N = size + held_out.
    """

    tokens_NxT: jax.Array
    coded_N: jax.Array
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
        row = self.order_N[index]
        coded_T = jnp.arange(self.length) < self.coded_N[row]
        return Example(self.tokens_NxT[row].astype(jnp.int32), coded_T)

    def oracle_nats(self, example: Example) -> None:
        """None: nobody knows the law of chess games."""

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """The character of each token."""
        return [self.alphabet[token] for token in np.asarray(tokens_T)]


def make(
    key: jax.Array,
    corpus: str = "selfplay-greedy",
    games: int = 0,
    plies: int = 0,
    notation: str = "san",
    order: str = "moves_board",
    separators: str = ",;|",
    result: bool = True,
    rows: str = "stream",
    length: int = 256,
) -> Chess:
    """A book of chess games.

    Games are shuffled, in one way for everybody, and the last tenth of them is held out; of the
    real book's 14,570, 296 are also training games, move for move. Members of an ensemble may vary
    `order` between `moves_board` and `board_moves`.

    Args:
      key: draws the order of the training rows, the same for every order of a record.
      corpus: a prepared book or the path of a file in PGN, see `epx.books.load`.
      games: how many games, from the first one on; 0 is all (of self-play,
        `epx.books.SELFPLAY_GAMES`; `plies` makes them short and quick to play).
      plies: half-moves after which a game is cut and its position taken; 0 is the whole game.
      notation: `san`, `uci` or `lan`.
      order: `moves_board`, `board_moves`, `moves` or `board`.
      separators: three characters, after White's moves, after Black's, and between moves and board.
      result: whether the moves end with the game's result, `*` where it is unfinished or cut.
      rows: `stream` fills rows with one record after the other, cut where a row is full; `game`
        gives each record a row of its own and leaves out those that are longer.
      length: tokens in a row.

    Raises:
      ValueError: an argument that is not one of those above, or fewer than two rows.
    """
    require("generator.notation", notation, notation in NOTATIONS, ", ".join(NOTATIONS))
    require("generator.order", order, order in _ORDERS, ", ".join(_ORDERS))
    require("generator.rows", rows, rows in _ROWS, ", ".join(_ROWS))
    require("generator.games", games, games == 0 or games >= 2, "0 (all), or 2 games or more")
    require("generator.plies", plies, plies >= 0, "0 (whole games), or 1 half-move or more")
    require("generator.length", length, length >= 1, "1 token or more")
    legal = len(separators) == 3 and separators.isascii() and separators.isprintable()
    legal = legal and not set(separators) & set(_WRITTEN[1:])
    accepted = "three printable ASCII characters that no notation uses"
    require("generator.separators", separators, legal, accepted)
    path = Path(corpus).expanduser()
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    record = _Record(notation, order, separators, bool(result))
    found = _rows(corpus, games, plies, record, rows, length, changed)
    count = len(found.tokens_NxT)
    return Chess(
        tokens_NxT=found.tokens_NxT,
        coded_N=found.coded_N,
        order_N=streams.permutation(key, found.size, count - found.size),
        alphabet=_alphabet(separators),
        length=length,
        size=found.size,
        held_out=count - found.size,
    )


class _Record(NamedTuple):
    """How a game is written: the arguments of `make` of these names."""

    notation: str
    order: str
    separators: str
    result: bool


class _Rows(NamedTuple):
    """Arrays on the device, which the members of an ensemble share."""

    tokens_NxT: jax.Array
    coded_N: jax.Array
    size: int


# The members of an ensemble differ in their key and order alone. A file of the user that was
# `changed` (its time, in ns) since then is read again.
@functools.lru_cache(maxsize=2)
def _rows(
    corpus: str, games: int, plies: int, record: _Record, rows: str, length: int, changed: int
) -> _Rows:
    """The rows of the games for training, `size` of them, then of those held out."""
    found = database.load(corpus, games, plies).games
    count = len(found.results_G)
    if count < 2:
        raise ValueError(
            f"generator.corpus={corpus!r} holds one legal game, and one more has to be held out"
        )
    first_held_out = count - max(1, round(_HELD_OUT * count))
    # Books are collections of collections: one after the other, the last games would be of another
    # kind. RandomState's draws are the same in every version of numpy.
    shuffled_G = np.random.RandomState(0).permutation(count)
    fill = {"stream": _stream, "game": _one_each}[rows]
    parts = [
        fill(_tokens(take(found, part_G), record), length)
        for part_G in np.split(shuffled_G, [first_held_out])
    ]
    for part, name in zip(parts, ("training", "held-out")):
        if not len(part[0]):
            raise ValueError(
                f"generator.length={length!r}: the {name} games of corpus={corpus!r} fill no row "
                f"of that length with rows={rows}"
            )
    tokens_NxT, coded_N = (np.concatenate(arrays) for arrays in zip(*parts))
    return _Rows(jnp.asarray(tokens_NxT), jnp.asarray(coded_N), size=len(parts[0][0]))


def _alphabet(separators: str) -> str:
    """The character of each token; what stands for begin and end is in no record."""
    return "\N{RIGHT TACK}\n" + "".join(sorted(set(separators + _WRITTEN)))


def _tokens(found: Games, record: _Record) -> list[np.ndarray]:
    """The record of each game, uint8."""
    after_white, after_black, between = record.separators
    fields = []
    if "moves" in record.order:
        moves = moves_text(found, record.notation, after_white, after_black)
        if record.result:
            results = [RESULTS[number].encode() for number in found.results_G]
            moves = [text + result for text, result in zip(moves, results)]
        fields.append(moves)
    if "board" in record.order:
        fields.append(boards(found))
    if record.order == "board_moves":
        fields.reverse()
    alphabet = _alphabet(record.separators)
    token = np.zeros(128, np.uint8)
    token[[ord(character) for character in alphabet[2:]]] = np.arange(2, len(alphabet))
    records = map(between.encode().join, zip(*fields))
    ends = np.array([_BEGIN], np.uint8), np.array([_END], np.uint8)
    return [
        np.concatenate([ends[0], token[np.frombuffer(text, np.uint8)], ends[1]]) for text in records
    ]


def _stream(records: list[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows cut from all records one after the other; a shorter tail is dropped."""
    tokens = np.concatenate(records)
    tokens_NxT = tokens[: len(tokens) // length * length].reshape(-1, length)
    return tokens_NxT, np.full(len(tokens_NxT), length, np.int32)


def _one_each(records: list[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """A row for each record that is no longer than that."""
    fitting = [tokens for tokens in records if len(tokens) <= length]
    if len(fitting) < len(records):
        _LOG.warning(
            "%d of %d games are longer than %d tokens and left out",
            len(records) - len(fitting), len(records), length,
        )  # fmt: skip
    tokens_NxT = np.full((len(fitting), length), _END, np.uint8)
    for row_T, tokens in zip(tokens_NxT, fitting):
        row_T[: len(tokens)] = tokens
    return tokens_NxT, np.array([len(tokens) for tokens in fitting], np.int32)
