"""The chess generator: games as text, none lost, leaked or torn, the same in either order."""

import os

import jax
import numpy as np
import pytest

from epx.data import catalogue
from epx.data.chess import games, notation
from epx.data.chess.games import RESULTS
from epx.generators.games import _chess_text, chess
from epx.run import setup as setups
from epx.sweeps import grid
from tests.data.chess.test_games import OPERA

KEY = jax.random.key(7)
BEGIN, END = "\N{RIGHT TACK}", "\n"
FEN = "1n1Rkb1r/p4ppp/4q3/4p1B1/4P3/8/PPP2PPP/2K5 b k - 1 17"
PLIES = [1 + 7 * n % 31 for n in range(20)]  # of the games in the file below
PLAYED = dict(corpus="selfplay-random", games=40, plies=9)


@pytest.fixture
def pgn(tmp_path):
    """Twenty games of different lengths and results: the beginnings of one."""
    sans = [word for word in OPERA.split() if not word[0].isdigit()]
    lines = [
        f'[Event "{n}"]\n\n{" ".join(sans[:plies])} {RESULTS[n % 4]}\n\n'
        for n, plies in enumerate(PLIES)
    ]
    (tmp_path / "mine.pgn").write_text("".join(lines))
    return str(tmp_path / "mine.pgn")


@pytest.fixture(scope="module")
def long_games():
    return catalogue.book("selfplay-greedy", 150, 200)


def records(book, order="moves_board", form="san", separators=",;|", result=True):
    """Each game as text, written the slow and obvious way, without its begin and end."""
    white, black, between = separators
    written = []
    moves = notation.moves_text(book.games, form, white, black)
    for text, fen, number in zip(moves, notation.boards(book.games), book.games.results_G):
        fields = {
            "moves": text.decode() + RESULTS[number] * result,
            "board": fen.decode(),
        }
        written.append(between.join(fields[name] for name in order.split("_")))
    return written


def rows(generator):
    """Training and held-out rows as pairs of text and mask, in the order of the book."""
    spec = generator.spec
    indices = np.arange(spec.size + spec.held_out, dtype=np.uint32)
    examples = jax.device_get(
        jax.jit(jax.vmap(lambda index: generator.example(KEY, index)))(indices)
    )
    found = [None] * len(indices)
    for row, tokens_T, coded_T in zip(
        generator.order_N.tolist(), examples.tokens_T, examples.coded_T
    ):
        found[row] = ("".join(generator.symbols(tokens_T)), coded_T)
    return found[: spec.size], found[spec.size :]


def shuffled(items):
    return [items[game] for game in np.random.RandomState(0).permutation(len(items))]


def split(written):
    """Records of training and held-out games: a tenth of them, drawn once for everybody."""
    held_out = max(1, round(0.1 * len(written)))
    written = shuffled(written)
    return written[:-held_out], written[-held_out:]


@pytest.mark.parametrize(
    "choice",
    [
        dict(order="moves_board"),
        dict(order="board_moves"),
        dict(order="moves"),
        dict(order="board"),
        dict(order="moves", result=False),
        dict(notation="uci", result=False),
        dict(notation="lan", order="board_moves"),
        dict(separators=" _|"),
        dict(separators="   "),
        dict(separators="!!!", order="board_moves", notation="uci"),
    ],
    ids=str,
)
@pytest.mark.parametrize("length", [7, 40])
def test_rows_of_a_stream_are_the_records_one_after_the_other(choice, length, pgn):
    """The held-out games start a row of their own; only the tail of either part is dropped."""
    form = choice.get("notation", "san")
    others = {name: value for name, value in choice.items() if name != "notation"}
    expected = split(records(catalogue.book(pgn), form=form, **others))
    generator = chess.make(KEY, corpus=pgn, length=length, **choice)
    for part, written in zip(rows(generator), expected):
        text = "".join(BEGIN + record + END for record in written)
        assert "".join(row for row, _ in part) == text[: len(text) // length * length] != ""
        assert all(coded_T.all() for _, coded_T in part)


@pytest.mark.parametrize("order", ["moves_board", "board_moves", "moves", "board"])
def test_a_row_to_each_game(order, pgn, caplog):
    """Longer ones are left out and counted; behind the end nothing is coded."""
    expected = split(records(catalogue.book(pgn), order))
    length = max(map(len, expected[1])) + 2
    generator = chess.make(KEY, corpus=pgn, order=order, rows="game", length=length)
    left_out = []
    for part, written in zip(rows(generator), expected):
        fitting = [BEGIN + record + END for record in written if len(record) + 2 <= length]
        assert [row[: coded_T.sum()] for row, coded_T in part] == fitting
        for row, coded_T in part:
            assert coded_T[: coded_T.sum()].all(), "what is coded comes first"
            assert set(row[coded_T.sum() :]) <= {END}
        left_out.append(len(written) - len(fitting))
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"{out} of {len(written)} games are longer than {length} tokens and left out"
        for out, written in zip(left_out, expected)
        if out
    ]
    assert sum(left_out) > 0


