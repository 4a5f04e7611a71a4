"""The study of replay: codes of records that are known, and equal compute of the arms."""

import numpy as np
import pytest

from configs.studies import replay as study
from epx.analysis.measurement import LN2
from epx.report import summary
from epx.run.setup import assemble
from epx.sweeps import local
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS, STEPS = 5, 4


def made(folder, rule, n, label, bits):
    spread = np.linspace(0.99, 1.01, SEEDS)[:, None]
    nats = bits * LN2 * spread / STEPS * np.ones((1, STEPS))
    return records.write(
        folder / f"{len(list(folder.iterdir())):03d}", nats, np.full((SEEDS, STEPS), 10),
        np.ones((SEEDS, 4)), np.full((SEEDS, 4), 10), code={"name": "prequential"},
        members=[{"run.seed": seed} for seed in range(SEEDS)],
        run={"seed": 0, "steps": STEPS, "examples": n},
        label={"generator": rule, "observer": label},
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Replay is shorter than one pass, and than blocks but with twice the compute."""
    folder, found = tmp_path_factory.mktemp("replay"), []
    for rule in study.RULES:
        for n in study.SIZES:
            found.append(made(folder, rule, n, study.ONE_PASS, 1000))
            for times in study.COMPUTE:
                label = f"{study.REPLAY}, {times} times"
                found.append(made(folder, rule, n, label, 900 if times > 2 else 990))
                found.append(made(folder, rule, n, f"{study.BLOCKS}, {times} times", 950))
    return summary.runs(found)


def test_codes_are_compared_at_equal_compute(runs):
    checks = {check.what: check for check in study.check(158, runs)}
    assert len(checks) == 16
    for what, check in checks.items():
        assert check.verdict == ("fails" if ", 2 times" in what else "holds")
        assert check.estimate.mean == pytest.approx(40 if ", 2 times" in what else -50)
    assert {check.verdict for check in study.check(157, runs)} == {"holds"}


def test_the_figure_is_drawn(runs, tmp_path):
    study.draw(runs, tmp_path / "replay.png")
    assert (tmp_path / "replay.png").stat().st_size > 10_000


def test_arms_have_the_compute_that_they_say():
    first = [
        run for run in study.sweep() if run["run.seed"] == 0 and "15" in run["label.generator"]
    ]
    groups = ensembles(study.get_config().to_dict(), first)
    flops = {}
    for group in groups:
        setup = assemble(group.config, group.members)
        key = group.config["run"]["examples"], group.config["label"]["observer"]
        flops[key] = local.whole_flops(setup)
    for (n, label), found in flops.items():
        if label != study.ONE_PASS:
            times = int(label.split(", ")[1].split()[0])
            held_out = 2 * 512 * setup.observer.flops(setup.spec.length)[0]
            once = flops[n, study.ONE_PASS] - held_out
            assert (found - held_out) / once == pytest.approx(times, rel=0.35)
