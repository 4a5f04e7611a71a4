"""Chess games: what is read, played and written is what the package `chess` itself says, what an
independent program says of a whole book, and what is known by hand."""

import hashlib
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import chess
import chess.pgn
import numpy as np
import pytest

from epx.data import catalogue, debian
from epx.data.chess import games, notation, pgn, play
from epx.data.chess.games import RESULTS

STOCKFISH = shutil.which("stockfish") or shutil.which("stockfish", path="/usr/games")
PGN_EXTRACT = shutil.which("pgn-extract") or shutil.which("pgn-extract", path="/usr/games")
# The cache of conftest.py is empty. This one is the user's, where the book may be prepared.
PREPARED = Path(os.environ.get("EPX_TEST_CACHE", "~/.cache/epx")).expanduser()

# Known by hand, or from the books.
OPERA = (
    "1. e4 e5 2. Nf3 d6 3. d4 Bg4 4. dxe5 Bxf3 5. Qxf3 dxe5 6. Bc4 Nf6 7. Qb3 Qe7 8. Nc3 c6 9. Bg5 "
    "b5 10. Nxb5 cxb5 11. Bxb5+ Nbd7 12. O-O-O Rd8 13. Rxd7 Rxd7 14. Rd1 Qe6 15. Bxd7+ Nxd7 "
    "16. Qb8+ Nxb8 17. Rd8# 1-0\n"
)
# Three queens, and two of them tell nothing by their file, two by their rank.
QUEENS = (
    "a4 b5 axb5 a6 bxa6 Bb7 axb7 Na6 bxa8=Q Nb4 h4 g5 hxg5 h6 gxh6 Bg7 hxg7 Nf6 gxh8=Q+ Ng8 Qh6 "
    "Nxc2+ Qxc2 e5 Qac6 Qc8 Qc6g6 *"
)
# The shortest game to a stalemate, by Sam Loyd.
STALEMATE = "e3 a5 Qh5 Ra6 Qxa5 h5 h4 Rah6 Qxc7 f6 Qxd7+ Kf7 Qxb7 Qd3 Qxb8 Qh7 Qxc8 Kg6 Qe6 1/2-1/2"
FENS = {
    OPERA: "1n1Rkb1r/p4ppp/4q3/4p1B1/4P3/8/PPP2PPP/2K5 b k - 1 17",
    "1. e4 e5 2. Bc4 Nc6 3. Qh5 Nf6 4. Qxf7# 1-0": (
        "r1bqkb1r/pppp1Qpp/2n2n2/4p3/2B1P3/8/PPPP1PPP/RNB1K1NR b KQkq - 0 4"
    ),
    "1. e4 a6 2. e5 d5 *": "rnbqkbnr/1pp1pppp/p7/3pP3/8/8/PPPP1PPP/RNBQKBNR w KQkq d6 0 3",
    # No pawn stands beside the one that went two squares, and then one that is pinned.
    "1. e4 *": "rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1",
    "1. e4 e5 2. f4 exf4 3. e5 Qe7 4. Nf3 d5 *": (
        "rnb1kbnr/ppp1qppp/8/3pP3/5p2/5N2/PPPP2PP/RNBQKB1R w KQkq - 0 5"
    ),
    STALEMATE: "5bnr/4p1pq/4Qpkr/7p/7P/4P3/PPPP1PP1/RNB1KBNR b KQ - 2 10",
    # A rook that is taken at home, or comes back to it, castles no more.
    "1. g3 b6 2. Bg2 Na6 3. Bxa8 h5 4. Nf3 h4 5. Rg1 h3 6. Rh1 *": (
        "B1bqkbnr/p1ppppp1/np6/8/8/5NPp/PPPPPP1P/RNBQK2R b Qk - 1 6"
    ),
}


def texts(found, form="san"):
    return [text.decode() for text in notation.moves_text(found, form, ",", ";")]


def only(text):
    """The game of a text that holds one, and nothing to complain of."""
    found, skipped = pgn.parse(text)
    assert not skipped and len(found.results_G) == 1
    return found


def assert_same(one, other):
    for mine, theirs in zip(one, other):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


def replay(found):
    """The boards of the package `chess` behind each move of each game, through UCI alone."""
    for text in texts(found, "uci"):
        board, line = chess.Board(), []
        for move in re.findall(r"[^,;]+", text):
            board.push_uci(move)
            line.append(board.copy(stack=False))
        yield line


