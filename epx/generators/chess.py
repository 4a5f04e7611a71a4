"""Chess games as text: the moves, the position they lead to, or both in either order (arXiv
2601.03220, figure 4c and appendix C.4).

Playing the moves out gives the board, but the board says little about the moves: the same text in
two orders asks an observer for different things. A game is a begin token, `e4,e5;Nf3,Nc6;...;1-0`,
`|`, the position in FEN, and an end token; or the position first. Games fill rows one after the
other, or one row each.

>>> import jax
>>> generator = make(jax.random.key(0), corpus="selfplay-random", games=20, plies=4, result=False,
...                  rows="game", length=90)
>>> generator.spec
Spec(vocab=44, length=90, size=18, version=2, held_out=2, given=0)
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
_MOST_GAMES = 10**7  # of which each takes about 200 bytes
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
      tokens_NxT: uint8; the rows for training, then those held out.
      coded_N: int32, how many tokens of a row are coded; end tokens fill the rest.
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
    """Chess games of a corpus, in rows of tokens.

    Games are shuffled in a fixed way, and the last tenth of them is held out; of the 14,570 that
    are held out of gnubook, 296 are also training games, move for move. Members of an
    ensemble may vary `order` between `moves_board` and `board_moves`.

    Args:
      key: draws the order of the training rows, the same for every `order`.
      corpus: a prepared book or the path of a file in PGN, see `epx.data.catalogue.book`.
      games: how many games, from the first one on; 0 is all (of self-play,
        `epx.data.chess.database.SELFPLAY_GAMES`; `plies` makes them short and quick to play).
      plies: half-moves after which a game is cut and its position taken; 0 is the whole game.
      notation: `san`, `uci` or `lan`.
      order: `moves_board`, `board_moves`, `moves` or `board`.
      separators: three characters, after White's moves, after Black's, and between moves and board.
      result: whether the moves end with the game's result, `*` where it is unfinished or cut.
      rows: `stream` fills rows with one game after the other, cut where a row is full; `game` gives
        each game a row of its own and leaves out those that are longer.
      length: tokens in a row.

    Raises:
      ValueError: an argument that is not one of those above, or fewer than two rows.
    """
    require("generator.notation", notation, notation in NOTATIONS, ", ".join(NOTATIONS))
    require("generator.order", order, order in _ORDERS, ", ".join(_ORDERS))
    require("generator.rows", rows, rows in _ROWS, ", ".join(_ROWS))
    accepted = f"0 (all), or 2 games or more, at most {_MOST_GAMES}: their tokens stay in memory"
    require("generator.games", games, games == 0 or 2 <= games <= _MOST_GAMES, accepted)
    accepted = (
        f"0 (whole games), or 1 half-move or more, at most {_MOST_PLIES}: the rules end a game "
        "earlier"
    )
    require("generator.plies", plies, 0 <= plies <= _MOST_PLIES, accepted)
    accepted = f"1 token or more, at most {_LONGEST}: an observer sees all of them at once"
    require("generator.length", length, 1 <= length <= _LONGEST, accepted)
    legal = len(separators) == 3 and separators.isascii() and separators.isprintable()
    legal = legal and not set(separators) & set(_WRITTEN[1:])
    accepted = "three printable ASCII characters that no notation uses"
    require("generator.separators", separators, legal, accepted)
    layout = _Layout(notation, order, separators, bool(result))
    loaded = _load(corpus, games, plies, layout, rows, length, paths.modified_ns(corpus))
    count = len(loaded.tokens_NxT)
    return Chess(
        tokens_NxT=loaded.tokens_NxT,
        coded_N=loaded.coded_N,
        order_N=streams.permutation(key, loaded.size, count - loaded.size),
        alphabet=_alphabet(separators),
        length=length,
        size=loaded.size,
        held_out=count - loaded.size,
    )


class _Layout(NamedTuple):
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


# The members of an ensemble differ in their key and order alone. A file that was modified is read
# again.
@functools.lru_cache(maxsize=2)
def _load(
    corpus: str, games: int, plies: int, layout: _Layout, rows: str, length: int, modified_ns: int
) -> _Rows:
    """The rows of the games for training, `size` of them, then of those held out."""
    loaded = catalogue.book(corpus, games, plies).games
    count = len(loaded.results_G)
    accepted = "a file with at least 2 legal games; this holds one legal game, and one is held out"
    require(paths.KEY, corpus, count >= 2, accepted)
    first_held_out = count - max(1, round(_HELD_OUT * count))
    # Books are collections of collections, so that the last games of one may be of another kind.
    # RandomState draws the same in every version of numpy.
    shuffled_G = np.random.RandomState(0).permutation(count)
    fill = {"stream": _fill_rows, "game": _row_per_game}[rows]
    parts = [
        fill(_tokens(take(loaded, part_G), layout), length)
        for part_G in np.split(shuffled_G, [first_held_out])
    ]
    for (tokens_NxT, _), name in zip(parts, ("training", "held-out")):
        accepted = (
            f"a length of which the {name} games of corpus={corpus!r} fill at least one row with "
            f"rows={rows}"
        )
        require("generator.length", length, len(tokens_NxT) > 0, accepted)
    tokens_NxT, coded_N = (np.concatenate(arrays) for arrays in zip(*parts))
    return _Rows(jnp.asarray(tokens_NxT), jnp.asarray(coded_N), size=len(parts[0][0]))


def _alphabet(separators: str) -> str:
    """The character of each token; those of begin and end occur in no game."""
    return "\N{RIGHT TACK}\n" + "".join(sorted(set(separators + _WRITTEN)))


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
    alphabet = _alphabet(layout.separators)
    token = np.zeros(128, np.uint8)
    token[[ord(character) for character in alphabet[2:]]] = np.arange(2, len(alphabet))
    texts = map(between.encode().join, zip(*fields))
    begin, end = np.array([_BEGIN], np.uint8), np.array([_END], np.uint8)
    return [np.concatenate([begin, token[np.frombuffer(text, np.uint8)], end]) for text in texts]


def _fill_rows(games: list[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows cut from all games one after the other; a shorter tail is dropped."""
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
    tokens_NxT = np.full((len(fitting), length), _END, np.uint8)
    for row_T, tokens in zip(tokens_NxT, fitting):
        row_T[: len(tokens)] = tokens
    return tokens_NxT, np.array([len(tokens) for tokens in fitting], np.int32)
