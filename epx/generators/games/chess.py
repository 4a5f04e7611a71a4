"""Chess games as text: the moves, the final position, or both in either order.

Source: arXiv 2601.03220, figure 4c and appendix C.4. The moves determine the board, but the board
says little about the moves, so the two orders of one text are different tasks. A game is a begin
token, `e4,e5;Nf3,Nc6;...;1-0`, `|`, the position in FEN, and an end token; or the position comes
first. Rows are filled with games in sequence, or hold one game each.

>>> import jax
>>> generator = make(jax.random.key(0), corpus="selfplay-random", games=20, plies=4, result=False,
...                  rows="game", length=90)
>>> generator.spec
Spec(vocab=44, length=90, size=18, version=2, held_out=2, given=0, side=0)
>>> print("".join(generator.symbols(generator.tokens_NxT[0])).strip())
⊢g3,a6;d3,b6;|rnbqkbnr/2pppppp/pp6/8/8/3P2P1/PPP1PP1P/RNBQKBNR w KQkq - 0 3
"""

import functools
import logging
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx import streams
from epx.data import catalogue, paths
from epx.data.chess.games import RESULTS, Games, take
from epx.data.chess.notation import NOTATIONS, boards, moves_text
from epx.generators.games import _chess_text
from epx.types import Example, Spec, require

VERSION = 2
TINY = dict(corpus="selfplay-random", games=40, plies=4, length=16)

_LOG = logging.getLogger(__name__)

