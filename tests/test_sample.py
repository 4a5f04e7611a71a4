"""The binaries that run sweeps and show samples, from end to end on the smallest worlds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from epx import run, sweeps
from epx.generators import life
from experiments import decoded

ROOT = Path(__file__).parent.parent
SWEEP = """
from configs import base
from epx import sweeps

def ensembles(tune=False):
    config = base.get_config("tiny")
    config.generator.update(dict(name="life", height=3, width=3))
    config.observer.update(dict(name="counts", order=2))
    config.run.steps, config.run.chunk, config.checkpoint.every = 20, 10, 10
    sections = {name: config[name].to_dict() for name in config}
    seeds = sweeps.vary("run.seed", [9] if tune else [0, 1])
    return [sweeps.Ensemble("01-life-counts", sections, seeds)]
"""


def binary(name, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", *arguments],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from tests.conftest import tiny_config as fixture

    folder = tmp_path_factory.mktemp("sample") / "life"
    for _ in run.train(sweeps.assemble(fixture.__wrapped__()), folder):
        pass
    return folder


def test_sample_beside_the_real_thing(trained):
    done = binary("sample", f"--record={trained}", "--examples=3")
    assert done.returncode == 0, done.stderr
    heads = re.findall(r"real, (\d\.\d+) bits a token +sampled, (\d\.\d+) bits", done.stdout)
    assert len(heads) == 3
    assert "after 40 steps" in done.stdout
    assert done.stdout.count("⟨") > 6
    assert binary("sample", f"--record={trained}", "--examples=3").stdout == done.stdout
    assert binary("sample", f"--record={trained}", "--seed=1").stdout != done.stdout


def test_sample_of_an_earlier_state(trained):
    done = binary("sample", f"--record={trained}", "--step=30", "--member=1", "--weights=raw")
    assert "member 1 after 30 steps" in done.stdout


@pytest.mark.parametrize(
    ("argument", "code", "words"),
    [
        ("--step=7", 2, "--step=7: states are saved after [30, 40] steps"),
        ("--member=2", 2, "--member=2: 0 to 1"),
        ("--record=nowhere", 1, "nowhere holds no record"),
    ],
)
def test_sample_says_what_is_wrong(trained, argument, code, words):
    done = binary("sample", f"--record={trained}", argument)
    assert done.returncode == code
    assert words in done.stderr and "Traceback" not in done.stderr


def test_a_sweep_of_ones_own_runs_reports_and_stops_where_done(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SWEEP)
    command = ("sweep", f"--sweep={file}", f"--workdir={tmp_path / 'w'}", "--quiet")
    done = binary(*command)
    assert done.returncode == 0, done.stderr
    assert "1 ensembles, 2 runs" in done.stderr and "S bit/token" in done.stdout
    assert (tmp_path / "w" / "summary.json").exists()
    again = binary(*command)
    assert again.returncode == 0 and again.stdout == done.stdout


def test_an_unknown_sweep_is_named(tmp_path):
    done = binary("sweep", "--sweep=boook", f"--workdir={tmp_path}")
    assert done.returncode == 2
    assert "--sweep=boook: no such file; did you mean book?" in done.stderr


class Letters:
    """A world of letters for the marks."""

    spec = life.make(None, height=2, width=2).spec

    def symbols(self, tokens_T):
        return ["abc\n"[token] for token in tokens_T]


def test_marks_and_columns():
    tokens_T, charged_T = np.array([0, 1, 2, 3, 0, 1]), np.array([0, 0, 1, 1, 1, 0], bool)
    assert decoded.lines(Letters(), tokens_T, charged_T) == ["ab⟨c⟩", "⟨a⟩b"]
    assert decoded.lines(Letters(), tokens_T, np.ones(6, bool)) == ["abc", "ab"]
    assert decoded.lines(Letters(), tokens_T, charged_T, width=2) == ["ab", "⟨c⟩", "⟨a⟩b"]
    filled = np.array([0, 3, 3, 3]), np.array([1, 1, 0, 0], bool)
    assert decoded.lines(Letters(), *filled) == ["⟨a⟩"]
    assert decoded.beside(["ab", "c"], ["d"], 3) == "ab   d\nc    "