# --- Four hundred games that the package `chess` made, wrote, and describes ---


def _eventful(draw: random.Random, longest: int) -> chess.Board:
    """A game in which what is rare in chess happens often."""
    board = chess.Board()
    while board.ply() < longest and (moves := list(board.legal_moves)):
        weights = [
            1 + 30 * board.is_castling(m) + 60 * board.is_en_passant(m) + 10 * bool(m.promotion)
            + 2 * (board.piece_type_at(m.from_square) in (chess.PAWN, chess.KNIGHT))
            for m in moves
        ]  # fmt: skip
        board.push(draw.choices(moves, weights)[0])
    return board


def _played(sans: str) -> chess.Board:
    board = chess.Board()
    for san in sans.split()[:-1]:
        board.push_san(san)
    return board


class Told:
    """What `chess` says of a game: its moves in each notation, and the position after each."""

    def __init__(self, played: chess.Board, result: str):
        board = chess.Board()
        self.result, self.fens = result, [board.fen()]
        self.moves = {form: [] for form in notation.NOTATIONS}
        for move in played.move_stack:
            for form in notation.NOTATIONS:
                self.moves[form].append(getattr(board, form)(move))
            board.push(move)
            self.fens.append(board.fen())


@pytest.fixture(scope="module")
def described():
    draw = random.Random("some games")
    told, written = [], []
    boards = [_eventful(draw, draw.randint(1, 120)) for _ in range(398)]
    for board in [_played(QUEENS), _played(STALEMATE), *boards]:
        result = board.result() if board.is_game_over() else draw.choice(RESULTS)
        game = chess.pgn.Game.from_board(board)
        game.headers["Result"] = result
        told.append(Told(board, result))
        written.append(game.accept(chess.pgn.StringExporter()))
    found, skipped = pgn.parse("\n\n".join(written) + "\n")
    assert not skipped
    return told, found


def test_fixture_has_every_kind_of_move(described):
    told, _ = described
    sans = [move for game in told for move in game.moves["san"]]
    for pattern, least in {
        r"O-O[+#]?": 20, r"O-O-O[+#]?": 20, r".*x.*=[QRBN].*": 20, r".*=N[+#]?": 5,
        r"[QRBN][a-h]x?[a-h][1-8].*": 80, r"[QRBN][1-8]x?[a-h][1-8].*": 20,
        r"[QRBN][a-h][1-8]x?[a-h][1-8].*": 1, r".*#": 4, r".*\+": 200,
    }.items():  # fmt: skip
        assert sum(bool(re.fullmatch(pattern, san)) for san in sans) >= least, pattern
    assert sum(fen.split()[3] != "-" for game in told for fen in game.fens) > 40
    assert {game.result for game in told} == set(RESULTS)
    assert {move[-1] for game in told for move in game.moves["uci"] if len(move) > 4} == set("qrbn")
    castled = {move for game in told for move in game.moves["uci"] if move[:2] in ("e1", "e8")}
    assert {"e1g1", "e1c1", "e8g8", "e8c8"} <= castled


@pytest.mark.parametrize("form", notation.NOTATIONS)
def test_notations_equal_python_chess(described, form):
    told, found = described
    for game, text in zip(told, texts(found, form), strict=True):
        moves = game.moves[form]
        assert text == "".join(f"{move}{',;'[n % 2]}" for n, move in enumerate(moves))


def test_results_equal_the_pgn(described):
    told, found = described
    assert [RESULTS[number] for number in found.results_G] == [game.result for game in told]


@pytest.mark.parametrize("plies", [0, 1, 2, 9, 20, 33, 50, 77, 10**6])
def test_boards_equal_python_chess(described, plies):
    """After so many half-moves, or at the end."""
    told, found = described
    short = games.truncate(found, plies)
    expected = [game.fens[: plies + 1][-1] for game in told]
    assert [fen.decode() for fen in notation.boards(short)] == expected
    results = [game.result if len(game.fens) <= plies + 1 else "*" for game in told]
    assert [RESULTS[number] for number in short.results_G] == results


@pytest.mark.parametrize("text", FENS)
def test_known_positions(text):
    assert notation.boards(only(text)) == [FENS[text].encode()]


