"""Games of lines: rules against pgx, exact counts and entropies of tic-tac-toe, and both views."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import epx
from epx.analysis.measurement import LN2
from epx.generators import game
from epx.generators.kernels import boards
from epx.observers import mlp
from epx.streams import example_key, stream

TRAIN_KEY = stream(0, "train")
TIC_TAC_TOE = game.GAMES["tic_tac_toe"]


def batch(generator, count):
    def one(index):
        return generator.example(example_key(TRAIN_KEY, index), index)

    return jax.device_get(jax.jit(jax.vmap(one))(jnp.arange(count, dtype=jnp.uint32)))


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
    assert (boards.best_moves(TIC_TAC_TOE) > 0).sum() == 4520


def test_the_code_of_a_board_is_the_same_on_device_and_host():
    for rules in (TIC_TAC_TOE, boards.Game(3, 4, 3, drops=True)):
        for layer in boards._reachable(rules):
            some = layer[:: max(1, len(layer) // 20)]
            on_device = [int(boards.code(rules, jnp.asarray(board, jnp.int32))) for board in some]
            assert on_device == boards.code_of(rules, some).tolist()
            assert len(np.unique(boards.code_of(rules, layer))) == len(layer)


def walk(rules, choose):
    """Expected bits and plies of a game, and the number of games, by the tree of all positions."""
    table = boards.best_moves(rules)

    def of(board, ply):
        player = 1 + ply % 2
        if boards._won(rules, board[None], 3 - player)[0] or ply == rules.cells:
            return 0.0, 0.0, 1, {3 - player if ply < rules.cells or boards._won(
                rules, board[None], 3 - player)[0] else 0: 1.0}  # fmt: skip
        legal = np.flatnonzero(boards._legal(rules, board[None])[0])
        best = [m for m in legal if table[boards.code_of(rules, board[None])[0]] >> m & 1]
        moves = legal if choose == "random" else best
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


@pytest.mark.parametrize("player", ["random", "optimal"])
def test_a_move_is_legal_and_its_price_is_that_of_the_choice(player):
    generator = epx.generator("game", player=player, view="moves")
    examples = batch(generator, 200)
    table = boards.best_moves(TIC_TAC_TOE)
    for n in range(200):
        tokens_T, legal_A = examples.tokens_T[n], examples.side[n, -1]
        cells_N, move = tokens_T[:-2], tokens_T[-1] - game.FIRST_MOVE
        assert tokens_T[-2] == game.ASK_MOVE
        mine, theirs = (cells_N == game.MINE).sum(), (cells_N == game.THEIRS).sum()
        assert theirs - mine in (0, 1) and legal_A[move] == 1
        np.testing.assert_array_equal(legal_A == 1, cells_N == game.EMPTY)
        assert not examples.side[n, :-1].any()
        choices = legal_A.sum()
        if player == "optimal":
            me = 1 + (mine + theirs) % 2
            board_N = np.where(cells_N == game.MINE, me, np.where(cells_N == 2, 3 - me, 0))
            bits = int(table[boards.code_of(TIC_TAC_TOE, board_N[None])[0]])
            assert bits >> int(move) & 1
            choices = bits.bit_count()
        one = jax.tree.map(lambda leaf, n=n: leaf[n], examples)
        assert float(generator.oracle_nats(one)[-1]) == pytest.approx(np.log(choices), abs=1e-6)


def test_rows_know_the_best_moves():
    """Optimal moves are all best; of random ones some are not, in the share of the table."""
    optimal = batch(epx.generator("game", player="optimal", view="moves"), 100)
    assert optimal.part_P[:, 0].all()
    random = batch(epx.generator("game", player="random", view="both"), 2000)
    asked = random.tokens_T[:, -2] == game.ASK_MOVE
    assert abs(asked.mean() - 0.5) < 0.06
    np.testing.assert_array_equal(random.part_P[:, 2], ~asked)
    assert (random.part_P.sum(1) == 1).all()
    assert 0.5 < random.part_P[asked, 0].mean() < 0.9
    answers = random.tokens_T[~asked, -1]
    assert set(answers.tolist()) == {game.LOSS, game.DRAW, game.WIN}
    assert not random.side[~asked].any() and random.side[asked, -1].any(1).all()


def test_outcomes_are_those_of_the_player_who_moves():
    """A player who can win at once and plays at random wins more often than the other."""
    examples = batch(epx.generator("game", player="random", view="both"), 4000)
    tokens = examples.tokens_T[examples.tokens_T[:, -2] == game.ASK_OUTCOME]
    lines = boards.lines(TIC_TAC_TOE)
    cells = tokens[:, :-2][:, lines]
    can_win = (((cells == game.MINE).sum(2) == 2) & ((cells == game.EMPTY).sum(2) == 1)).any(1)
    must_defend = (((cells == game.THEIRS).sum(2) == 2) & ((cells == 0).sum(2) == 1)).any(1)
    won = tokens[:, -1] == game.WIN
    assert won[can_win & ~must_defend].mean() > 0.6 > won[must_defend & ~can_win].mean()


def test_a_search_plays_better_than_at_random():
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")
    shares = {}
    for player in ("random", "search"):
        generator = epx.generator("game", player=player, view="moves", simulations=16)
        shares[player] = batch(generator, 64).part_P[:, 0].mean()
    assert shares["search"] > shares["random"] + 0.1
    assert generator.oracle_nats(batch(generator, 1)) is None


def test_a_learner_guides_a_search():
    """One that likes the last legal move: with a single simulation it is followed."""
    pytest.importorskip("mctx", reason="pip install 'epx-jax[games]'")

    def learner_of(key, reference, like):
        def logits(params, tokens_BxT, side):
            shape = (*tokens_BxT.shape, like.spec.vocab)
            return jnp.broadcast_to(params * jnp.arange(like.spec.vocab), shape)

        return mlp.make(like.spec.vocab, like.spec.length)._replace(logits=logits), 30.0

    generator = game.make(
        jax.random.key(0), learner_of, player="search", view="moves", simulations=1, record="x"
    )
    examples = batch(generator, 40)
    last = (examples.side[:, -1] * np.arange(9)).argmax(1)
    assert ((examples.tokens_T[:, -1] - game.FIRST_MOVE) == last).mean() > 0.8


def test_a_game_too_large_is_not_solved():
    with pytest.raises(ValueError, match=r"generator\.player='optimal': accepted random or search"):
        epx.generator("game", game="connect_four", player="optimal")
