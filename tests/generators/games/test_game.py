"""Games of lines: rules against pgx, exact counts and entropies of tic-tac-toe, and both views."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import epx
from epx.analysis.measurement import LN2
from epx.generators.games import _search, game
from epx.generators.kernels import boards
from epx.observers import masked, mlp
from epx.run import setup as setups
from epx.streams import example_key, stream
from experiments.cli import configs
from tests.runs import rows

TRAIN_KEY = stream(0, "train")
TIC_TAC_TOE = game.GAMES["tic_tac_toe"]


def batch(generator, count):
    def one(index):
        return generator.example(example_key(TRAIN_KEY, index), index)

    return jax.device_get(jax.jit(jax.vmap(one))(jnp.arange(count, dtype=jnp.uint32)))


def count_games(rules):
    """The number of different games, by the number of ways to each position."""
    layers = boards._reachable(rules)
    ways, games = np.ones(1, np.int64), 0
    for ply, layer in enumerate(layers):
        over = boards._won(rules, layer, 2 - ply % 2) | (layer > 0).all(1)
        games += int(ways[over].sum())
        if ply + 1 == len(layers):
            break
        codes, later = boards.code_of(rules, layers[ply + 1]), np.zeros(len(layers[ply + 1]), int)
        order = np.argsort(codes)
        for move in range(rules.moves):
            may = boards._legal(rules, layer)[:, move] & ~over
            after = boards.code_of(rules, boards._play(rules, layer[may], move, 1 + ply % 2))
            np.add.at(later, order[np.searchsorted(codes[order], after)], ways[may])
        ways = later
    return games


@pytest.mark.parametrize(
    ("columns", "games"),
    [(4, 356_232), pytest.param(5, 152_505_051_772, marks=pytest.mark.slow)],
)
def test_connect_four_has_the_published_number_of_games(columns, games):
    """OEIS A342329: on a board of n + 1 columns and n rows."""
    assert count_games(boards.Game(columns - 1, columns, 4, drops=True)) == games


def forced(rules, board_N, player, seen):
    """The outcome that the player who moves can force, by search without a table."""
    if (known := seen.get(key := board_N.tobytes())) is not None:
        return known
    if boards._won(rules, board_N[None], 3 - player)[0]:
        return -1
    moves = np.flatnonzero(boards._legal(rules, board_N[None])[0])
    later = [boards._play(rules, board_N[None], move, player)[0] for move in moves]
    outcomes = [-forced(rules, after, 3 - player, seen) for after in later]
    return seen.setdefault(key, max(outcomes, default=0))


@pytest.mark.parametrize("rules", [TIC_TAC_TOE, boards.Game(3, 4, 3, drops=True)])
def test_best_moves_are_those_of_a_search(rules):
    random, seen = np.random.default_rng(0), {}
    for layer in boards._reachable(rules)[rules.cells // 2 :]:
        for board_N in layer[random.integers(0, len(layer), 6)]:
            player = 1 + (board_N > 0).sum() % 2
            if boards._won(rules, board_N[None], 3 - player)[0] or (board_N > 0).all():
                assert best(rules, board_N) == []
                continue
            after = {
                move: -forced(rules, boards._play(rules, board_N[None], move, player)[0],
                              3 - player, seen)
                for move in np.flatnonzero(boards._legal(rules, board_N[None])[0])
            }  # fmt: skip
            top = max(after.values())
            assert best(rules, board_N) == [m for m, outcome in after.items() if outcome == top]


@pytest.mark.slow
def test_connect_four_on_4_by_5_is_a_draw():
    """As its table is published (tromp.github.io/c4): the optimal player draws every game."""
    generator = epx.generator("game", game="connect_four_4x5", player="optimal")
    examples = batch(generator, 50)
    for tokens_T, coded_T in zip(examples.tokens_T, examples.coded_T):
        assert coded_T.all() and sorted(tokens_T) == sorted(np.repeat(range(1, 6), 4))
    moves = batch(epx.generator("game", game="connect_four_4x5", view="moves"), 200)
    optimal = batch(
        epx.generator("game", game="connect_four_4x5", player="optimal", view="moves"), 200
    )
    assert moves.part_P[:, :5].any(1).mean() < 0.95 and optimal.part_P[:, :5].any(1).all()


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four"])
def test_rules_are_those_of_pgx(name):
    """Random games: legal moves, who wins and when it ends."""
    pgx = pytest.importorskip("pgx", reason="pip install pgx")
    rules, environment = game.GAMES[name], pgx.make(name)
    init, step = jax.jit(environment.init), jax.jit(environment.step)
    examples = batch(epx.generator("game", game=name, player="random"), 20)
    for tokens_T, coded_T in zip(examples.tokens_T, examples.coded_T):
        state, board_N = init(jax.random.key(0)), np.zeros(rules.cells, int)
        first = int(state.current_player)
        for ply, token in enumerate(tokens_T[coded_T]):
            assert not state.terminated
            legal_A = boards.legal(rules, jnp.asarray(board_N))
            np.testing.assert_array_equal(legal_A, state.legal_action_mask)
            player = 1 + ply % 2
            board_N = np.asarray(boards.play(rules, jnp.asarray(board_N), token - 1, player))
            state = step(state, jnp.int32(token - 1))
            won = bool(boards.has_won(rules, jnp.asarray(board_N), player))
            mover = (first + ply) % 2
            assert won == (float(state.rewards[mover]) == 1.0)
        assert state.terminated


def test_tic_tac_toe_has_the_known_positions():
    assert boards.positions(TIC_TAC_TOE) == (5478, 4520)
    table = boards.best_moves(TIC_TAC_TOE)
    assert len(table.code_S) == 4520 and (table.best_S > 0).all()


def test_the_code_of_a_board_is_the_same_on_device_and_host():
    for rules in (TIC_TAC_TOE, boards.Game(3, 4, 3, drops=True)):
        for layer in boards._reachable(rules):
            some = layer[:: max(1, len(layer) // 20)]
            on_device = [int(boards.code(rules, jnp.asarray(board, jnp.int32))) for board in some]
            assert on_device == boards.code_of(rules, some).tolist()
            assert len(np.unique(boards.code_of(rules, layer))) == len(layer)


def best(rules, board_N):
    """The best moves by the table, none where the game is over."""
    table, code = boards.best_moves(rules), boards.code_of(rules, board_N[None])[0]
    place = min(np.searchsorted(table.code_S, code), len(table.code_S) - 1)
    bits = int(table.best_S[place]) if table.code_S[place] == code else 0
    return [move for move in range(rules.moves) if bits >> move & 1]


def walk(rules, choose):
    """Expected bits and plies of a game, and the number of games, by the tree of all positions."""

    def of(board, ply):
        player = 1 + ply % 2
        if boards._won(rules, board[None], 3 - player)[0] or ply == rules.cells:
            return 0.0, 0.0, 1, {3 - player if ply < rules.cells or boards._won(
                rules, board[None], 3 - player)[0] else 0: 1.0}  # fmt: skip
        legal = np.flatnonzero(boards._legal(rules, board[None])[0])
        moves = legal if choose == "random" else best(rules, board)
        bits, plies, games, ends = np.log2(len(moves)), 1.0, 0, {}
        for move in moves:
            b, p, g, e = of(boards._play(rules, board[None], move, player)[0], ply + 1)
            bits, plies, games = bits + b / len(moves), plies + p / len(moves), games + g
            for end, share in e.items():
                ends[end] = ends.get(end, 0.0) + share / len(moves)
        return bits, plies, games, ends

    return of(np.zeros(rules.cells, np.int8), 0)


def test_the_optimal_player_has_the_published_entropy():
    """9.9762 bits a game in 9 plies, 3584 games, all drawn."""
    bits, plies, games, ends = walk(TIC_TAC_TOE, "optimal")
    assert bits == pytest.approx(9.9762, abs=1e-4)
    assert plies == pytest.approx(9) and games == 3584
    assert ends == {0: pytest.approx(1.0)}


@pytest.mark.slow
def test_the_random_player_has_the_published_entropy():
    """17.5405 bits a game in 7.6262 plies; X wins 0.5849, O 0.2881, draws 0.1270."""
    bits, plies, _, ends = walk(TIC_TAC_TOE, "random")
    assert bits == pytest.approx(17.5405, abs=1e-4) and plies == pytest.approx(7.6262, abs=1e-4)
    assert [ends[who] for who in (1, 2, 0)] == pytest.approx([0.5849, 0.2881, 0.1270], abs=1e-4)


@pytest.mark.parametrize(
    ("player", "bits", "plies"), [("random", 17.5405, 7.6262), ("optimal", 9.9762, 9.0)]
)
def test_games_have_the_entropy_and_length_of_the_closed_form(player, bits, plies):
    generator, count = epx.generator("game", player=player), 1000
    examples = batch(generator, count)
    nats_BxT = jax.jit(jax.vmap(generator.oracle_nats))(examples)
    found_B = np.asarray(nats_BxT).sum(1) / LN2
    assert abs(found_B.mean() - bits) <= 5 * found_B.std() / np.sqrt(count) + 1e-3
    length_B = examples.coded_T.sum(1)
    assert abs(length_B.mean() - plies) <= 5 * length_B.std() / np.sqrt(count) + 1e-9


@pytest.mark.parametrize(("name", "plies"), [("tic_tac_toe", 9), ("connect_four_4x5", 20)])
def test_the_determined_player_plays_one_game_of_best_moves(name, plies):
    """Both games are drawn by perfect play, so that the board is full at the end."""
    generator = epx.generator("game", game=name, player="determined")
    examples = batch(generator, 20)
    assert examples.coded_T.sum() == 20 * plies and len(np.unique(examples.tokens_T, axis=0)) == 1
    assert not np.asarray(jax.vmap(generator.oracle_nats)(examples)).any()
    moves = batch(epx.generator("game", game=name, player="determined", view="moves"), 50)
    legal = moves.side.shape[-1]
    assert moves.part_P[:, :legal].any(1).all()


@pytest.mark.parametrize("player", ["random", "optimal"])
def test_a_move_is_legal_and_its_price_is_that_of_the_choice(player):
    generator = epx.generator("game", player=player, view="moves")
    examples = batch(generator, 200)
    for n in range(200):
        tokens_T, legal_A = examples.tokens_T[n], examples.side[n, -1]
        cells_N, move = tokens_T[:-2], tokens_T[-1] - game.FIRST_MOVE["moves"]
        assert tokens_T[-2] == _search.ASK_MOVE
        mine, theirs = (cells_N == _search.MINE).sum(), (cells_N == _search.THEIRS).sum()
        assert theirs - mine in (0, 1) and legal_A[move] == 1
        np.testing.assert_array_equal(legal_A == 1, cells_N == _search.EMPTY)
        assert not examples.side[n, :-1].any()
        choices = legal_A.sum()
        if player == "optimal":
            me = 1 + (mine + theirs) % 2
            board_N = np.where(cells_N == _search.MINE, me, np.where(cells_N == 2, 3 - me, 0))
            assert move in best(TIC_TAC_TOE, board_N)
            choices = len(best(TIC_TAC_TOE, board_N))
        one = jax.tree.map(lambda leaf, n=n: leaf[n], examples)
        assert float(generator.oracle_nats(one)[-1]) == pytest.approx(np.log(choices), abs=1e-6)


def test_rows_know_the_best_moves():
    """Optimal moves are all best; of random ones some are not, in the share of the table."""
    optimal = batch(epx.generator("game", player="optimal", view="moves"), 100)
    assert optimal.part_P[:, :9].any(1).all()
    legal_B = optimal.side[:, -1].sum(1).astype(int)
    np.testing.assert_array_equal(optimal.part_P.argmax(1), legal_B - 1)
    random = batch(epx.generator("game", player="random", view="both"), 2000)
    asked = random.tokens_T[:, -2] == _search.ASK_MOVE
    assert abs(asked.mean() - 0.5) < 0.06
    np.testing.assert_array_equal(random.part_P[:, 18], ~asked)
    assert (random.part_P.sum(1) == 1).all()
    best_B, other_B = random.part_P[asked, :9].any(1), random.part_P[asked, 9:18].any(1)
    assert 0.5 < best_B.mean() < 0.9
    legal_B = random.side[asked, -1].sum(1).astype(int)
    np.testing.assert_array_equal(random.part_P[asked].argmax(1), legal_B - 1 + 9 * other_B)
    answers = random.tokens_T[~asked, -1]
    assert set(answers.tolist()) == {_search.LOSS, _search.DRAW, _search.WIN}
    assert not random.side[~asked].any() and random.side[asked, -1].any(1).all()


def test_outcomes_are_those_of_the_player_who_moves():
    """A player who can win at once and plays at random wins more often than the other."""
    examples = batch(epx.generator("game", player="random", view="both"), 4000)
    tokens = examples.tokens_T[examples.tokens_T[:, -2] == _search.ASK_OUTCOME]
    lines = boards.lines(TIC_TAC_TOE)
    cells = tokens[:, :-2][:, lines]
    can_win = (((cells == _search.MINE).sum(2) == 2) & ((cells == _search.EMPTY).sum(2) == 1)).any(
        1
    )
    must_defend = (((cells == _search.THEIRS).sum(2) == 2) & ((cells == 0).sum(2) == 1)).any(1)
    won = tokens[:, -1] == _search.WIN
    assert won[can_win & ~must_defend].mean() > 0.6 > won[must_defend & ~can_win].mean()


def test_a_search_plays_better_than_at_random():
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")
    shares = {}
    for player in ("random", "search"):
        generator = epx.generator("game", player=player, view="moves", simulations=16)
        shares[player] = batch(generator, 64).part_P[:, :9].any(1).mean()
    assert shares["search"] > shares["random"] + 0.1
    assert generator.oracle_nats(batch(generator, 1)) is None


def test_a_learner_guides_a_search():
    """One that likes the last legal move: with a single simulation it is followed."""
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")

    def learner_of(key, reference, like):
        def step(params, cache, tokens_B, side):
            return cache, params * jnp.arange(like.spec.vocab, dtype=jnp.float32)[None]

        return mlp.make(like.spec.vocab, like.spec.length)._replace(
            start=lambda *given: (), step=step
        ), 30.0

    generator = game.make(
        jax.random.key(0), learner_of, player="search", view="moves", simulations=1, record="x"
    )
    examples = batch(generator, 40)
    last = (examples.side[:, -1] * np.arange(9)).argmax(1)
    assert ((examples.tokens_T[:, -1] - generator.spec.vocab + 9) == last).mean() > 0.8


@pytest.mark.parametrize("player", ["random", "search"])
@pytest.mark.parametrize("view", ["moves", "both"])
def test_the_large_connect_four_is_played_without_a_table(player, view):
    """Moves are legal: a column that is not full. Rows cannot know the best ones."""
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")
    generator = epx.generator("game", game="connect_four", player=player, view=view, simulations=2)
    examples = batch(generator, 8)
    assert examples.part_P is None and examples.tokens_T.max() < generator.spec.vocab
    for tokens_T, side_TxR in zip(examples.tokens_T, examples.side):
        if tokens_T[-2] == _search.ASK_MOVE:
            move = tokens_T[-1] - game.FIRST_MOVE[view]
            np.testing.assert_array_equal(side_TxR[-1] == 1, tokens_T[:7] == _search.EMPTY)
            assert side_TxR[-1, move] == 1


def test_only_a_record_of_both_questions_guides_a_search(tmp_path):
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")
    keys = {"observer.width": "8", "observer.depth": "1", "run.steps": "2", "run.chunk": "2",
            "run.batch": "2", "eval.examples": "2", "checkpoint.every": "2"}  # fmt: skip
    for view in ("moves", "both"):
        made = configs.load("game:tiny", keys | {"generator.view": view})
        rows(made, tmp_path / view)
    search = {"generator.player": "search", "generator.simulations": "1", **keys}
    guided = {view: configs.load("game:tiny", search | {"generator.record": str(tmp_path / view)})
              for view in ("moves", "both")}  # fmt: skip
    assert setups.assemble(guided["both"]).generator.guide.observer is not None
    with pytest.raises(ValueError, match=r"^generator\.record='.*moves'.* so view=both$"):
        setups.assemble(guided["moves"])


def test_the_answer_of_a_learner_is_that_of_its_full_pass():
    """Of a position with the question for the move and with that for the outcome."""
    rules, random = TIC_TAC_TOE, np.random.default_rng(0)
    vocab = game.FIRST_MOVE["both"] + rules.moves
    observer = masked.around(mlp.make(vocab, rules.cells + 2, width=8))
    params = jax.tree.map(
        lambda leaf: jnp.asarray(random.normal(size=leaf.shape), jnp.float32),
        observer.init(jax.random.key(0)),
    )
    board_N = jnp.array([1, 0, 2, 0, 1, 0, 0, 0, 0], jnp.int32)
    logits_A, value = _search.learned(rules, observer, params, board_N, jnp.int32(2), None)
    cells = [_search.THEIRS, 0, _search.MINE, 0, _search.THEIRS, 0, 0, 0, 0]
    tokens = jnp.array([[*cells, ask, 0] for ask in (_search.ASK_MOVE, _search.ASK_OUTCOME)])
    full_2xV = observer.logits(params, tokens, jnp.zeros((2, 11, 9)))[:, -1]
    np.testing.assert_allclose(logits_A, full_2xV[0, -9:], rtol=1e-4, atol=1e-4)
    loss, _, win = jax.nn.softmax(full_2xV[1, _search.LOSS : _search.WIN + 1])
    assert float(value) == pytest.approx(float(win - loss), abs=1e-5)


def test_a_game_too_large_is_not_solved():
    with pytest.raises(ValueError, match=r"generator\.player='optimal': accepted random or search"):
        epx.generator("game", game="connect_four", player="optimal")