def test_known_notations():
    opera = games.take(games.join([only(OPERA)] * 2), slice(1, 2))
    assert texts(opera)[0].endswith("Bxd7+,Nxd7;Qb8+,Nxb8;Rd8#,")
    assert texts(opera, "uci")[0].endswith("b5d7,f6d7;b3b8,d7b8;d1d8,")
    assert texts(opera, "lan")[0].endswith("Bb5xd7+,Nf6xd7;Qb3-b8+,Nd7xb8;Rd1-d8#,")
    assert ",Nb8-d7;O-O-O,Ra8-d8;" in texts(opera, "lan")[0]
    assert ",b8d7;e1c1,a8d8;" in texts(opera, "uci")[0]
    assert RESULTS[opera.results_G[0]] == "1-0"


# --- Games in an array ---


def test_game_truncated_to_nothing():
    nothing = games.truncate(only(OPERA), 0)
    assert notation.boards(nothing) == [chess.STARTING_FEN.encode()]
    assert texts(nothing) == [""] and RESULTS[nothing.results_G[0]] == "*"


def test_truncate_take_and_join(described):
    _, found = described
    parts = [games.take(found, slice(*ends)) for ends in ((0, 1), (1, 1), (1, 250), (250, 400))]
    assert_same(games.join(parts), found)
    assert_same(games.truncate(found, int(found.plies_G.max())), found)
    assert_same(games.truncate(games.truncate(found, 30), 8), games.truncate(found, 8))
    assert_same(games.truncate(parts[2], 8), games.take(games.truncate(found, 8), slice(1, 250)))
    assert texts(games.take(found, slice(1, 250))) == texts(found)[1:250]
    some = np.array([3, 399, 3, 0])
    assert texts(games.take(found, some)) == [texts(found)[game] for game in some]
    assert found.plies_G.tolist() == [len(text.split()) for text in _spaced(found)]


def _spaced(found):
    return [text.replace(",", " ").replace(";", " ") for text in texts(found)]


def test_empty_games():
    nothing = games.take(only(OPERA), slice(0))
    assert texts(nothing) == [] and notation.boards(nothing) == []
    assert_same(pgn.parse("")[0], nothing)
    assert_same(games.truncate(nothing, 3), nothing)


def test_bit_fields_do_not_overlap():
    full = {name: 2**field.bits - 1 for name, field in games.FIELDS.items()}
    for name, most in full.items():
        packed = np.array([games.pack(**{name: most})], np.uint32)
        assert {n: int(games.field(packed, n)[0]) for n in full} == dict.fromkeys(full, 0) | {
            name: most
        }


# --- Reading ---

GAME = '[Event "{}"]\n[Site "?"]\n\n{}\n\n'
CUT_OFF = "breaks off"


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ("1. e4 e5 2. Ke3 Nc6 *", ["move 2", "illegal", "'Ke3'"]),
        ("1. e4 e5 2. Nf3 Nc6 3. Ng1 Nb8 4. Nd4 *", ["move 4", "illegal"]),
        ("1. Nf3 a6 2. d3 b6 3. Nd2 *", ["move 3", "ambiguous", "'Nd2'"]),
        ("1. a4 b5 2. axb5 a6 3. bxa6 c6 4. a7 d6 5. axb8 *", ["move 5", "illegal"]),
        ("1. e4 e5 2. Sf3 Sc6 *", ["Sf3 is not a move"]),  # German, and a pawn could go there
        ("1. e4 e5\n2. nf3 *", ["nf3 is not a move"]),
        ("1. ♘f3 ♞f6 *", ["♘f3 is not a move"]),
        ("1. e4 e5 2. Nf3", [CUT_OFF]),
        ("1. e4 e5 2. Nf3 {a comment that is left open", [CUT_OFF]),
        ("1. e4 e5 (1... c5 2. Nf3 *", [CUT_OFF]),
        ("1. e4 -- 2. d4 d5 *", ["move 1", "null"]),
        ("1. e4 e5 1-0 2. d4 d5 *", ["follow its result"]),
        ("1. e4 e5 1-0 2. d4 d5", ["follow its result"]),
        ("1. e4 e5 1-0 0-1", ["follow its result"]),
        ("1. e4 e5 *\n1. d4 d5 *", ["follow its result"]),  # no blank line between two games
        ("*", ["no moves"]),
        ("", [CUT_OFF]),
        ('[FEN "4k3/8/8/8/8/8/4P3/4K3 w - - 0 1"]\n\n1. e4 *', ["initial position", "FEN '4k3/8"]),
        ('[FEN "nonsense"]\n\n1. e4 *', ["initial position", "'nonsense'"]),
        ('[Variant "Atomic"]\n\n1. e4 *', ["initial position", "Variant 'Atomic'"]),
        ('[Variant "Chess960"]\n\n1. e4 *', ["initial position"]),
        ('[Variant "Nonsense"]\n\n1. e4 *', ["initial position"]),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_faulty_game_is_skipped(moves, words, newline):
    """It stands between two good ones, and its line is told."""
    faulty = GAME.replace("\n\n", "\n", 1) if moves.startswith("[") else GAME
    text = GAME.format(1, "1. a3 *") + faulty.format(2, moves) + GAME.format(3, "1. h3 1-0")
    found, skipped = pgn.parse(text.replace("\n", newline))
    assert texts(found) == ["a3,", "h3,"]
    assert [RESULTS[number] for number in found.results_G] == ["*", "1-0"]
    assert [line for line, _ in skipped] == [6]
    assert all(word in skipped[0].reason for word in words), skipped


