"""Probes of Life: the claims on records whose description lengths are known, and the sweep."""

import math
from pathlib import Path

import numpy as np
import pytest

from configs.studies.observers import life_probes
from epx import record
from epx.report import claims, summary
from tests import records

LABELS = 1000
BITS = {
    "layer 0": 0.9, "layer 1": 0.2, "untrained": 0.8, "layer 1, labels shuffled": 1.2,
    "3 x 3 cells": 0.3, "9 x 9 cells": 0.5, "place": 1.1,
}  # fmt: skip


def table(tmp_path, edits=None, **changed):
    made = []
    for n, (shown, bits) in enumerate((BITS | changed).items()):
        charged = (LABELS * bits + np.arange(5)[:, None]) * math.log(2)
        made.append(
            records.write(
                tmp_path / str(n), np.hstack([charged, 0 * charged]),
                np.tile([LABELS, 0], (5, 1)), np.full((5, 2), 300.0), np.full((5, 2), 500),
                figure=dict(name="life_probes", size="cpu"),
                label=dict(generator=life_probes.GLIDERS, observer=shown),
                members=[{"run.seed": n} for n in range(5)],
            )
        )  # fmt: skip
    lost = {"the pattern's": [0.5, 0.6, 0.5], "of shuffled labels": [0.1, 0.1, 0.2],
            "random": [0.0, 0.1, 0.1]}  # fmt: skip
    record.write_json(tmp_path / life_probes.EDITS, {life_probes.GLIDERS: edits or lost})
    return made


def verdicts(found):
    return {claim.number: claim.verdict for claim in claims.evaluate(life_probes, found)}


def test_every_claim_holds_where_it_should(tmp_path):
    assert verdicts(table(tmp_path)) == dict.fromkeys(life_probes.CLAIMS, "holds")


@pytest.mark.parametrize(
    ("number", "changed"),
    [
        (121, {"untrained": 0.1}),
        (122, {"3 x 3 cells": 0.1}),
        (123, {"layer 1, labels shuffled": 0.5}),
    ],
)
def test_a_claim_fails_where_it_should(tmp_path, number, changed):
    assert verdicts(table(tmp_path, **changed))[number] == "fails"


def test_an_edit_that_costs_no_more_than_others_fails(tmp_path):
    same = {"the pattern's": [0.0, 0.01, 0.0], "random": [0.1, 0.1, 0.1]}
    assert verdicts(table(tmp_path, edits=same))[124] == "fails"
    (tmp_path / life_probes.EDITS).unlink()
    found = [record.load(path) for path in record.find(tmp_path)]
    assert verdicts(found)[124] == "not measured"


def test_the_figure_is_drawn(tmp_path):
    life_probes.draw(summary.runs(table(tmp_path / "records")), tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_the_sweep_has_a_run_for_every_file():
    files = {("glider, centre", "layer 0"): [Path("a"), Path("b")], ("x", "y"): [Path("c")]}
    runs = life_probes.probes(files)
    assert [(run["generator.path"], run["run.seed"]) for run in runs] == [
        ("a", 0),
        ("b", 1),
        ("c", 0),
    ]
    config = life_probes.probe_config()
    stages = config.run.steps // config.code.stage_steps
    assert config.code.first_block * 2 ** (stages - 1) == config.run.examples == 1024
