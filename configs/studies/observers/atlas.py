"""The atlas: what each observer of epx-7 finds in each kind of data, with the exact oracle.

    python -m experiments.sweep --sweep=rates --tune --workdir=runs/rates      the rates, once
    python -m experiments.sweep --sweep=atlas --workdir=runs/atlas
    python -m experiments.report --records=runs/atlas --study=figures      poster, ladders, tables

Seven families at two sizes and the oracle on eleven kinds of data and three controls, 5 seeds; the
rates were chosen on a seed of their own (`rates.json`). With three arms more: windows of 2 to 32
tokens on a bit of an LCG, weight-tied against direct layers at equal FLOPs, and the smaller
learners at half and at twice their rates (2 seeds), for how much of the order survives.

At `cpu` 1341 runs in 144 programs are 1.6e14 FLOP. At `paper` three families of larger sizes learn
endless data in 3 times the steps and 8 times the batch: 683 runs in 84 programs are 3.5e16 FLOP.
They have the rates of the size below: those of muP do not depend on the width (nor do the GRU's,
whose orthogonal matrices have norm 1 at any width), but no rate was chosen for the longer training
or the larger batch.

Claims 101 to 106, not measured yet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base, observers
from configs.studies.observers import _data
from configs.studies.observers._atlas_claims import (
    CHECKS,
    SIMULATED,
    TIED,
    WINDOWED,
    WINDOWS,
    Table,
)
from epx.record import RecordError
from epx.report import evidence, rulers
from epx.report.claims import Check
from epx.report.figures import atlas
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    101: "Full ChaCha20 is noise to every learner and known to the oracle",
    102: "A bit of an LCG is noise to a short context and structure to a longer one",
    103: "Rule 15 is cheap structure, rule 54 dear structure, rule 30 noise",
    104: "A larger observer can see less structure than a smaller one that predicts worse",
    105: "At equal FLOPs weight-tied layers describe Life and rules 54 and 110 more shortly",
    106: "Of rule 54 and English a small learner has the shortest description at little compute, a "
    "larger one at more",
}
SIZES = {"cpu": ("small", "larger"), "paper": ("larger", "paper")}
FAMILIES = {"cpu": observers.FAMILIES, "paper": ("transformer", "looped", "recurrent")}
# One learner of each kind of data has the rulers, as they are of the data.
RULED = {"cpu": "counts", "paper": "transformer, larger"}
CAPTION = f"the observers of {observers.TAG}"
LABELS, ORACLE = [data.label for data in _data.DATA], "oracle"
AT_RATE, FACTORS = "{observer}, {factor:g} x rate", (0.5, 2.0)
# The oracle learns nothing and searches 2^16 seeds an example: few examples are enough.
FEW = {"run.steps": 10, "run.batch": 8, "eval.examples": 64, "run.chunk": 10,
       "checkpoint.every": 10, "eval.every": 10}  # fmt: skip


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs.

    Raises:
      SizeError: a size that is not cpu or paper.
    """
    base.require_size(size, tuple(SIZES))
    config = base.get_config(size)
    config.figure = dict(name="atlas", size=size, observers=observers.TAG)
    config.generator.name = "iid"
    config.eval.update(every=100, test_tokens=1e6)
    config.checkpoint.update(every=100, keep=1)
    config.run.require_accelerator = size == "paper"
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Every observer on every kind of data, and the three arms."""
    runs = []
    for data in _data.DATA:
        shared = _data.overrides(data) | _scale(data, size)
        for part in SIZES[size]:
            runs += [
                shared | observers.overrides(family, part) | _rate(data, family, part)
                for family in FAMILIES[size]
                if family != "counts"
            ]
        if "counts" in FAMILIES[size]:
            runs.append(shared | _counts(data))
        if data.has_law:
            runs.append(shared | {"observer.name": "oracle", "label.observer": ORACLE} | FEW)
    runs = [
        run | {"eval.rulers": True} if run["label.observer"] == RULED[size] else run for run in runs
    ]
    seeds = vary("run.seed", range(5))
    return [*product([*runs, *_arms(size)], seeds), *product(_at_other_rates(size), seeds[:2])]


def _scale(data: _data.Data, size: str) -> dict[str, Any]:
    endless = data.kind not in ("text", "chess")
    if size == "cpu" or not endless:
        return {}
    return {"run.steps": 3 * data.steps, "run.batch": 8 * data.batch}


def _counts(data: _data.Data) -> dict[str, Any]:
    named = {"observer.name": "counts", "observer.order": data.order}
    return named | {"label.observer": "counts"}


def _rate(data: _data.Data, family: str, size: str) -> dict[str, Any]:
    return {"optim.lr": _data.rate(data, family, "larger" if size == "paper" else size)}


def _arms(size: str) -> list[dict[str, Any]]:
    """The windows of claim 102 and the weight-tied layers of claim 105."""
    by_label = {data.label: data for data in _data.DATA}
    largest = SIZES[size][-1]
    clock = _data.CLOCK
    windows = [
        _data.overrides(clock)
        | observers.overrides("mlp", "larger")
        | {"observer.window": window, "label.observer": WINDOWED.format(window=window)}
        | _rate(clock, "mlp", "larger")
        for window in WINDOWS
    ]
    tied = [
        _data.overrides(by_label[label])
        | _scale(by_label[label], size)
        | observers.overrides("looped", largest, observers.EQUAL_FLOPS)
        | {"label.observer": TIED}
        | _rate(by_label[label], "looped", largest)
        for label in SIMULATED
    ]
    return [*windows, *tied]


def _at_other_rates(size: str) -> list[dict[str, Any]]:
    """The learners of the smaller size, at rates beside the chosen ones."""
    part = SIZES[size][0]
    runs = []
    for data in _data.DATA:
        for family in FAMILIES[size]:
            if family == "counts":
                continue
            chosen = _rate(data, family, part)["optim.lr"]
            learner = _data.overrides(data) | _scale(data, size) | observers.overrides(family, part)
            runs += [
                learner
                | {
                    "optim.lr": chosen * factor,
                    "label.observer": AT_RATE.format(
                        observer=observers.label(family, part), factor=factor
                    ),
                }
                for factor in FACTORS
            ]
    return runs


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The checks of a claim; differences are paired by seed."""
    size = evidence.config(runs[0])["figure.size"]
    table = Table()
    for run in runs:
        config = evidence.config(run)
        table[config["label.generator"], config["label.observer"]] = run
    return CHECKS[number](table, SIZES[size])


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The poster: S and H of every observer on every kind of data."""
    columns = [*_learners(runs), ORACLE]
    return atlas.poster(runs, LABELS, columns, CAPTION, path)


def draw_ladders(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S, H and S + H of every learner against compute, with the least S + H so far."""
    families: dict[str, list[str]] = {}
    for name in _learners(runs):
        families.setdefault(name.partition(", ")[0], []).append(name)
    return atlas.ladders(runs, LABELS, families, ORACLE, CAPTION, path)


def table(runs: Sequence[Run]) -> str:
    """The rulers beside S, and how much of the order of the data survives other readings of S."""
    learners, found, text = _learners(runs), [], [observers.TAG]
    for label in LABELS:
        try:
            found.append(rulers.measure(runs, label, learners))
        except RecordError as error:  # the sweep is not complete yet
            text.append(str(error))
    size = SIZES[evidence.config(runs[0])["figure.size"]][0]
    rows = []
    for name in (name for name in learners if name.endswith(f", {size}")):
        others = {f"{n:g} x rate": AT_RATE.format(observer=name, factor=n) for n in FACTORS}
        rows.append(atlas.survival(runs, LABELS, name, others))
    if found:
        text += [rulers.table(found), ""]
    order = "rank correlation of S over the data with S under another anchor, or at another rate"
    return "\n".join([*text, order, atlas.survival_table(rows)])


def _learners(runs: Sequence[Run]) -> list[str]:
    """The names of the learners of epx-7 among the runs: no arm, and not the oracle."""
    found = {evidence.config(run)["label.observer"] for run in runs}
    return [name for name in observers.names() if name in found]
