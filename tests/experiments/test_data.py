"""The binary that prepares corpora and shows worlds, from end to end, without a network."""

import gzip
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.data import texts
from epx.generators import eca, iid
from epx.learning import learner
from epx.run import setup as setups
from experiments import show
from experiments.cli import app
from tests.data.test_debian import write_deb
from tests.generators.test_eca import slow_evolve

ROOT = Path(__file__).parents[2]
WITHOUT_JAX = """
import runpy, sys
sys.modules["jax"] = None
sys.argv = ["data", *sys.argv[1:]]
runpy.run_module("experiments.data", run_name="__main__")
"""


def data(cache, *arguments, **environment):
    """The binary, on a machine without JAX unless it is to show a world."""
    program = ["-m", "experiments.data"] if arguments[:1] == ("show",) else ["-c", WITHOUT_JAX]
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=ROOT, env=os.environ | {"EPX_CACHE": str(cache)} | environment,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture
def cache(tmp_path):
    """With a package that somebody put there by hand."""
    text = b"\n\n00-database-info\nnotice\n\nA \\A\\\n   First.\n\nB \\B\\\n   Second.\n"
    packed = {"usr/share/dictd/gcide.dict.dz": gzip.compress(text)}
    write_deb(tmp_path / "downloads" / "dict-gcide_1_all.deb", packed)
    return tmp_path


def test_list_leaves_no_trace(tmp_path):
    done = data(tmp_path / "none", "list")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()[1:] if line}
    for row in texts.listing(tmp_path):
        assert row.licence in rows[row.name] and row.about in rows[row.name]
    assert "to be prepared" in rows["gcide"] and "text" in rows["gcide"]
    assert "chess" in rows["gnubook"]
    assert texts.KNOWN["gcide"][1][:12] in rows["gcide"], "what it is known to have"
    assert not (tmp_path / "none").exists()


def test_prepare_list_verify(cache):
    done = data(cache, "prepare", "gcide", "zen")
    assert done.returncode == 0, done.stderr
    file = texts.listing(cache)[list(texts.RECIPES).index("gcide")].file
    assert str(file) in done.stdout and file.is_file()
    sha256 = texts.load("gcide", cache).sha256
    row = next(x for x in data(cache, "list").stdout.splitlines() if x.startswith("gcide"))
    assert sha256[:12] in row and "MB" in row
    done = data(cache, "verify", "gcide", "zen")
    assert done.returncode == 0 and done.stdout.startswith(
        "gcide: ok: whole; made from dict-gcide 1"
    )
    file.write_bytes(file.read_bytes()[:-100])
    done = data(cache, "verify", "gcide", "zen")
    assert done.returncode == 1
    assert "gcide: damaged" in done.stdout and "zen: ok" in done.stdout
    assert data(cache, "prepare", "gcide").returncode == 0  # mends it
    assert data(cache, "verify", "gcide").returncode == 0
    file.unlink()
    done = data(cache, "verify", "gcide")
    assert done.returncode == 1 and "gcide: not prepared" in done.stdout


def test_a_pgn_of_ones_own(tmp_path):
    """Parsed by all cores; what was skipped is named as often as one asks."""
    file = tmp_path / "mine.pgn"
    file.write_text('[Event "?"]\n\n1. e4 e5 *\n\n[Event "?"]\n\n1. e4 e6 2. Ke3 *\n')
    done = data(tmp_path / "cache", "prepare", str(file))
    assert done.returncode == 0 and "books" in done.stdout
    done = data(tmp_path / "cache", "verify", str(file))
    assert done.returncode == 0 and "games skipped: 1\n  line 5: move 2" in done.stdout


def test_one_that_fails_does_not_stop_the_next(cache):
    done = data(cache, "prepare", "tdavid", "zen", PATH="")
    assert done.returncode == 1 and "data: tdavid: " in done.stderr
    assert done.stdout.splitlines()[-1] == "zen: made each time"


