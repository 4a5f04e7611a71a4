"""Places with and without a pattern, and the vectors that a probe reads there."""

import jax
import numpy as np
import pytest

from configs import base
from epx.analysis.exact import patterns
from epx.generators.texts import tokens
from epx.run import probing, trained
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
def places(life):
    return probing.collect(life, "block", "centre", 60)


def test_half_of_the_places_show_the_pattern(life, places):
    assert len(places.label_N) == 60 and places.label_N.sum() == 30
    assert 0 < places.label_N[:30].sum() < 30, "in a random order"
    frames = places.tokens_NxT[:, :56].reshape(-1, 8, 7) != 0
    np.testing.assert_array_equal(frames, places.boards_NxHxW)
    rows, columns = np.divmod(places.place_N, 7)
    found = patterns.find(frames, "block")[np.arange(60), rows, columns]
    np.testing.assert_array_equal(found, places.label_N)
    again = probing.collect(life, "block", "centre", 60)
    for array, same in zip(places, again):
        np.testing.assert_array_equal(array, same)


def test_the_parts_of_a_pattern_are_its_live_cells(life):
    found = probing.collect(life, "blinker", "part", 40)
    rows, columns = np.divmod(found.place_N, 7)
    alive = found.boards_NxHxW[np.arange(40), rows, columns]
    assert alive.all()
    for n in np.flatnonzero(found.label_N):
        row, column = np.argwhere(patterns.find(found.boards_NxHxW[n : n + 1], "blinker")[0]).T
        near = np.abs((row - rows[n] + 4) % 8 - 4) + np.abs((column - columns[n] + 3) % 7 - 3)
        assert near.min() <= 1


def test_vectors_are_what_they_say(life, places):
    found = probing.vectors(life, places)
    layers = [name for name in found if name.startswith("layer")]
    windows = [f"{side} x {side} cells" for side in probing.WINDOWS]
    assert list(found) == [*layers, "untrained", *windows, "place"] and len(layers) == 3
    n = 7
    streams = life.setup.observer.hidden(life.params(), places.tokens_NxT[n : n + 1], None)
    for name, stream in zip(layers, streams):
        at_the_cell_that_follows = stream[0, 56 + places.place_N[n]]
        np.testing.assert_allclose(found[name][n], at_the_cell_that_follows, rtol=1e-4, atol=1e-5)
    assert np.abs(found["untrained"] - found["layer 2"]).max() > 1e-3
    box = found["3 x 3 cells"][places.label_N].reshape(-1, 3, 3)
    np.testing.assert_array_equal(box, np.tile([[0, 0, 0], [0, 1, 1], [0, 1, 1]], (30, 1, 1)))
    wide = found["5 x 5 cells"][places.label_N].reshape(-1, 5, 5)
    assert not wide[:, [1, 4], 1:5].any(), "the ring of a block is dead"
    assert found["place"][n].argmax() == places.place_N[n] and found["place"][n].sum() == 1


def test_what_is_lost_without_a_direction(life, places):
    """Nothing without none; of the last layer what the head makes of the stream without it."""
    found = probing.vectors(life, places)["layer 2"]
    along = probing.directions(found, places.label_N)
    assert list(along) == ["the pattern's", "of shuffled labels", "random"]
    mean = found[places.label_N].mean(0) - found[~places.label_N].mean(0)
    np.testing.assert_allclose(along["the pattern's"], mean, rtol=1e-5)
    lost = probing.without_direction(life, places, 2, along | {"none": np.zeros(8)})
    assert np.abs(lost["none"]).max() < 1e-5
    params = life.params()
    norm, head = params["norm"]["scale"], params["head"]["kernel"]

    def price(stream):
        x = (stream - stream.mean(-1, keepdims=True)) / np.sqrt(
            stream.var(-1, keepdims=True) + 1e-5
        )
        logits = x * norm @ head
        row, cell = np.arange(len(stream)), 56 + places.place_N
        logits = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return -logits[row, places.tokens_NxT[row, cell]] / np.log(2)

    unit = mean / np.linalg.norm(mean)
    expected = price(found - (found @ unit)[:, None] * unit) - price(found)
    np.testing.assert_allclose(lost["the pattern's"], expected, atol=1e-4)


def test_a_probe_reads_a_vector_and_predicts_its_label(places, tmp_path):
    vectors = np.random.default_rng(0).normal(3.0, 5.0, (60, 4)).astype(np.float32)
    vectors[:, 3] = 2.0
    probing.write(tmp_path / "x.npz", vectors, places.label_N)
    key = jax.random.key(0)
    made = tokens.make(key, path=str(tmp_path / "x.npz"))
    assert (made.spec.vocab, made.spec.length, made.spec.side, made.spec.given) == (2, 2, 4, 1)
    rows = np.asarray(made.side_NxTxR)
    np.testing.assert_allclose(rows[:, 0, :3].mean(0), 0.0, atol=1e-6)
    np.testing.assert_allclose(rows[:, 0, :3].std(0), 1.0, rtol=1e-5)
    assert not rows[:, 0, 3].any() and not rows[:, 1].any()
    np.testing.assert_array_equal(np.asarray(made.tokens_NxT)[:, 1], places.label_N)


@pytest.mark.parametrize(
    ("pattern", "labelling", "message"),
    [
        ("gliders", "centre", "pattern='gliders': accepted block, blinker, glider"),
        ("glider", "middle", "labelling='middle': accepted centre or part"),
    ],
)
def test_what_is_unknown_is_refused(life, pattern, labelling, message):
    with pytest.raises(Refusal, match=message):
        probing.collect(life, pattern, labelling, 4)


def test_a_pattern_that_is_too_rare_is_refused(life, monkeypatch):
    monkeypatch.setattr(probing, "MOST_BOARDS", 512)
    with pytest.raises(Refusal, match="patterns of which 512 boards have 500000"):
        probing.collect(life, "glider", "centre", 1_000_000)


def test_another_generator_is_refused(tmp_path):
    runs.rows(config(patch=2, height=4, width=4), tmp_path)
    with pytest.raises(Refusal, match="accepted life with patches of one cell"):
        probing.collect(trained.load(tmp_path), "block", "centre", 4)
