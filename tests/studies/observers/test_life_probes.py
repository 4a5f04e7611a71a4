"""Probes of Life: the claims on records whose description lengths are known, and the sweep."""

import math
from pathlib import Path

import numpy as np
import pytest

from configs.studies.observers import life_probes
from epx import record
from epx.analysis.exact import patterns
from epx.report import claims, evidence, summary
from epx.report.figures import lines
from epx.sweeps.ensembles import ensembles
from tests import records

LABELS = 1000
NAMES = [f"{pattern}, {label}" for pattern in patterns.PATTERNS for label in ("centre", "part")]
GLIDERS = "glider, centre"
BITS = {
    "layer 0": 0.9, "layer 1": 0.2, "layer 2": 0.15, "untrained, layer 0": 0.95,
    "untrained, layer 2": 0.8, "3 x 3 cells": 0.3, "9 x 9 cells and next ones": 0.25, "place": 1.1,
}  # fmt: skip
SHUFFLED = {name + life_probes.SHUFFLED: 1.2 for name in BITS}
LOST = {
    "layer 1": {"of the pattern": [0.1] * 5, "random": [0.0] * 5},
    "layer 2": {
        "of the pattern": [0.5, 0.6, 0.5, 0.6, 0.5],
        "of another pattern": [0.1, 0.1, 0.2, 0.1, 0.1],
        "random": [0.0, 0.1, 0.1, 0.0, 0.0],
    },
}  # fmt: skip