def test_a_failed_download_is_one_line(tmp_path):
    done = data(tmp_path, "prepare", "gcide", PATH="")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert "no apt-get" in last and str(tmp_path / "downloads") in last


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "list, prepare, verify, show"),
        (["lits"], "did you mean list?"),
        (["list", "zen"], "list takes no name"),
        (["prepare"], "prepare takes a name"),
        (["prepare", "pydocs"], "did you mean pydoc"),
        (["verify", "zen", "gcid"], "did you mean gcide"),
        (["list", "--config.generator.rule=3"], "only `show`"),
        (["show"], "show takes one world"),
        (["show", "eca", "life"], "show takes one world"),
        (["show", "ecca:tiny"], "did you mean eca"),
        (["show", "eca:tiny", "--config.generator.rul=3"], "did you mean rule"),
        (["show", "eca:tiny", "--config.generator.rule=300"], "0 to 255"),
        (["show", "eca:tiny", "config.generator.rule=30"], "--config.generator.rule=30"),
        (["show", "text:tiny", "--config.generator.corpus=gcide"], "data prepare gcide"),
        (["list", "--exmaples=3"], "examples"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, named):
    done = data(tmp_path, *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert named in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) <= 2


def test_show_draws_the_world(tmp_path):
    overrides = ["--config.generator.rule=110", "--config.run.seed=3"]
    done = data(tmp_path, "show", "eca:tiny", *overrides, "--examples=2")
    assert done.returncode == 0, done.stderr
    examples, statistics = done.stdout.split("of 256 examples of the training stream:\n")
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
    assert values["the world's own law"].startswith("0.0000")
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
def test_every_world_is_shown(reference, overrides, monkeypatch, capsys):
    monkeypatch.setattr(show.host, "prepare", lambda: None)  # the tests have started JAX
    keys = {f"generator.{key}": value for key, value in overrides.items()}
    assert show.world(reference, keys, 2) == 0
    said = capsys.readouterr().out
    assert "example 1" in said and "tokens per example" in said and "  xz" in said
    coded_in_part = reference.startswith(("life", "linear", "chess")) or "mode" in overrides
    assert ("⟨" in said) == coded_in_part == ("every token is coded" not in said)


def test_show_of_a_finite_world(tmp_path):
    arguments = ["--config.generator.corpus=zen", "--config.generator.unit=byte"]
    done = data(tmp_path, "show", "text:tiny", *arguments, "--examples=1")
    assert done.returncode == 0, done.stderr
    assert "every token is coded" in done.stdout and "⟨" not in done.stdout
    assert "of 12 examples" in done.stdout and "12 to train on, 1 held out" in done.stdout
    assert "own law         not known" in done.stdout


def test_the_examples_are_those_of_training():
    setup = setups.assemble(app.load("eca:tiny", {"run.seed": "5"}))
    generator, hyper = setup.generators[0], setup.hypers[0]
    trained = learner.examples(generator, hyper, jnp.arange(7, dtype=jnp.uint32))
    shown = show.sample(generator, 5, 7)
    np.testing.assert_array_equal(shown.tokens_T, trained.tokens_T)


def test_statistics_of_known_tokens():
    world = eca.make(jax.random.key(0), width=4, steps=1, bos=True)
    batch = show.sample(world, 0, 3)
    tokens_BxT = np.array([[2, 0, 0, 0, 0, 0, 0, 0, 1]] * 2 + [[2, 0, 0, 0, 0, 1, 0, 0, 0]])
    found = show.statistics(world, batch._replace(tokens_T=tokens_BxT))
    assert found["coded tokens per example"] == "4"
    assert found["vocabulary"] == "3, of which 3 occur, 2 among coded tokens"
    entropy = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))  # 3 of 12 are ones
    assert float(found["  frequencies (order 0)"]) == pytest.approx(entropy, abs=1e-4)


def test_order_0_entropy_is_that_of_the_source():
    assert show.entropy_bits(np.array([5, 5, 5])) == 0
    assert show.entropy_bits(np.arange(8)) == 3
    world = iid.make(jax.random.key(0))
    batch = show.sample(world, 0, 256)
    law = show.statistics(world, batch)["  the world's own law"]
    measured = show.entropy_bits(batch.tokens_T)
    assert float(law.partition(",")[0]) == pytest.approx(measured, abs=0.03)
