"""The gap of reversed text from records with losses set by hand, and the power analysis."""

import numpy as np
import pytest
from scipy import stats

from configs.studies.data import arrows
from epx.analysis import power
from epx.report import summary
from epx.run.setup import assemble
from epx.sweeps.ensembles import ensembles
from tests import records

SEEDS = 4
RANDOM = np.random.default_rng(0)


def run(folder, losses, generator, observer, **keys):
    """A record whose held-out loss of each seed is given, in nats per token."""
    path = folder / f"{len(list(folder.iterdir())):03d}"
    raw = 2 * np.array(losses)[:, None] * np.ones((1, 3))  # the average has half of it
    return records.write(
        path, np.ones((len(losses), 2)), np.ones((len(losses), 2)), raw, np.ones(raw.shape, int),
        members=[{"run.seed": seed} for seed in range(len(losses))],
        run={"seed": 0, "steps": 2}, generator=keys,
        label={"generator": f"{generator}, {next(iter(keys.values()))}", "observer": observer},
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """By 1 % by character and by 7 % by word, in French by 10 %; the counter by 3 % by word."""
    folder, found = tmp_path_factory.mktemp("arrows"), []
    forward = 2 + 0.1 * RANDOM.normal(size=SEEDS)
    for text in arrows.TEXTS:
        for way, factor in {"forward": 1.0, "reverse": 1.01, "reverse_words": 1.07}.items():
            null = 1.03 if way == "reverse_words" else 1.0
            factor = 1.1 if factor > 1.05 and text == "French" else factor
            noise = 1 + 1e-4 * RANDOM.normal(size=SEEDS)
            found.append(run(folder, forward * factor * noise, text, arrows.LEARNER, direction=way))
            found.append(run(folder, forward * null, text, arrows.COUNTER, direction=way))
    for order, factor in {"forward": 1.0, "reverse": 1.2}.items():
        found.append(run(folder, forward * factor, "primes", arrows.LEARNER, order=order))
    return summary.runs(found)


def test_gaps_are_paired_by_seed(runs):
    """Seeds differ by 10 % and gaps by 0.01 %."""
    first = arrows.check(142, runs)[0].estimate
    assert first.mean == pytest.approx(0.01, abs=1e-3) and first.half_width < 1e-3


def test_verdicts_are_those_of_the_losses(runs):
    cliff = {check.what: check.verdict for check in arrows.check(141, runs)}
    assert cliff["English, by character: gap, less the counter's"] == "holds"
    assert cliff["English, by word: gap, less the counter's"] == "holds", "4 of 7 %"
    assert cliff["French, by word: gap, less the counter's"] == "fails"
    assert {check.verdict for check in arrows.check(142, runs)} == {"holds"}
    assert {check.verdict for check in arrows.check(143, runs)} == {"holds"}


def test_the_figure_and_the_table_have_every_text(runs, tmp_path):
    arrows.draw(runs, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    table = arrows.table(runs)
    rows = table.splitlines()[2:-1]
    assert "computed afterwards" in table.splitlines()[-1]
    assert len(rows) == 14 and rows[0].split()[:3] == ["English", "by", "character"]


def test_seeds_are_the_fewest_that_resolve():
    for deviation, difference in ((0.3, 0.16), (1.0, 0.5), (0.02, 0.3)):
        seeds = power.seeds_to_resolve(deviation, difference)
        widths = [power.half_width(deviation, n) for n in (seeds, max(seeds - 1, 2))]
        assert widths[0] <= difference and (seeds == 2 or widths[1] > difference)
    assert power.seeds_to_resolve(10.0, 0.01) is None
    assert power.seeds_to_resolve(float("nan"), 0.01) is None


def test_half_of_the_studies_see_a_difference_of_this_size():
    """By simulation: the interval of that many seeds leaves zero out in about half of them."""
    seeds = power.seeds_to_resolve(1.0, 0.5)
    found = RANDOM.normal(0.5, 1.0, (4000, seeds))
    half = stats.t.ppf(0.975, seeds - 1) * found.std(1, ddof=1) / np.sqrt(seeds)
    assert 0.4 < (found.mean(1) > half).mean() < 0.65


def test_the_runs_pair_their_seeds_and_fit_their_text():
    config, found = arrows.get_config().to_dict(), arrows.sweep()
    learners = [r for r in found if r["label.observer"] == arrows.LEARNER]
    assert len(learners) == 7 * 3 * 16 + 2 * 8
    shipped = [r for r in found if r.get("generator.corpus") == "pydoc" or "generator.name" in r]
    for group in ensembles(config, [r for r in shipped if r["run.seed"] == 0]):
        setup = assemble(group.config, group.members)
        assert setup.plan.eval_examples == 900
