"""Positions and their answers: against the package chess, and Stockfish where it is installed."""

import shutil

import chess as rules
import jax
import numpy as np
import pytest

import epx
from epx.data import catalogue
from epx.data.chess import judged, notation, play
from epx.generators.games import chess, positions
from tests.generators.games.test_chess import rows

STOCKFISH = shutil.which("stockfish") or shutil.which("stockfish", path="/usr/games")
WORTH = {"P": 100, "N": 300, "B": 300, "R": 500, "Q": 900, "K": 0}
PLAYED = dict(corpus="selfplay-greedy", games=40)
needs_stockfish = pytest.mark.skipif(not STOCKFISH, reason="needs Stockfish")


def answers(generator):
    """Each row as position, answer and the coded characters."""
    found = []
    for part in rows(generator):
        for text, coded in part:
            fen, _, answer = text.strip("\N{RIGHT TACK}").partition("|")
            found.append((fen, answer.rstrip("\n"), "".join(np.array(list(text))[coded])))
    return found


def test_material_is_that_of_the_board():
    generator = epx.generator("positions", task="material", **PLAYED)
    for fen, answer, coded in answers(generator):
        board = rules.Board(fen)
        assert board.is_valid() and board.ply() >= judged.FIRST_PLY
        balance = sum(
            WORTH[piece.symbol().upper()] * (1 if piece.color else -1)
            for piece in board.piece_map().values()
        )
        assert int(answer) == judged.classes(np.array([balance]))[0] and coded == answer


@pytest.mark.parametrize(
    ("score", "expected"),
    [(-9999, 0), (-800, 0), (-799, 1), (-400, 1), (-399, 2), (-200, 2), (-50, 3), (-49, 4),
     (50, 4), (51, 5), (200, 5), (400, 6), (799, 7), (800, 8), (9999, 8)],
)  # fmt: skip
def test_classes_are_those_of_the_paper(score, expected):
    assert judged.classes(np.array([score]))[0] == expected


def test_positions_are_drawn_once_from_every_game():
    games = catalogue.book("selfplay-greedy", 40).games
    drawn = judged.positions(games)
    assert (drawn.plies_G < games.plies_G).all() and (drawn.plies_G >= judged.FIRST_PLY).all()
    assert len(set(drawn.plies_G.tolist())) > 10
    np.testing.assert_array_equal(judged.positions(games).plies_G, drawn.plies_G)


def test_the_alphabet_is_that_of_games():
    games = chess.make(jax.random.key(0), corpus="selfplay-random", games=40, plies=4, length=16)
    assert positions.make(jax.random.key(0), **positions.TINY).alphabet == games.alphabet


@needs_stockfish
def test_judgements_are_stockfishs_and_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("EPX_CACHE", str(tmp_path))
    best = epx.generator("positions", nodes=300, task="best", **PLAYED)
    scored = epx.generator("positions", nodes=300, task="class", **PLAYED)
    moves, classes = answers(best), answers(scored)
    assert len(list((tmp_path / "books").glob("judged-*.npz"))) == 1
    with play._engine("key", "value") as engine:
        for (fen, move, coded), (same, answer, _) in list(zip(moves, classes))[:10]:
            board = rules.Board(fen)
            assert fen == same and coded == move + "\n"
            found = engine.analyse(board, rules.engine.Limit(nodes=300), game=object())
            assert board.san(found["pv"][0]) == move
            score = found["score"].white().score(mate_score=play.MATE)
            assert judged.classes(np.array([score]))[0] == int(answer)
    monkeypatch.setattr(play, "judge", None)  # a second time they come from the cache
    book = catalogue.book("selfplay-greedy", 40)
    again = judged.load(book, 300)
    assert notation.boards(again.positions) == notation.boards(judged.positions(book.games))


def test_a_length_that_is_too_short_is_named():
    with pytest.raises(ValueError, match=r"generator\.length=40: accepted at least \d+"):
        epx.generator("positions", task="material", length=40, **PLAYED)
