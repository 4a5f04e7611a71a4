"""Natural data at equal tokens: claims on records whose S and H are known, and the runs."""

import numpy as np
import pytest

from configs.studies.data import natural
from epx.analysis.measurement import Estimate
from epx.report import evidence, summary
from epx.run.setup import assemble
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS = 5
# S and H of a token, in nats.
KNOWN = {natural.TEXT: (0.6, 1.5), natural.CHESS: (0.4, 1.1), natural.PHOTOGRAPHS: (0.3, 1.2),
         natural.NOISE: (0.0, 2.77)}  # fmt: skip


def cell(folder, name, observer, s, h):
    spread = 1e-3 * np.arange(SEEDS)[:, None]
    nats = np.hstack([100 * (s + h) + spread, 100 * h + 0 * spread])
    raw = np.full((SEEDS, 4), 2 * h)  # the average has half of it
    return records.write(
        folder, nats, np.full((SEEDS, 2), 100), raw, np.ones((SEEDS, 4), int),
        members=[{"run.seed": seed} for seed in range(SEEDS)], run={"seed": 0, "steps": 2},
        label={"generator": name, "observer": observer},
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("natural")
    cells = [(name, observer) for name in KNOWN for observer in natural.OBSERVERS]
    return summary.runs(
        [cell(folder / str(n), *names, *KNOWN[names[0]]) for n, names in enumerate(cells)]
    )


@pytest.mark.parametrize("number", natural.CLAIMS)
def test_the_order_is_that_of_the_records(runs, number):
    first, second = natural.check(number, runs)
    assert first.verdict == second.verdict == "holds"
    if number == 161:
        expected = (0.6 - 0.3) / 2 / np.log(2)  # S is spread over the tokens of both steps
        assert first.estimate.mean == pytest.approx(expected, abs=1e-3)


def test_lines_are_those_of_the_shortest_descriptions(runs, monkeypatch):
    """Of two runs: what is longer than something with less compute has no point."""
    lengths = {"small": [(1.0, 9.0), (3.0, 7.0), (4.0, 7.5)], "large": [(2.0, 8.0), (5.0, 6.0)]}

    def against_compute(run, quantity):
        of_length = quantity is evidence.description_bits_per_tok
        return [(x, Estimate(y if of_length else 10 * x, 0.0)) for x, y in lengths[run]]

    monkeypatch.setattr(evidence, "against_compute", against_compute)
    found = evidence.shortest(list(lengths), evidence.structure_bits)
    assert [(x, estimate.mean) for x, estimate in found] == [(n, 10 * n) for n in (1, 2, 3, 5)]


def test_the_figure_is_drawn(runs, tmp_path):
    natural.draw(runs, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_all_data_have_as_many_tokens():
    config = natural.get_config().to_dict()
    made_here = [
        run for run in natural.sweep()
        if run["run.seed"] == 0 and run["label.generator"] in (natural.TEXT, "code", natural.NOISE)
    ]  # fmt: skip
    groups = ensembles(config, made_here)
    tokens = {setup.plan.steps * setup.plan.batch * setup.spec.length
              for setup in (assemble(group.config, group.members) for group in groups)}  # fmt: skip
    assert tokens == {900 * 32 * 64} and len(groups) == 9