def write(folder, label, shown, bits):
    charged = (LABELS * bits + np.arange(5)[:, None]) * math.log(2)
    return records.write(
        folder, np.hstack([charged, 0 * charged]), np.tile([LABELS, 0], (5, 1)),
        np.full((5, 2), 300.0), np.full((5, 2), 500), generator=dict(name="tokens"),
        figure=dict(name="life_probes", size="cpu"), label=dict(generator=label, observer=shown),
        members=[{"run.seed": n} for n in range(5)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probes")
    return {
        (label, shown): write(folder / f"{n}-{m}", label, shown, bits)
        for n, label in enumerate(NAMES)
        for m, (shown, bits) in enumerate((BITS | SHUFFLED).items())
    }


@pytest.fixture
def table(known, tmp_path):
    """The records with some changed, and the file beside them."""

    def changed(bits=(), lost=(), loss=0.01):
        made = dict(known)
        for n, (name, value) in enumerate(dict(bits).items()):
            made[name] = write(tmp_path / "changed" / str(n), *name, value)
        found = {
            life_probes.LOSS: [loss, loss + 0.001, loss, loss + 0.001, loss],
            life_probes.EDITS: dict.fromkeys(NAMES, LOST) | dict(lost),
            life_probes.PRECISION: {
                name: {shown: [0.5, 0.6, 0.7, 0.8, 0.9] for shown in BITS} for name in NAMES
            },
        }
        folder = made[NAMES[0], "layer 0"].path.parent
        record.write_json(folder / life_probes.OBSERVER, found)
        return list(made.values())

    return changed


def verdicts(found):
    return {claim.number: claim.verdict for claim in claims.evaluate(life_probes, found)}


def test_every_claim_holds_where_it_should(table):
    found = claims.evaluate(life_probes, table())
    assert {claim.number: claim.verdict for claim in found} == dict.fromkeys(
        life_probes.CLAIMS, "holds"
    )
    for claim in found[:4]:
        assert {check.what.partition(":")[0] for check in claim.checks} == set(NAMES)


@pytest.mark.parametrize(
    ("number", "label", "shown", "bits"),
    [
        (121, "block, part", "untrained, layer 2", 0.1),
        (122, GLIDERS, "3 x 3 cells", 0.1),
        (122, "blinker, centre", "9 x 9 cells and next ones", 0.1),
        (123, GLIDERS, "place, labels shuffled", 0.5),
        (123, GLIDERS, "untrained, layer 0, labels shuffled", 0.5),
    ],
)
def test_a_claim_fails_where_it_should(table, number, label, shown, bits):
    assert verdicts(table({(label, shown): bits}))[number] == "fails"


def test_the_best_of_many_is_compared_with_a_wider_interval(table):
    """Of two untrained layers and three trained ones; the intervals of the seeds are zero."""
    found = claims.evaluate(life_probes, table({(GLIDERS, "untrained, layer 2"): 0.151}))
    (check,) = [one for one in found[0].checks if one.what.startswith(GLIDERS)]
    assert check.what == f"{GLIDERS}: untrained, layer 2 - layer 2, bit per label"
    assert check.estimate.mean == pytest.approx(0.001, abs=1e-6)
    spread = {0: 0.80, 1: 0.81, 2: 0.79, 3: 0.80, 4: 0.80}
    none = dict.fromkeys(range(5), 0.0)
    worse = dict.fromkeys(range(5), 0.9)
    bits = {"layer 0": none, "layer 1": worse, "layer 2": worse}
    bits |= {"untrained, layer 0": spread, "untrained, layer 1": worse}
    wide = life_probes._least("x", bits, "untrained").estimate
    alone = evidence.mean(spread)
    assert wide.half_width / alone.half_width == pytest.approx(4.8510 / 2.7764, abs=1e-3)


@pytest.mark.parametrize(
    ("lost", "verdict"),
    [
        ({"layer 2": {"of the pattern": [0.0, 0.01, 0.0], "random": [0.1, 0.1, 0.1]}}, "fails"),
        ({"layer 2": {"of the pattern": [0.2, 0.21, 0.2], "random": [0.0, 0.1, 0.0],
                      "of another pattern": [0.3, 0.3, 0.31]}}, "fails"),
        ({"layer 1": {"of the pattern": [0.2, 0.0, 0.2], "random": [0.0, 0.1, 0.0]}}, "undecided"),
    ],
)  # fmt: skip
def test_an_edit_that_costs_no_more_than_others_does_not_hold(table, lost, verdict):
    assert verdicts(table(lost={"glider, part": lost}))[124] == verdict


def test_an_observer_that_has_not_learned_says_so(table):
    assert verdicts(table(loss=0.2))[125] == "fails"


def test_without_the_file_of_the_observer_two_claims_are_not_measured(tmp_path):
    """Nor those of vectors without probes."""
    found = claims.evaluate(life_probes, [write(tmp_path / "a", GLIDERS, "layer 0", 0.1)])
    notes = [claim.note.partition(" beside")[0] for claim in found]
    missing = [f"no probes of {kind} vectors" for kind in ("untrained", "cells", "shuffled")]
    assert notes == [*missing, *["no observer.json"] * 2]


def test_the_figure_is_drawn(table, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(life_probes.lines, "panels", lambda panels, path: shown.extend(panels))
    life_probes.draw(summary.runs(table()))
    assert len(shown) == 2 * len(NAMES)
    assert list(shown[0].names) == list(BITS)
    at = list(BITS).index("place")
    assert [points[at][1].mean for points in shown[0].series.values()] == pytest.approx(
        [1.1, 1.2], abs=0.003
    )
    (precision,) = shown[1].series.values()
    assert precision[at][1].mean == pytest.approx(0.7)
    monkeypatch.undo()
    lines.panels(shown[:2], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_observers_alone_have_a_figure_and_no_claims(tmp_path):
    run = records.write(
        tmp_path / "a", [[9.0, 8.0]], [[100, 100]], [[300.0, 200.0]], [[500, 500]],
        generator=dict(name="life"), figure=dict(name="life_probes", size="cpu"),
        members=[{"run.seed": 0}],
    )  # fmt: skip
    assert set(verdicts([run]).values()) == {"not measured"}
    life_probes.draw(summary.runs([run]), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_the_observers_differ_in_their_seeds():
    (group,) = ensembles(life_probes.get_config().to_dict(), life_probes.sweep())
    assert [member["run.seed"] for member in group.members] == [0, 1, 2, 3, 4]
    assert group.name == "00-life-transformer", "the documented folder"
    assert life_probes.SIDE >= 9, "the largest window fits"


def test_a_probe_has_the_best_of_its_rates_and_pays_for_its_name():
    by_rate = [{0: 0.5, 1: 0.9}, {0: 0.7, 1: 0.8}, {0: 0.6, 1: 1.2, 2: 0.1}, {0: 9.0, 1: 9.0}]
    named = 2 / life_probes.EXAMPLES
    assert life_probes._shortest(by_rate) == {
        0: pytest.approx(0.5 + named), 1: pytest.approx(0.8 + named)
    }  # fmt: skip


def test_the_sweep_has_a_run_for_every_file_and_rate():
    files = {("glider, centre", "layer 0"): [Path("a"), Path("b")], ("x", "y"): [Path("c")]}
    runs = life_probes.probes(files)
    assert [(run["generator.path"], run["run.seed"], run["optim.lr"]) for run in runs] == [
        *(("a", 0, rate) if seed == 0 else ("b", 1, rate)
          for rate in life_probes.PROBE_RATES for seed in (0, 1)),
        *(("c", 0, rate) for rate in life_probes.PROBE_RATES),
    ]  # fmt: skip
    config = life_probes.probe_config()
    stages = config.run.steps // config.code.stage_steps
    assert config.code.first_block * 2 ** (stages - 1) == config.run.examples == 1024