def test_a_row_may_be_filled_to_the_last_token(pgn):
    longest = max(map(len, records(catalogue.book(pgn), "board")))
    generator = chess.make(KEY, corpus=pgn, order="board", rows="game", length=longest + 2)
    assert generator.size + generator.held_out == 20
    assert max(coded_T.sum() for part in rows(generator) for _, coded_T in part) == longest + 2


def test_a_known_record(tmp_path):
    (tmp_path / "opera.pgn").write_text(OPERA + "\n" + OPERA)
    for order, starts, ends in (
        ("moves_board", "⊢e4,e5;Nf3,d6;", ",Nxb8;Rd8#,1-0|" + FEN),
        ("board_moves", "⊢" + FEN + "|e4,e5;Nf3,d6;", ",Nxb8;Rd8#,1-0"),
    ):
        path = str(tmp_path / "opera.pgn")
        generator = chess.make(KEY, corpus=path, order=order, rows="game", length=256)
        ((row, coded_T),) = rows(generator)[0]
        record = row[: coded_T.sum()]
        assert record.startswith(starts) and record.endswith(ends + "\n")


def test_orders_hold_the_same_characters():
    one, other = (
        chess.make(KEY, **PLAYED, order=order, rows="game", length=128)
        for order in ("moves_board", "board_moves")
    )
    assert one.spec == other.spec and one.alphabet == other.alphabet
    np.testing.assert_array_equal(one.order_N, other.order_N)
    for mine, theirs in zip(rows(one), rows(other)):
        for (row, coded_T), (turned, turned_coded_T) in zip(mine, theirs):
            np.testing.assert_array_equal(coded_T, turned_coded_T)
            moves, board = row[1 : row.index(END)].split("|")
            assert turned[1 : turned.index(END)] == f"{board}|{moves}"


@pytest.mark.parametrize("layout", [dict(rows="game", length=128), dict(length=32)], ids=str)
def test_orders_are_members_of_one_ensemble(tiny_config, layout):
    tiny_config["generator"] = {"name": "chess", **PLAYED, **layout}
    orders = ("moves_board", "board_moves")
    members = grid.product(grid.vary("generator.order", orders), grid.vary("run.seed", range(2)))
    tiny_config["run"]["repeats"] = 9
    tiny_config["eval"]["examples"] = 4
    setup = setups.assemble(tiny_config, members)
    assert setup.generator.tokens_NxT.shape[0] == 4
    generators = [setup.member(index)[0] for index in range(4)]
    np.testing.assert_array_equal(generators[0].order_N, generators[2].order_N)
    np.testing.assert_array_equal(generators[0].tokens_NxT, generators[1].tokens_NxT)
    assert (generators[0].order_N != generators[1].order_N).any()
    assert (generators[0].tokens_NxT != generators[2].tokens_NxT).any()


def test_order_is_a_permutation_drawn_from_the_key():
    orders = []
    for seed in range(3):
        generator = chess.make(jax.random.key(seed), **PLAYED, length=32)
        order = generator.order_N.tolist()
        assert (
            sorted(order[: generator.size])
            == list(range(generator.size))
            != order[: generator.size]
        )
        assert sorted(order[generator.size :]) == list(range(generator.size, len(order)))
        orders.append(order)
    assert len({tuple(order[: generator.size]) for order in orders}) == 3
    assert len({tuple(order[generator.size :]) for order in orders}) == 1, "all measure on the same"


def test_held_out_games_are_drawn_from_the_whole_book(tmp_path):
    """Half of the book opens one way, then half another way: both are held out."""
    openings = ["1. e4 e5 *\n\n"] * 100 + ["1. d4 d5 *\n\n"] * 100
    (tmp_path / "mine.pgn").write_text("".join(f'[Event "?"]\n\n{moves}' for moves in openings))
    found = chess.make(KEY, str(tmp_path / "mine.pgn"), order="moves", rows="game", length=16)
    drawn = [row[1] for row, _ in rows(found)[1]]
    assert len(drawn) == 20 and 5 <= drawn.count("e") <= 15


def test_the_result_is_that_of_the_game_as_cut(pgn):
    """A game that goes on behind the cut has none."""
    generator = chess.make(KEY, corpus=pgn, plies=7, order="moves", rows="game", length=64)
    found = [row.rstrip(END) for part in rows(generator) for row, _ in part]
    for text, n in zip(found, shuffled(range(len(PLIES))), strict=True):
        plies = PLIES[n]
        assert text.endswith(",*" if plies > 7 else f"{',;'[1 - plies % 2]}{RESULTS[n % 4]}")


@pytest.mark.parametrize("separators", [",;|", "!!!", " _~"])
def test_the_alphabet_is_that_of_the_records(separators):
    generator = chess.make(KEY, **PLAYED, separators=separators, length=32)
    alphabet = generator.alphabet
    assert len(set(alphabet)) == len(alphabet) == generator.spec.vocab
    assert generator.symbols(np.arange(len(alphabet))) == list(alphabet)
    assert alphabet[:2] == BEGIN + END
    assert set(separators) <= set(alphabet)


