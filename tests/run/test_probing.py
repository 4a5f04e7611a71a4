"""Places with and without a pattern, and the vectors that a probe reads there."""

import itertools

import jax
import numpy as np
import pytest

from configs import base
from epx.analysis.exact import patterns
from epx.generators.texts import tokens
from epx.run import trained
from epx.run.probing import edits, linear, places, vectors
from epx.types import Refusal
from tests import runs


def config(**generator):
    found = base.get_config("tiny").to_dict()
    found["generator"] = {"name": "life", "height": 8, "width": 7, "burnin": 20} | generator
    found["observer"] = {"name": "transformer", "depth": 2, "width": 8, "head_dim": 4}
    found["run"] |= {"steps": 20, "batch": 8, "chunk": 10, "seeds": 1}
    found["checkpoint"] |= {"every": 10}
    return found


@pytest.fixture(scope="module")
def life(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probing") / "life"
    runs.rows(config(), folder)
    return trained.load(folder)


@pytest.fixture(scope="module")
def found(life):
    return places.collect(life, "block", "centre", 60)


@pytest.fixture(scope="module")
def shown(life, found):
    return vectors.vectors(life, found)


def test_half_of_the_places_show_the_pattern(life, found):
    assert len(found.label_N) == 60 and found.label_N.sum() == 30
    assert 0 < found.label_N[:30].sum() < 30, "in a random order"
    frames = found.tokens_NxT[:, :56].reshape(-1, 8, 7) != 0
    np.testing.assert_array_equal(frames, found.boards_NxHxW)
    rows, columns = np.divmod(found.place_N, 7)
    marked = patterns.find(frames, "block")[np.arange(60), rows, columns]
    np.testing.assert_array_equal(marked, found.label_N)
    again = places.collect(life, "block", "centre", 60)
    for array, same in zip(found, again):
        np.testing.assert_array_equal(array, same)


def test_no_two_places_with_a_label_are_on_one_board(life):
    """A block has four parts. Boards on which nothing else is left may be equal by chance."""
    found = places.collect(life, "block", "part", 60)
    for label in (True, False):
        boards = found.tokens_NxT[found.label_N == label]
        assert len(np.unique(boards, axis=0)) >= 27


def test_the_parts_of_a_pattern_are_its_live_cells(life):
    found = places.collect(life, "blinker", "part", 40)
    rows, columns = np.divmod(found.place_N, 7)
    alive = found.boards_NxHxW[np.arange(40), rows, columns]
    assert alive.all()
    for n in np.flatnonzero(found.label_N):
        row, column = np.argwhere(patterns.find(found.boards_NxHxW[n : n + 1], "blinker")[0]).T
        near = np.abs((row - rows[n] + 4) % 8 - 4) + np.abs((column - columns[n] + 3) % 7 - 3)
        assert near.min() <= 1


def test_vectors_are_what_they_say(life, found, shown):
    layers = [f"layer {n}" for n in range(3)]
    untrained = [f"untrained, {name}" for name in layers]
    cells = [f"{side} x {side} cells" for side in vectors.WINDOWS]
    read = [f"{name} and next ones" for name in cells]
    assert list(shown) == [*layers, *untrained, *cells, *read, "place"]
    n = 7
    streams = life.setup.observer.hidden(life.params(), found.tokens_NxT[n : n + 1], None)
    for name, stream in zip(layers, streams):
        at_the_cell_that_follows = stream[0, 56 + found.place_N[n]]
        np.testing.assert_allclose(shown[name][n], at_the_cell_that_follows, rtol=1e-4, atol=1e-5)
    box = shown["3 x 3 cells"][found.label_N].reshape(-1, 3, 3)
    np.testing.assert_array_equal(box, np.tile([[0, 0, 0], [0, 1, 1], [0, 1, 1]], (30, 1, 1)))
    wide = shown["5 x 5 cells"][found.label_N].reshape(-1, 5, 5)
    assert not wide[:, [1, 4], 1:5].any(), "the ring of a block is dead"
    assert shown["place"][n].argmax() == found.place_N[n] and shown["place"][n].sum() == 1


def test_cells_of_the_next_frame_are_shown_as_far_as_they_were_read(found, shown):
    both = shown["3 x 3 cells and next ones"].reshape(-1, 2, 3, 3)
    np.testing.assert_array_equal(both[:, 0], shown["3 x 3 cells"].reshape(-1, 3, 3))
    row_N, column_N = np.divmod(found.place_N, 7)
    inside = (row_N > 0) & (row_N < 7) & (column_N > 0) & (column_N < 6)
    assert inside.sum() >= 20
    expected = np.tile(
        [[True, True, True], [True, False, False], [False] * 3], (inside.sum(), 1, 1)
    )
    np.testing.assert_array_equal(both[inside, 1] != 0, expected)
    following = found.tokens_NxT[np.arange(60), 56 + found.place_N - 1]
    np.testing.assert_array_equal(both[inside, 1, 1, 0], 2 * following[inside] - 1)
    for n in np.flatnonzero(found.place_N == 55):
        assert (both[n, 1] != 0).sum() == 8, "around the torus all but the place itself"


def test_a_randomised_observer_computes_in_every_layer(life, found, shown):
    """Its zeros are drawn with variance 1 / fan-in, and nothing else differs from the untrained."""
    key = jax.random.key(3)
    plain, drawn = life.setup.observer.init(key), vectors.randomised(life.setup.observer, key)
    for name in ("out", "down"):
        kernel = np.asarray(drawn["layer_0"][name]["kernel"])
        assert not np.asarray(plain["layer_0"][name]["kernel"]).any()
        assert kernel.var() * kernel.shape[0] == pytest.approx(1, rel=0.5)
        assert (kernel != np.asarray(drawn["layer_1"][name]["kernel"])).any()
    for name in ("norm_mlp", "qkv", "up"):
        jax.tree.map(np.testing.assert_array_equal, drawn["layer_0"][name], plain["layer_0"][name])
    still = life.setup.observer.hidden(plain, found.tokens_NxT[:4], None)
    np.testing.assert_array_equal(still[0], still[2])
    streams = [shown[f"untrained, layer {n}"] for n in range(3)]
    for before, after in itertools.pairwise(streams):
        assert np.abs(after - before).mean() > 0.1


def test_a_linear_probe_is_the_most_probable_one():
    """The slope of the log posterior vanishes, by finite differences; vectors may be shifted."""
    random = np.random.default_rng(1)
    x = random.normal([5.0, -2.0, 0.0], [3.0, 0.1, 1.0], (80, 3))
    x[:, 2] = 4.0
    label = x[:, 0] + 10 * x[:, 1] + random.normal(size=80) > x.mean(0) @ [1, 10, 0]
    found = linear.fit(x, label)
    assert found.weights_R[2] == 0

    def log_posterior(weights, offset):
        odds = x @ weights + offset
        fitted = np.where(label, -np.logaddexp(0, -odds), -np.logaddexp(0, odds)).sum()
        return fitted - 0.5 * ((weights * x.std(0)) ** 2).sum()

    best = log_posterior(*found)
    for n in range(2):
        for step in (-0.01, 0.01):
            moved = found.weights_R + step * np.eye(3)[n]
            assert log_posterior(moved, found.offset - step * x[:, n].mean()) < best
    assert log_posterior(found.weights_R, found.offset + 0.1) < best
    assert log_posterior(found.weights_R, found.offset - 0.1) < best


def test_directions_are_those_of_linear_probes(found, shown):
    half = slice(30)
    streams, label = shown["layer 2"], found.label_N
    along = edits.directions(streams[half], label[half], streams[30:], ~label[30:])
    assert list(along) == ["of the pattern", "of another pattern", "of shuffled labels", "random"]
    for unit in along.values():
        assert np.linalg.norm(unit) == pytest.approx(1)
    own = linear.fit(streams[half], label[half]).weights_R
    np.testing.assert_allclose(along["of the pattern"], own / np.linalg.norm(own))
    other = linear.fit(streams[30:], ~label[30:]).weights_R
    np.testing.assert_allclose(along["of another pattern"], other / np.linalg.norm(other))


def test_what_is_lost_without_a_direction(life, found):
    """Nothing without none. Of the last layer: what the head makes of the stream with the mean
    component, fitted on other places, in the 3 x 3 cells around."""
    fitted, rest = found.at(slice(40)), found.at(slice(40, None))
    unit = np.eye(8)[2]
    lost = edits.bits_lost(life, 2, {"one": unit, "none": np.zeros(8)}, fitted, rest)
    assert np.abs(lost["none"]).max() < 1e-4
    params = life.params()
    norm, head = params["norm"]["scale"], params["head"]["kernel"]

    def stream(tokens):
        return np.array(life.setup.observer.hidden(params, tokens, None)[2])[:, 56:]

    def prices(x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
        logits = x * norm @ head
        logits = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        picked = np.take_along_axis(logits, rest.tokens_NxT[:, 56:, None], axis=-1)[..., 0]
        return -picked.reshape(-1, 8, 7) / np.log(2)

    whole, edited = stream(rest.tokens_NxT), stream(rest.tokens_NxT)
    edited[..., 2] = stream(fitted.tokens_NxT)[..., 2].mean()
    rise = prices(edited) - prices(whole)
    boxes = sum(np.roll(rise, (y, x), (1, 2)) for y in (-1, 0, 1) for x in (-1, 0, 1))
    expected = boxes.reshape(20, -1)[np.arange(20), rest.place_N]
    np.testing.assert_allclose(lost["one"], expected, atol=1e-3)
    assert np.abs(expected).max() > 0.01


def test_a_probe_reads_a_vector_and_predicts_its_label(found, tmp_path):
    values = np.random.default_rng(0).normal(3.0, 5.0, (60, 4)).astype(np.float32)
    values[:, 3] = 2.0
    vectors.write(tmp_path / "x.npz", values, found.label_N)
    key = jax.random.key(0)
    made = tokens.make(key, path=str(tmp_path / "x.npz"))
    assert (made.spec.vocab, made.spec.length, made.spec.side, made.spec.given) == (2, 2, 4, 1)
    rows = np.asarray(made.side_NxTxR)
    np.testing.assert_allclose(rows[:, 0, :3].mean(0), 0.0, atol=1e-6)
    np.testing.assert_allclose(rows[:, 0, :3].std(0), 1.0, rtol=1e-5)
    assert not rows[:, 0, 3].any() and not rows[:, 1].any()
    np.testing.assert_array_equal(np.asarray(made.tokens_NxT)[:, 1], found.label_N)


@pytest.mark.parametrize(
    ("pattern", "labelling", "message"),
    [
        ("gliders", "centre", "pattern='gliders': accepted block, blinker, glider"),
        ("glider", "middle", "labelling='middle': accepted centre or part"),
    ],
)
def test_what_is_unknown_is_refused(life, pattern, labelling, message):
    with pytest.raises(Refusal, match=message):
        places.collect(life, pattern, labelling, 4)


def test_a_pattern_that_is_too_rare_is_refused(life, monkeypatch):
    monkeypatch.setattr(places, "MOST_BOARDS", 512)
    with pytest.raises(Refusal, match="patterns of which 512 boards have 500000"):
        places.collect(life, "glider", "centre", 1_000_000)


def test_another_generator_is_refused(tmp_path):
    runs.rows(config(patch=2, height=4, width=4), tmp_path)
    with pytest.raises(Refusal, match="accepted life with patches of one cell"):
        places.collect(trained.load(tmp_path), "block", "centre", 4)