_ORDERS = ("moves_board", "board_moves", "moves", "board")
_ROWS = ("stream", "game")
_MOST_GAMES = 10**7  # a game takes about 200 bytes
_MOST_PLIES = 20_000  # the rules end every game earlier
_LONGEST = 2**20  # tokens in a row


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["tokens_NxT", "coded_N", "order_N"],
    meta_fields=["alphabet", "length", "size", "held_out"],
)
@dataclass(frozen=True)
class Chess:
    """N rows of T tokens.

    Attributes:
      tokens_NxT: uint8; the training rows, then the held-out rows.
      coded_N: int32, number of coded tokens of each row; end tokens fill the rest.
      order_N: int32, the row of each index: a permutation of the training rows, then a fixed
        permutation of the held-out rows, the same for every key.
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
        """None: the law of chess games is unknown."""

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """The character of each token."""
        return [self.alphabet[token] for token in np.asarray(tokens_T)]


def make(
    key: jax.Array,
    corpus: str = "selfplay-greedy",
    games: int = 0,
    skip: int = 0,
    plies: int = 0,
    notation: str = "san",
    order: str = "moves_board",
    separators: str = ",;|",
    result: bool = True,
    rows: str = "stream",
    length: int = 256,
) -> Chess:
    """Chess games of a corpus, in rows of tokens.

    Games are shuffled with a fixed seed, and the last tenth is held out. In gnubook 296 of the
    14,570 held-out games equal a training game, move for move. Members of an ensemble may vary
    `order` between `moves_board` and `board_moves`.

    Args:
      key: draws the order of the training rows, the same for every `order`.
      corpus: a prepared corpus of games or the path of a file in PGN, see `epx.data.catalogue`.
      games: number of games, from the first one on; 0: all (of self-play
        `epx.data.chess.database.SELFPLAY_GAMES`; a small `plies` makes them quick to play).
      skip: games passed over before the first one. `positions` of these are then of games that a
        learner has not read; 537 of the 115,697 games of gnubook after the first 30,000 equal one
        of these, move for move.
      plies: half-moves after which a game is cut and its position taken; 0: no limit.
      notation: `san`, `uci` or `lan`.
      order: `moves_board`, `board_moves`, `moves` or `board`.
      separators: three characters: after White's moves, after Black's, between moves and board.
      result: whether the moves end with the game's result, `*` for an unfinished or cut game.
      rows: `stream` fills rows with games in sequence, cut where a row is full; `game` puts each
        game in a separate row and leaves out longer games.
      length: tokens in a row.

    Raises:
      ValueError: an argument outside these bounds, or fewer than two rows.
    """
    require("generator.notation", notation, notation in NOTATIONS, ", ".join(NOTATIONS))
    require("generator.order", order, order in _ORDERS, ", ".join(_ORDERS))
    require("generator.rows", rows, rows in _ROWS, ", ".join(_ROWS))
    accepted = f"0 (all), or 2 games or more, at most {_MOST_GAMES}: their tokens stay in memory"
    require("generator.games", games, games == 0 or 2 <= games <= _MOST_GAMES, accepted)
    accepted = f"0 or more, at most {_MOST_GAMES}"
    require("generator.skip", skip, 0 <= skip <= _MOST_GAMES, accepted)
    accepted = (
        f"0 (whole games), or 1 half-move or more, at most {_MOST_PLIES}: the rules end a game "
        "earlier"
    )
    require("generator.plies", plies, 0 <= plies <= _MOST_PLIES, accepted)
    accepted = f"1 token or more, at most {_LONGEST}: an observer reads them at once"
    require("generator.length", length, 1 <= length <= _LONGEST, accepted)
    _chess_text.check_separators(separators)
    layout = _Layout(notation, order, separators, bool(result))
    loaded = _load(corpus, games, skip, plies, layout, rows, length, paths.modified_ns(corpus))
    count = len(loaded.tokens_NxT)
    return Chess(
        tokens_NxT=loaded.tokens_NxT,
        coded_N=loaded.coded_N,
        order_N=streams.permutation(key, loaded.size, count - loaded.size),
        alphabet=_chess_text.alphabet(separators),
        length=length,
        size=loaded.size,
        held_out=count - loaded.size,
    )


class _Layout(NamedTuple):
    """The text format of a game: the arguments of `make` with these names."""

    notation: str
    order: str
    separators: str
    result: bool


class _Rows(NamedTuple):
    """Arrays on the device, shared by the members of an ensemble."""

    tokens_NxT: jax.Array
    coded_N: jax.Array
    size: int


# Two entries: members of an ensemble may have two orders. A modified file is read again.
@functools.lru_cache(maxsize=2)
def _load(
    corpus: str,
    games: int,
    skip: int,
    plies: int,
    layout: _Layout,
    rows: str,
    length: int,
    modified_ns: int,
) -> _Rows:
    """The rows of the training games, `size` of them, then those of the held-out games."""
    loaded = catalogue.book(corpus, games and skip + games, plies).games
    count = len(loaded.results_G) - skip
    accepted = f"0 to {count + skip - 2}: two games have to be left"
    require("generator.skip", skip, skip == 0 or count >= 2, accepted)
    loaded = take(loaded, slice(skip, None))
    accepted = "a file with at least 2 legal games, as one is held out; this one has 1"
    require(paths.KEY, corpus, count >= 2, accepted)
    fill = {"stream": _fill_rows, "game": _row_per_game}[rows]
    parts = [
        fill(_tokens(take(loaded, part_G), layout), length)
        for part_G in _chess_text.shuffled_parts(count)
    ]
    for (tokens_NxT, _), name in zip(parts, ("training", "held-out")):
        accepted = (
            f"a length with which the {name} games of corpus={corpus!r} fill at least one row with "
            f"rows={rows}"
        )
        require("generator.length", length, len(tokens_NxT) > 0, accepted)
    tokens_NxT, coded_N = (np.concatenate(arrays) for arrays in zip(*parts))
    return _Rows(jnp.asarray(tokens_NxT), jnp.asarray(coded_N), size=len(parts[0][0]))


def _tokens(games: Games, layout: _Layout) -> list[np.ndarray]:
    """The tokens of each game, uint8."""
    after_white, after_black, between = layout.separators
    fields = []
    if "moves" in layout.order:
        moves = moves_text(games, layout.notation, after_white, after_black)
        if layout.result:
            results = [RESULTS[number].encode() for number in games.results_G]
            moves = [text + result for text, result in zip(moves, results)]
        fields.append(moves)
    if "board" in layout.order:
        fields.append(boards(games))
    if layout.order == "board_moves":
        fields.reverse()
    texts = map(between.encode().join, zip(*fields))
    return [_chess_text.tokens(text, layout.separators) for text in texts]


def _fill_rows(games: list[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows cut from the games in sequence; a shorter tail is dropped."""
    tokens = np.concatenate(games)
    tokens_NxT = tokens[: len(tokens) // length * length].reshape(-1, length)
    return tokens_NxT, np.full(len(tokens_NxT), length, np.int32)


def _row_per_game(games: list[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """A row for each game of at most `length` tokens."""
    fitting = [tokens for tokens in games if len(tokens) <= length]
    if len(fitting) < len(games):
        _LOG.warning(
            "%d of %d games are longer than %d tokens and left out",
            len(games) - len(fitting), len(games), length,
        )  # fmt: skip
    tokens_NxT = np.full((len(fitting), length), _chess_text.END, np.uint8)
    for row_T, tokens in zip(tokens_NxT, fitting):
        row_T[: len(tokens)] = tokens
    return tokens_NxT, np.array([len(tokens) for tokens in fitting], np.int32)