def test_line_numbers_start_at_the_given_line():
    lines = ["\n", '[Event "1"]\n', "\n", "1. e4\n", "\n", "\n", "% escaped\n"]
    lines += ['[Event "2"]\n', "\n", "{two\n", "\n", "lines} 1. e4 e5\n", "2. Ke3 *\n", "\n"]
    lines += ['[Event "3"]\n', "1. e4 e5 2. Ke3 *\n", '[Event "4"]\n', "\n", "1. e4"]
    starts = [n for n, line in enumerate(lines) if "Event" in line]
    for first in (1, 1001):
        _, skipped = pgn.parse("".join(lines), first)
        assert [line for line, _ in skipped] == [first + start for start in starts]
    _, skipped = pgn.parse("\ufeff" + "".join(lines[1:]))
    assert [line for line, _ in skipped] == starts


def test_unterminated_game_does_not_swallow_the_next():
    """Its tag of a result would be one for the moves before it."""
    text = '[Event "1"]\n\n1. e4 e5\n[Event "2"]\n[Result "1-0"]\n\n1. d4 d5 1-0\n'
    found, skipped = pgn.parse(text)
    assert texts(found) == ["d4,d5;"]
    assert [(line, CUT_OFF in reason) for line, reason in skipped] == [(1, True)]


def test_remainder_of_a_torn_game_is_skipped():
    """A blank line ends a game in PGN; what follows it would be legal from the start by chance."""
    text = GAME.format(1, "1. e4 e5\n\n2. Nf3 Nc6 *") + GAME.format(2, "1. d4 *")
    found, skipped = pgn.parse(text)
    assert texts(found) == ["d4,"]
    assert [line for line, _ in skipped] == [1, 6]
    assert "without tags" in skipped[1].reason


def test_games_without_tags():
    found, skipped = pgn.parse("1. e4 *\n\n1. d4\n\n1. c4 0-1\n")
    assert texts(found) == ["e4,", "c4,"]
    assert [line for line, _ in skipped] == [3]


