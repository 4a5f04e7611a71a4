"""The atlas: its claims on records whose S and H are known, its poster, and its sweep."""

import json
import math

import jax
import numpy as np
import pytest

from configs import base, observers
from configs.studies.observers import _data, atlas, rates
from epx import record
from epx.analysis.measurement import Estimate, widened
from epx.report import claims, summary
from epx.report.figures import atlas as drawing
from epx.run import setup as setups
from epx.run.config import components
from epx.run.config.observing import make_observer
from epx.sweeps.ensembles import ensembles
from epx.types import Refusal
from tests import records

LN2 = math.log(2.0)
TOKENS = 1000  # learned in the record, and held out
FACTS = dict(
    vocab=2, size=None, length=40, parameters=10, forward_flops=100.0, learns_by_gradient=False
)


def cell(folder, generator, observer, s, h, family="transformer"):
    """A record of five seeds with these bits of S and bits per token of H."""
    seeds = np.arange(5)[:, None]
    charged = (s + h * TOKENS + 0.01 * seeds) * LN2
    made = records.write(
        folder, np.hstack([charged, 0 * charged]), np.tile([TOKENS, 0], (5, 1)),
        np.full((5, 2), h * TOKENS / 2 * LN2) * (1 + 1e-4 * seeds), np.full((5, 2), TOKENS // 2),
        facts=FACTS, figure=dict(name="atlas", size="cpu"), observer=dict(name=family),
        members=[{"run.seed": n} for n in range(5)],
        label=dict(generator=generator, observer=observer),
    )  # fmt: skip
    # As of a counter, whose weights have no average.
    evals = {name: values for name, values in made.evals[2].items() if name != "ema_nats"}
    record.write_arrays(record.eval_path(folder, 2), evals)
    return record.load(folder)


def table(tmp_path, changed=()):
    """Records of a table in which all claims hold, but for what is changed."""
    small, larger = (observers.label("transformer", size) for size in ("small", "larger"))
    values = {
        ("ChaCha20", small): (1.0, 0.9999),
        ("ChaCha20", "oracle"): (0.0, 0.25),
        ("automaton, rule 15", small): (90.0, 0.0),
        ("automaton, rule 15", larger): (100.0, 0.0),
        ("automaton, rule 30", larger): (2.0, 0.999),
        ("automaton, rule 54", small): (400.0, 0.3),
        ("automaton, rule 54", larger): (300.0, 0.1),
        ("automaton, rule 54", atlas.TIED): (250.0, 0.1),
        ("automaton, rule 110", larger): (100.0, 0.6),
        ("automaton, rule 110", atlas.TIED): (90.0, 0.6),
        ("Life, next frame", larger): (100.0, 0.6),
        ("Life, next frame", atlas.TIED): (90.0, 0.6),
    }
    for window in atlas.WINDOWS:
        known = window >= 8
        values["LCG, bit 6", atlas.WINDOWED.format(window=window)] = (90.0 * known, 1.0 - known)
    values |= dict(changed)
    return [
        cell(tmp_path / str(n), *names, *pair) for n, (names, pair) in enumerate(values.items())
    ]


def verdicts(found):
    return {claim.number: claim.verdict for claim in claims.evaluate(atlas, found)}


def test_every_claim_holds_where_it_should(tmp_path):
    assert verdicts(table(tmp_path)) == dict.fromkeys(atlas.CLAIMS, "holds")


@pytest.mark.parametrize(
    ("number", "names", "pair"),
    [
        (101, ("ChaCha20", "transformer, small"), (1.0, 0.9)),
        (101, ("ChaCha20", "oracle"), (0.0, 0.3)),
        (102, ("LCG, bit 6", "a window of 32"), (90.0, 0.9)),
        (103, ("automaton, rule 54", "transformer, larger"), (90.0, 0.1)),
        (103, ("automaton, rule 30", "transformer, larger"), (20.0, 0.999)),
        (105, ("Life, next frame", atlas.TIED), (110.0, 0.6)),
    ],
)
def test_a_claim_fails_where_it_should(tmp_path, number, names, pair):
    assert verdicts(table(tmp_path, {names: pair}))[number] == "fails"


def test_less_structure_with_a_worse_prediction_does_not_count(tmp_path):
    """Only of an observer that predicts better."""
    worse = {("automaton, rule 54", "transformer, larger"): (300.0, 0.4)}
    assert verdicts(table(tmp_path, worse))[104] != "holds"


def test_an_interval_is_widened_for_the_best_of_many():
    """t quantiles of 4 degrees of freedom: 2.776 and, for 50 comparisons, 8.610 (p = 0.0005)."""
    found = widened(Estimate(5.0, 2.776), seeds=5, comparisons=50)
    assert found.mean == 5.0 and found.half_width == pytest.approx(8.610, abs=0.01)


def test_the_poster_and_the_ladders_are_drawn(tmp_path):
    runs = summary.runs(table(tmp_path / "records"))
    for draw in (atlas.draw, atlas.draw_ladders):
        path = tmp_path / f"{draw.__name__}.png"
        draw(runs, path)
        assert path.stat().st_size > 20_000
    figure = atlas.draw(runs)
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert "0.300 + 0.100" in texts, "S and H of rule 54, bit per token"


def test_the_sweep_has_every_observer_on_everything(monkeypatch, tmp_path):
    """With rates as the tuning writes them; the oracle only where there is a law."""
    tuned = {
        kind: {run["label.observer"]: 0.1 for run in rates.sweep()}
        for kind in {data.kind for data in _data.DATA}
    }
    assert {run["label.generator"] for run in rates.sweep()} == set(tuned)
    chosen = tmp_path / "rates.json"
    chosen.write_text(json.dumps(tuned))
    monkeypatch.setattr(_data, "CHOSEN", chosen)
    for size, families in (("cpu", 13 + 12), ("paper", 6 + 6)):
        config = atlas.get_config(size)
        assert config.figure.size == size
        groups: dict[str, set[str]] = {}
        for run in atlas.sweep(size):
            groups.setdefault(run["label.generator"], set()).add(run["label.observer"])
        assert len(groups) == len(_data.DATA) + 1
        for data in _data.DATA:
            extra = data.has_law + (data.label in atlas.SIMULATED)
            assert len(groups[data.label]) == families + extra, data.label
    with pytest.raises(base.SizeError):
        atlas.get_config("tiny")


def test_the_oracle_is_where_a_law_is_known():
    for data in _data.DATA:
        lawful = data.generator["name"] not in ("text", "chess")
        assert lawful == data.has_law, data.label
        if lawful:
            section, key = data.generator, jax.random.key(0)
            made = components.make("generator", section, key=key)
            make_observer({"name": "oracle"}, made, "float32")


def test_a_rate_that_is_not_chosen_is_refused(monkeypatch, tmp_path):
    chosen = tmp_path / "rates.json"
    chosen.write_text("{}")
    monkeypatch.setattr(_data, "CHOSEN", chosen)
    with pytest.raises(Refusal, match="--sweep=rates --tune first"):
        atlas.sweep()


def test_the_sweep_groups_into_ensembles(monkeypatch, tmp_path):
    chosen = tmp_path / "rates.json"
    labels = {run["label.observer"]: 0.1 for run in rates.sweep()}
    chosen.write_text(json.dumps({data.kind: labels for data in _data.DATA}))
    monkeypatch.setattr(_data, "CHOSEN", chosen)
    automata = [run for run in atlas.sweep() if run["generator.name"] == "eca"]
    groups = ensembles(atlas.get_config().to_dict(), automata)
    setups.assemble(groups[0].config, groups[0].members[:2])
    assert {len(group.members) for group in groups} == {4 * 5 + 4 * 2 * 2, 4 * 5, 2 * 5}, (
        "four rules of five seeds, at other rates of two, and two rules of claim 105"
    )


def test_the_order_of_the_data_survives_where_s_is_only_scaled(tmp_path):
    """At half the rate twice the S of everything; at twice the rate the opposite order."""
    name = observers.label("transformer", "small")
    half, twice = (atlas.AT_RATE.format(observer=name, factor=f) for f in atlas.FACTORS)
    found = []
    for n, data in enumerate(_data.DATA):
        sizes = {name: 10.0 + n, half: 20.0 + 2 * n, twice: 50.0 - n}
        for place, (label, s) in enumerate(sizes.items()):
            found.append(cell(tmp_path / f"{n}-{place}", data.label, label, s, 0.5))
    generators = [data.label for data in _data.DATA]
    others = {"half": half, "twice": twice}
    row = drawing.survival(summary.runs(found), generators, name, others)
    assert row.correlations["half"].value == pytest.approx(1.0)
    assert row.correlations["twice"].value == pytest.approx(-1.0)
    assert row.correlations["anchor raw"].value == pytest.approx(1.0)
    text = drawing.survival_table([row])
    assert name in text and "-1.00 (-1.00 to -1.00)" in text
