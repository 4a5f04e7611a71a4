"""The binary that shows samples, from end to end on the smallest generators."""

import json
import re
import shutil

import numpy as np
import pytest

from epx import record
from epx.analysis.measurement import LN2
from epx.generators.automata import life
from experiments.cli import rendering
from tests.binaries import run
from tests.runs import rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from tests.conftest import tiny_config as fixture

    folder = tmp_path_factory.mktemp("sample") / "life"
    rows(fixture.__wrapped__(), folder)
    return folder


def test_sample_beside_the_real_thing(trained):
    done = run("sample", f"--record={trained}", "--examples=3")
    assert done.code == 0, done.err
    assert shown(done).shape == (2, 3)
    assert "after 40 steps" in done.out
    assert done.out.count("⟨") > 6
    assert run("sample", f"--record={trained}", "--examples=3").out == done.out
    assert run("sample", f"--record={trained}", "--seed=1").out != done.out


def shown(done):
    """The printed bits a token, real and sampled, of each example."""
    assert done.code == 0, done.err
    heads = re.findall(r"real, (\d+\.\d+) bits a token +sampled, (\d+\.\d+) bits", done.out)
    return np.array(heads, float).T


@pytest.mark.parametrize(("member", "weights"), [(0, "ema"), (1, "raw")])
def test_the_bits_are_those_of_the_evaluation(trained, member, weights):
    """Of the member and the weights that were asked for."""
    arguments = (f"--member={member}", f"--weights={weights}", "--examples=3")
    real, _ = shown(run("sample", f"--record={trained}", *arguments))
    held_out = record.load(trained).evals[40]
    expected = held_out[f"{weights}_nats"][member, :3] / held_out["coded_tok"][member, :3] / LN2
    np.testing.assert_allclose(real, expected, atol=6e-4)


@pytest.mark.slow
def test_an_earlier_state(trained):
    done = run("sample", f"--record={trained}", "--step=30")
    assert "after 30 steps" in done.out
    held_out = record.load(trained).evals[40]
    newest = held_out["ema_nats"][0, :4] / held_out["coded_tok"][0, :4] / LN2
    assert (np.abs(shown(done)[0] - newest) > 1e-3).any()


def test_a_prompt_is_given(trained):
    """Nine cells are the frame before, then nine are coded, in rows of three: one is given."""
    done = run("sample", f"--record={trained}", "--prompt=12", "--examples=2")
    assert shown(done).shape == (2, 2)
    assert "(run.seed=0) after 40 steps; ⟨this⟩ marks what is sampled" in done.out
    drawn = (line for line in done.out.splitlines() if set(line) <= set("█· ⟨⟩"))
    cells = [line.split() for line in drawn if line.strip()]
    for example in (cells[: len(cells) // 2], cells[len(cells) // 2 :]):
        assert len(example) >= 6
        for real, sampled in example[:4]:
            assert real == sampled and "⟨" not in real


def test_a_record_of_other_devices_is_sampled_here(trained, tmp_path):
    """Brought back from a machine with a GPU and eight devices."""
    copy = tmp_path / "gpu"
    shutil.copytree(trained, copy)
    config = json.loads((copy / "config.json").read_text())
    config["run"] |= {"require_accelerator": True, "devices": 8}
    (copy / "config.json").write_text(json.dumps(config))
    assert shown(run("sample", f"--record={copy}")).shape == (2, 4)


def test_a_counter_is_sampled(tmp_path, tiny_config):
    tiny_config["observer"] = {"name": "counts", "order": 2}
    rows(tiny_config, tmp_path / "counts")
    assert shown(run("sample", f"--record={tmp_path / 'counts'}")).shape == (2, 4)


WITHOUT_STEP = """
from epx.observers import counts

def make(vocab, length, order: int = 2):
    return counts.make(vocab, length, order=order)._replace(start=None, step=None)
"""


def test_an_observer_without_a_step_is_named(tmp_path, tiny_config, monkeypatch):
    (tmp_path / "without_step.py").write_text(WITHOUT_STEP)
    monkeypatch.syspath_prepend(tmp_path)
    tiny_config["observer"] = {"name": "without_step"}
    rows(tiny_config, tmp_path / "r")
    done = run("sample", f"--record={tmp_path / 'r'}")
    assert done.code == 2 and "Traceback" not in done.err
    assert "observer.name='without_step': accepted observers with start and step" in done.err


def test_damaged_and_missing_states_are_said_in_a_line(trained, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    for file in (copy / "ckpt" / "000000040").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    done = run("sample", f"--record={copy}")
    assert done.code == 1 and "checkpoint of step 40" in done.err
    assert "is damaged" in done.err and "Traceback" not in done.err
    shutil.rmtree(copy / "ckpt")
    done = run("sample", f"--record={copy}")
    assert done.code == 1 and "has no saved state" in done.err


@pytest.mark.parametrize(
    ("argument", "code", "words"),
    [
        ("--step=7", 2, "step=7: accepted the steps of saved states, 30, 40"),
        ("--member=2", 2, "member=2: accepted 0 to 1"),
        ("--prompt=18", 2, "--prompt=18: accepted 0 to 17"),
        ("--record=nowhere", 1, "nowhere holds no record"),
    ],
)
def test_sample_says_what_is_wrong(trained, argument, code, words):
    done = run("sample", f"--record={trained}", argument)
    assert done.code == code
    assert words in done.err and "Traceback" not in done.err


class Letters:
    """A generator of letters for the marks."""

    spec = life.make(None, height=2, width=2).spec

    def symbols(self, tokens_T):
        return ["abc\n"[token] for token in tokens_T]


class Controls(Letters):
    """A generator whose characters would move a terminal."""

    def symbols(self, tokens_T):
        return [["\033[1m", "\n", "\t"][token] for token in tokens_T]


def test_marks_and_columns():
    tokens_T, charged_T = np.array([0, 1, 2, 3, 0, 1]), np.array([0, 0, 1, 1, 1, 0], bool)
    assert rendering.lines(Letters(), tokens_T, charged_T) == ["ab⟨c⟩", "⟨a⟩b"]
    assert rendering.lines(Letters(), tokens_T, np.ones(6, bool)) == ["abc", "ab"]
    assert rendering.lines(Letters(), tokens_T, charged_T, width=2) == ["ab", "⟨c⟩", "⟨a⟩b"]
    filled = np.array([0, 3, 3, 3]), np.array([1, 1, 0, 0], bool)
    assert rendering.lines(Letters(), *filled) == ["⟨a⟩"]
    assert rendering.lines(Controls(), np.array([0, 1, 2]), np.ones(3, bool)) == [
        "\N{SYMBOL FOR ESCAPE}[1m",
        "\N{SYMBOL FOR HORIZONTAL TABULATION}",
    ]
    assert rendering.side_by_side(["ab", "c"], ["d"], 3) == "ab   d\nc    "
