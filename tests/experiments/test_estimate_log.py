"""S of anybody's training log, from end to end."""

import json

import numpy as np
import pytest

from epx.analysis.logs import charges, meter
from epx.analysis.measurement import LN2
from epx.report.figures import areas
from tests.binaries import refused, run


@pytest.fixture
def log(tmp_path):
    """2 + t^-1/2 nats, logged every 10th of 4000 steps."""
    steps = np.arange(10, 4001, 10)
    rows = [{"step": int(s), "loss": 2 + s**-0.5, "epoch": s / 4000} for s in steps]
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": [*rows, {"step": 4000, "eval_loss": 2.0}]}))
    return path


def test_a_log_becomes_numbers_and_a_figure(log, tmp_path):
    arguments = (f"--log={log}", "--tokens_per_step=100")
    done = run("estimate", *arguments, "--format=json", f"--figure={tmp_path / 'a.png'}")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    names = [row["final_loss"] for row in found["readings"]]
    assert names == ["held-out", "trend", "tail"] and found["readings"][0]["tokens"] == 4e5
    # The area above 2 nats is that of t^-1/2 from 0 to 4000, 2 sqrt(4000) steps of 100 tokens; the
    # log begins with the tenth step.
    assert found["readings"][0]["S_bits"] == pytest.approx(2 * 4000**0.5 * 100 / LN2, rel=0.03)
    assert found["readings"][0]["S_bits_error"] is None
    assert (tmp_path / "a.png").stat().st_size > 10_000
    table = run("estimate", *arguments)
    assert "held-out" in table.out and "unknown" in table.out
    rows = run("estimate", *arguments, "--format=csv").out.splitlines()
    assert rows[0].startswith("final_loss,tokens,S_bits") and len(rows) == 4
    assert "| held-out" in run("estimate", *arguments, "--format=md").out


def test_columns_are_given(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text("t,ce\n" + "".join(f"{t},{2 + 1 / t}\n" for t in range(1, 60)))
    done = run("estimate", f"--log={path}", "--columns=loss=ce,tokens=t")
    assert done.code == 0 and "trend" in done.out


def test_the_shaded_area_is_between_the_loss_and_its_end():
    nats = np.linspace(3, 2, 100)
    log = charges.Log(nats, np.ones(100), np.array([1.5]), None, ())
    figure = areas.draw(
        log, meter.readings(nats, np.ones(100), log.held_out_nats_per_tok_N)["held-out"]
    )
    (axis,) = figure.axes
    low = min(path.vertices[:, 1].min() for path in axis.collections[0].get_paths())
    assert low == pytest.approx(1.5 / LN2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "tokens_per_step=None: accepted the tokens of a batch"),
        (("--tokens_per_step=0",), "tokens_per_step=0.0: accepted the tokens of a batch"),
        (("--tokens_per_step=1", "--columns=loss"), "--columns=['loss']: accepted pairs"),
        (("--tokens_per_step=1", "--laws=a.csv"), "--laws='a.csv': accepted none with --log"),
        (("--tokens_per_step=1", "--columns=loss=x"), "accepted the columns of the log"),
        (("--tokens_per_step=1", "--flops=1e20"), "--flops=1e+20: accepted none with --log"),
    ],
)
def test_a_mistake_is_one_line(log, arguments, message):
    refused(run("estimate", f"--log={log}", *arguments), message)


def test_a_log_that_is_not_there_is_refused(tmp_path):
    refused(run("estimate", f"--log={tmp_path / 'none.csv'}"), "none.csv")


def test_flags_of_a_log_are_refused_without_one():
    refused(run("estimate", "--tokens_per_step=8"), "--tokens_per_step=8.0: accepted none without")