@pytest.mark.parametrize("form", notation.NOTATIONS)
def test_every_character_of_a_notation_has_a_token(form, long_games):
    """Promotions to each piece, by either side, with check and mate; and every result."""
    text = "".join(records(long_games, form=form))
    assert set("KQRBNkqrbnpP-/ 0123456789abcdefghw*,;|") <= set(text)
    alphabet = _chess_text.alphabet(",;|")
    assert set(text) <= set(alphabet[2:])
    (tokens,) = chess._tokens(
        games.take(long_games.games, slice(1)), chess._Layout("san", "board", ",;|", 0)
    )
    assert [alphabet[token] for token in tokens[1:-1]] == list(
        notation.boards(long_games.games)[0].decode()
    )


def test_a_changed_file_is_read_again(tmp_path):
    file, seen = tmp_path / "mine.pgn", []
    for second, move in enumerate(("e4", "d4")):
        file.write_text(f"1. {move} *\n\n" * 4)
        os.utime(file, (second, second))
        generator = chess.make(KEY, corpus=str(file), order="moves", length=4)
        seen.append(rows(generator)[0][0][0])
    assert seen == ["⊢e4,", "⊢d4,"]


def test_games_are_passed_over(pgn):
    """With `skip` the games are those of a book that begins later."""
    book = catalogue.book(pgn)
    later = book._replace(games=games.take(book.games, slice(6, None)))
    longest = max(map(len, records(book))) + 2
    for count in (0, 14):
        found = chess.make(KEY, corpus=pgn, games=count, skip=6, rows="game", length=longest)
        for part, written in zip(rows(found), split(records(later))):
            assert [row[: coded_T.sum()] for row, coded_T in part] == [
                BEGIN + record + END for record in written
            ]
    fewer = chess.make(KEY, corpus=pgn, games=5, skip=6, rows="game", length=longest)
    assert fewer.size + fewer.held_out == 5
    with pytest.raises(ValueError, match=r"generator\.skip=19: accepted 0 to 18: two games"):
        chess.make(KEY, corpus=pgn, skip=19)


def test_members_share_the_rendering(monkeypatch):
    chess.make(KEY, **PLAYED, length=32)
    chess.make(KEY, **PLAYED, length=32, order="board_moves")
    monkeypatch.setattr(catalogue, "book", lambda *arguments: pytest.fail("loaded twice"))
    for seed in range(2):
        for order in ("moves_board", "board_moves"):
            chess.make(jax.random.key(seed), **PLAYED, length=32, order=order)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(notation="pgn"), ["generator.notation='pgn'", "san, uci, lan"]),
        (dict(order="result"), ["generator.order='result'", "moves_board, board_moves"]),
        (dict(rows="records"), ["generator.rows='records'", "stream, game"]),
        (dict(games=1), ["generator.games=1", "2 games or more"]),
        (dict(games=-3), ["generator.games=-3"]),
        (dict(skip=-1), ["generator.skip=-1", "0 or more"]),
        (dict(skip=2**31), ["generator.skip=2147483648", "at most 10000000"]),
        (dict(plies=-1), ["generator.plies=-1", "1 half-move or more"]),
        (dict(length=0), ["generator.length=0", "1 token or more"]),
        (dict(games=2**31), ["generator.games=2147483648", "at most 10000000"]),
        (dict(plies=10**30), ["generator.plies=1000", "at most 20000"]),
        (dict(length=2**31), ["generator.length=2147483648", "at most 1048576"]),
        (dict(games=10**7, plies=200), ["generator.games=10000000", "at most 500000 games"]),
        (dict(length=600), ["generator.length=600", "held-out", "rows=stream"]),
        (dict(length=20, rows="game"), ["generator.length=20", "training", "rows=game"]),
        (dict(separators=",;"), ["generator.separators=',;'", "three printable ASCII"]),
        (dict(separators=",;x"), ["generator.separators=',;x'", "no notation uses"]),
        (dict(separators=",;\n"), ["generator.separators=',;\\n'"]),
        (dict(separators=",;é"), ["generator.separators=',;é'"]),
        (dict(corpus="gnubok"), ["corpus='gnubok'", "did you mean 'gnubook'?"]),
        (dict(corpus="gnubook"), ["corpus='gnubook'", "prepare it first"]),
    ],
    ids=str,
)
def test_refused_arguments_are_named(arguments, words):
    with pytest.raises(ValueError) as error:
        chess.make(KEY, **{**PLAYED, "length": 32, **arguments})
    assert all(word in str(error.value) for word in words), error.value


def test_a_book_of_one_game_cannot_be_cut(tmp_path):
    (tmp_path / "one.pgn").write_text(OPERA)
    with pytest.raises(ValueError, match=r"one\.pgn.*at least 2 legal games"):
        chess.make(KEY, corpus=str(tmp_path / "one.pgn"))
