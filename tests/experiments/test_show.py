"""The binary that shows a generator, on tokens and statistics known by hand."""

import math
import re
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.automata import eca
from epx.generators.sequences import iid
from epx.learning import learner
from epx.run import setup as setups
from experiments import show
from experiments.cli import configs, host
from tests.binaries import run
from tests.generators.automata.test_eca import slow_evolve

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def started(monkeypatch):
    """The tests have started JAX, and parse no flags."""
    monkeypatch.setattr(host, "prepare", lambda process=None: None)
    monkeypatch.setattr(show, "FLAGS", SimpleNamespace(examples=2, floors=False))


def test_show_as_a_binary():
    done = run("show", "eca:tiny", "--config.generator.rule=30", "--examples=1")
    assert done.code == 0, done.err
    assert "example 0" in done.out and "example 1" not in done.out


@pytest.mark.parametrize(
    ("words", "overrides", "named"),
    [
        ([], {}, "show takes one config"),
        (["eca", "life"], {}, "show takes one config"),
        (["eca:tiny"], {"generator.rul": "3"}, "did you mean rule"),
        (["eca:tiny"], {"generator.rule": "300"}, "0 to 255"),
        (["text:tiny"], {"generator.corpus": "gcide"}, "prepare it first"),
    ],
)
def test_mistakes_are_one_line(words, overrides, named, capsys):
    with pytest.raises(SystemExit) as error:
        show.main(words, overrides)
    said = capsys.readouterr()
    assert error.value.code == 2 and not said.out
    assert named in said.err and len(said.err.strip().splitlines()) == 1


def test_examples_are_shown_as_the_rule_evolves_them(capsys):
    assert show.show("eca:tiny", {"generator.rule": "110", "run.seed": "3"}, 2) == 0
    said = capsys.readouterr().out
    examples, statistics = said.split("of 256 examples of the training stream:\n")
    lines = [line for line in examples.splitlines() if set(line) & set("·█")]
    assert len(lines) == 4
    for before, after in zip(lines[::2], lines[1::2]):
        assert (after[0], after[-1]) == ("⟨", "⟩") and "⟨" not in before
        cells = [int(cell == "█") for cell in before]
        assert [int(cell == "█") for cell in after[1:-1]] == slow_evolve(cells, 110, 2)
    values = dict(
        line.strip().split("  ", 1) for line in statistics.splitlines() if "  " in line[2:]
    )
    values = {name: value.strip() for name, value in values.items()}
    assert values["tokens per example"] == "16"
    assert values["coded tokens per example"] == "8"
    assert values["examples"] == "endless"
    assert values["the generator's own law"].startswith("0.0000")
    assert 0.9 < float(values["frequencies (order 0)"]) <= 1
    assert 0.8 < float(values["gzip"]) < float(values["xz"])


@pytest.mark.parametrize(
    ("reference", "overrides"),
    [
        ("life:tiny", {}),
        ("iid:tiny", {}),
        ("cipher:tiny", {}),
        ("cipher:tiny", {"algorithm": "speck32_64", "mode": "pairs", "length": "5"}),
        ("chess:tiny", {"corpus": "selfplay-random", "games": "60", "plies": "4"}),
        ("text:tiny", {"corpus": "zen", "unit": "word", "length": "16"}),
        ("linear:tiny", {"coded": "labels"}),
        ("primes:tiny", {}),
    ],
)
def test_every_generator_is_shown(reference, overrides, capsys):
    keys = {f"generator.{key}": value for key, value in overrides.items()}
    assert show.show(reference, keys, 2) == 0
    said = capsys.readouterr().out
    assert "example 1" in said and "tokens per example" in said and "  xz" in said
    coded_in_part = reference.startswith(("life", "linear", "chess")) or "mode" in overrides
    assert ("⟨" in said) == coded_in_part == ("every token is coded" not in said)


def test_a_finite_generator_is_shown_with_its_sizes(capsys):
    overrides = {"generator.corpus": "zen", "generator.unit": "byte"}
    assert show.show("text:tiny", overrides, 1) == 0
    said = capsys.readouterr().out
    assert "every token is coded" in said and "⟨" not in said
    assert "of 12 examples" in said and "12 to train on, 1 held out" in said
    assert "own law     unknown" in said


def test_the_examples_are_those_of_training():
    setup = setups.assemble(configs.load("eca:tiny", {"run.seed": "5"}))
    generator, hyper = setup.member(0)
    trained = learner.training_examples(generator, hyper, jnp.arange(7, dtype=jnp.uint32))
    shown = show.sample(generator, 5, 7)
    np.testing.assert_array_equal(shown.tokens_T, trained.tokens_T)


def test_statistics_of_known_tokens():
    generator = eca.make(jax.random.key(0), width=4, steps=1, bos=True)
    batch = show.sample(generator, 0, 3)
    tokens_BxT = np.array([[2, 0, 0, 0, 0, 0, 0, 0, 1]] * 2 + [[2, 0, 0, 0, 0, 1, 0, 0, 0]])
    rows = show.statistics(generator, batch._replace(tokens_T=tokens_BxT))
    assert rows["coded tokens per example"] == "4"
    assert rows["vocabulary"] == "3, of which 3 occur, 2 among coded tokens"
    entropy = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))  # 3 of 12 are ones
    assert float(rows["  frequencies (order 0)"]) == pytest.approx(entropy, abs=1e-4)


def test_order_0_entropy_is_that_of_the_source():
    assert show.entropy_bits(np.array([5, 5, 5])) == 0
    assert show.entropy_bits(np.arange(8)) == 3
    generator = iid.make(jax.random.key(0))
    batch = show.sample(generator, 0, 256)
    law = show.statistics(generator, batch)["  the generator's own law"]
    measured = show.entropy_bits(batch.tokens_T)
    assert float(law.partition(",")[0]) == pytest.approx(measured, abs=0.03)


def test_floors_are_shown_with_the_examples(capsys, monkeypatch):
    monkeypatch.setattr(show.FLAGS, "floors", True)
    show.show(
        "eca:tiny", {"generator.rule": "30", "generator.hidden": "2", "generator.burnin": "0"}, 0
    )
    assert re.search(r"hidden cells leave, bit +2 ± 0\n", capsys.readouterr().out)
    show.show("markov:tiny", {}, 0)
    assert "floor of an example, bit" in capsys.readouterr().out


def test_floors_of_other_generators_are_refused(capsys, monkeypatch):
    monkeypatch.setattr(show.FLAGS, "floors", True)
    with pytest.raises(SystemExit):
        show.show("life:tiny", {}, 0)
    assert "--floors='life': accepted the generators eca and markov" in capsys.readouterr().err