@pytest.mark.parametrize(
    "moves",
    [
        "e4 e5 Nf3 Nc6 Bc4 Bc5 O-O *",
        "1.e4 e5 2.Nf3 Nc6\n3.Bc4 Bc5 4.0-0\n*",
        "1. e4 $1 e5! 2. Nf3 Nc6?! 3. Bc4 Bc5!! $14 4. O-O?? $6 *",
        "{a} 1. e4 {b (c\n\nd)} e5 ; 2. Ke3 Ke6 1-0\n2. Nf3 Nc6 3. Bc4 {[%clk 0:01]} Bc5 4. O-O *",
        "1. e4 (1. d4 d5 (1... f5 2. g4 fxg4 1-0) 2. c4) 1... e5 2. Nf3 Nc6 (2... Ke3) 3. Bc4 Bc5"
        " 4. O-O *",
        "1. e2-e4 e7e5 2. Ng1f3 Nb8-c6 3. Bf1-c4 f8c5 4. O-O *",
        "1. Pe4 Pe7-e5 2. Nf3 N Nc6 {Sf3 nf6} 3. Bc4+= Bc5 ; Sf3\n4. O-O e.p. *",
        '[Variant "Standard"]\n\n1. e4 e5 2. Nf3 Nc6 3. Bc4 Bc5 4. O-O *',
        f'[FEN "{chess.STARTING_FEN}"]\n\n1. e4 e5 2. Nf3 Nc6 3. Bc4 Bc5 4. O-O *',
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_comments_and_variations_are_skipped(moves, newline):
    found = only(("\ufeff% x\n\n" + moves).replace("\n", newline))
    assert texts(found) == ["e4,e5;Nf3,Nc6;Bc4,Bc5;O-O,"]


def test_pgn_read_in_pieces_equals_the_whole(described):
    """Wherever it is cut between games."""
    pgns = [GAME.format(n, moves) for n, moves in enumerate([OPERA, "1. Ke2 *", *FENS])]
    whole, skipped = pgn.parse("".join(pgns))
    first = "".join(pgns[:3])
    parts = [pgn.parse(first), pgn.parse("".join(pgns[3:]), 1 + first.count("\n"))]
    assert_same(games.join([found for found, _ in parts]), whole)
    assert [fault for _, faults in parts for fault in faults] == skipped


# --- Self-play ---

PLAYERS = ["random", "greedy"]
GOLDENS = {
    "random": "3d80a375da57",
    "greedy": "51fc5074db36",
}


@pytest.fixture(scope="module")
def played():
    return {player: play.play(player, 0, 60, 200) for player in PLAYERS}


@pytest.mark.parametrize("player", PLAYERS)
def test_self_play_follows_its_recipe(player, played):
    found = games.take(played[player], slice(10))
    content = "\n".join([*texts(found), *(RESULTS[n] for n in found.results_G)])
    assert hashlib.sha256(content.encode()).hexdigest()[:12] == GOLDENS[player], (
        f"the first games of selfplay-{player} are others than those of this golden. Either that is"
        " a bug, or the package chess lists its moves in another order, or they are meant to"
        " change: then raise the version in `_STORES` of epx/data/catalogue.py and VERSION of"
        " epx/generators/games/chess.py, and write the new sha256 here"
    )


@pytest.mark.parametrize("player", PLAYERS)
def test_self_play_game_depends_on_its_index_only(player, played):
    assert_same(play.play(player, 7, 12, 200), games.take(played[player], slice(7, 12)))
    assert len({*texts(played[player])}) == 60, "no two games are the same"


@pytest.mark.parametrize("player", PLAYERS)
def test_self_play_plies_truncate_a_longer_game(player, played):
    found = played[player]
    lengths = set(found.plies_G[found.results_G > 0].tolist())
    assert lengths, "some games end before they are cut"
    for plies in {0, 1, 40, *lengths}:
        some = [n for n, own in enumerate(found.plies_G.tolist()) if own == plies] or [0, 1]
        for n in some:
            short = games.truncate(games.take(found, slice(n, n + 1)), plies)
            assert_same(play.play(player, n, n + 1, plies), short)


@pytest.mark.parametrize("player", PLAYERS)
def test_self_play_ends_by_the_rules(player, played):
    found = played[player]
    for boards, number in zip(replay(found), found.results_G):
        assert not any(board.outcome() for board in boards[:-1])
        assert boards[-1].result() == RESULTS[number]
        assert len(boards) == 200 or number


def test_random_player_is_uniform():
    counts = {}
    for text in texts(play.play("random", 0, 2000, 1)):
        counts[text] = counts.get(text, 0) + 1
    assert len(counts) == 20
    assert all(60 < count < 140 for count in counts.values()), counts  # 100 ± 4 sd


WORTH = {"p": 1, "n": 3, "b": 3, "r": 5, "q": 9, "k": 0}


def _ahead(board: chess.Board) -> int:
    """By how much White is ahead."""
    placement = board.board_fen()
    return sum(WORTH[c.lower()] * (1 if c.isupper() else -1) for c in placement if c.isalpha())


def test_greedy_player_takes_the_most_valuable_piece(played):
    """Of all legal moves, none would leave it further ahead; and it takes any of those that tie."""
    gains = ties = 0
    for boards in replay(games.take(played["greedy"], slice(15))):
        before = chess.Board()
        for after in boards:
            sign = 1 if before.turn else -1
            reached = []
            for move in before.legal_moves:
                board = before.copy(stack=False)
                board.push(move)
                reached.append(sign * _ahead(board))
            assert sign * _ahead(after) == max(reached)
            gains += max(reached) > sign * _ahead(before)
            ties += reached.count(max(reached)) > 1
            before = after
    assert gains > 300 and ties > 300


def test_greedy_player_prefers_a_capture_to_a_promotion():
    """The one costs a pawn."""
    board = chess.Board("7k/P7/8/3q4/3R4/8/8/K7 w - - 0 1")
    chosen = {play._Greedy(str(n))(board, list(board.legal_moves)).uci() for n in range(20)}
    assert chosen == {"d4d5"}


@pytest.mark.skipif(not STOCKFISH, reason="Stockfish is not installed")
def test_stockfish_is_deterministic():
    once = play.play("stockfish", 0, 3, 16)
    assert_same(play.play("stockfish", 0, 3, 16), once)
    assert_same(play.play("stockfish", 1, 3, 16), games.take(once, slice(1, 3)))
    assert_same(play.play("stockfish", 0, 3, 12), games.truncate(once, 12))
    assert len({*texts(once)}) == 3 and once.plies_G.tolist() == [16] * 3


def test_missing_stockfish_is_named(monkeypatch):
    monkeypatch.setattr(play.shutil, "which", lambda *names, **path: None)
    with pytest.raises(ValueError, match=r"Stockfish.*PATH"):
        play.play("stockfish", 0, 1, 8)


# --- The whole book, against an independent program ---


def _plain(notation: str, text: str) -> str:
    """Moves as pgn-extract 19.04 writes them, without what is peculiar to it."""
    if notation == "uci":  # b2b1Q
        return re.sub(r"[QRBN]", lambda piece: piece[0].lower(), text)
    if notation == "lan":  # b2-b1Q, O-O++
        return re.sub(r"(O-O)([+#])\2", r"\1\2", re.sub(r"[-x]\w\d(?=[QRBN])", r"\g<0>=", text))
    return text


def _extracted(pgn: Path, notation: str) -> tuple[list[tuple[str, str, str]], int]:
    """Moves, position and result of each game that has moves, as pgn-extract writes them, and the
    number of games without. Long lines are wrapped."""
    output = {"uci": "-Wuci", "san": "-Wsan", "lan": "-Wxolalg"}[notation]
    options = ["--notags", "--nomovenumbers", "-F", "--nofauxep", "-w100000"]
    program = [PGN_EXTRACT, "-s", output, *options, str(pgn)]
    said = subprocess.run(program, capture_output=True, check=True).stdout.decode("latin-1")
    said, bare = re.subn(r"^(1-0|0-1|1/2-1/2|\*)$", "", said, flags=re.MULTILINE)
    found = re.findall(r'([^{}]*)\{ "([^"]*)" \}\s*(\S+)', said)
    moves = [(_plain(notation, " ".join(text.split())), fen, result) for text, fen, result in found]
    return moves, bare


@pytest.mark.slow
@pytest.mark.skipif(not PGN_EXTRACT, reason="pgn-extract is not installed")
@pytest.mark.skipif(not (PREPARED / "downloads").is_dir(), reason=f"no gnubook in {PREPARED}")
@pytest.mark.parametrize("form", notation.NOTATIONS)
def test_gnubook_equals_pgn_extract(form, tmp_path):
    """EPX_TEST_CACHE names the cache where `python -m experiments.data prepare gnubook` put it."""
    book = catalogue.book("gnubook", folder=PREPARED)
    source = debian.source("gnuchess-book", PREPARED / "downloads")
    (content,) = (data for name, data in debian.files(source) if name.endswith(".pgn"))
    (tmp_path / "book.pgn").write_bytes(content)
    theirs, bare = _extracted(tmp_path / "book.pgn", form)
    mine = zip(
        (text.decode().strip() for text in notation.moves_text(book.games, form, " ", " ")),
        (fen.decode() for fen in notation.boards(book.games)),
        (RESULTS[number] for number in book.games.results_G),
    )
    differing = [pair for pair in zip(mine, theirs, strict=True) if pair[0] != pair[1]]
    assert not differing, f"{len(differing)} games differ, such as {differing[:3]}"
    assert len(theirs) > 100_000
    assert len(book.skipped) == bare and all("no moves" in reason for reason in book.skipped)
