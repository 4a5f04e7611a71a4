"""The atlas: what each observer of epx-7 finds in each kind of data, with the exact oracle.

    python -m experiments.sweep --sweep=rates --tune --workdir=runs/rates      the rates, once
    python -m experiments.sweep --sweep=atlas --workdir=runs/atlas

Seven families at two sizes and the oracle on eleven kinds of data and three controls, 5 seeds; the
rates were chosen on a seed of their own (`rates.json`). With two arms more: windows of 2 to 32
tokens on a bit of an LCG, and weight-tied against direct layers at equal FLOPs.

Claims 101 to 105, not measured yet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base, observers
from configs.studies import _data
from epx.analysis.measurement import LN2, widened
from epx.report import atlas, evidence
from epx.report.claims import Check
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    101: "Full ChaCha20 is noise to every learner and known to the oracle",
    102: "A bit of an LCG is noise to a short context and structure to a longer one",
    103: "Rule 15 is cheap structure, rule 54 dear structure, rule 30 noise",
    104: "A larger observer can see less structure than a smaller one that predicts worse",
    105: "At equal FLOPs weight-tied layers describe Life and rules 54 and 110 more shortly",
}
SIZES = {"cpu": ("small", "larger"), "paper": ("larger", "paper")}
FAMILIES = {"cpu": observers.FAMILIES, "paper": ("transformer", "looped", "recurrent")}
WINDOWS = (2, 4, 8, 16, 32)
WINDOWED, TIED = "a window of {window}", "looped, equal FLOPs"
SIMULATED = ("Life, next frame", "automaton, rule 54", "automaton, rule 110")
# The oracle learns nothing and searches 2^16 seeds an example: few examples are enough.
FEW = {"run.steps": 10, "run.batch": 8, "eval.examples": 64, "run.chunk": 10,
       "checkpoint.every": 10, "eval.every": 10}  # fmt: skip


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs.

    Raises:
      SizeError: a size that is not cpu or paper.
    """
    if size not in SIZES:
        raise base.SizeError(f"size={size!r}: accepted {', '.join(SIZES)}")
    config = base.get_config(size)
    config.figure = dict(name="atlas", size=size)
    config.observers = dict(set=observers.TAG)
    config.generator.name = "iid"
    config.eval.update(every=100, test_tokens=1e6)
    config.checkpoint.update(every=100, keep=1)
    config.run.require_accelerator = size == "paper"
    return config


def sweep(size: str = "cpu") -> list[dict[str, Any]]:
    """Every observer on every kind of data, and the two arms."""
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
            runs.append(shared | _counts(data) | {"eval.rulers": True})
        if data.has_law:
            runs.append(shared | {"observer.name": "oracle", "label.observer": "oracle"} | FEW)
    return product([*runs, *_arms(size)], vary("run.seed", range(5)))


def _scale(data: _data.Data, size: str) -> dict[str, Any]:
    endless = data.kind not in ("text", "chess")
    if size == "cpu" or not endless:
        return {}
    return {"run.steps": 20 * data.steps, "run.batch": 8 * data.batch}


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


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """The checks of a claim; differences are paired by seed."""
    size = evidence.config(runs[0])["figure.size"]
    table = {}
    for run in runs:
        config = evidence.config(run)
        table[config["label.generator"], config["label.observer"]] = run
    return CHECKS[number](table, SIZES[size])


Table = dict[tuple[str, str], Run]


def _noise(table: Table, sizes: Sequence[str]) -> list[Check]:
    del sizes
    learners = {observer: run for (data, observer), run in table.items() if data == "ChaCha20"}
    oracle = learners.pop("oracle")
    h = {name: evidence.mean(_by_seed(run, "H")) for name, run in learners.items()}
    s = {name: evidence.mean(_by_seed(run, "S per token")) for name, run in learners.items()}
    lowest, most = min(h, key=lambda n: h[n].mean), max(s, key=lambda n: s[n].mean)
    return [
        Check(f"least H of a learner ({lowest}), bit per token", h[lowest], 0.99),
        Check(f"most S of a learner ({most}), bit per token", s[most], high=0.01),
        Check("H of the oracle, bit per token", evidence.mean(_by_seed(oracle, "H")), 0.249, 0.251),
    ]


def _context(table: Table, sizes: Sequence[str]) -> list[Check]:
    del sizes
    clock = _data.CLOCK.label
    runs = {window: table[clock, WINDOWED.format(window=window)] for window in WINDOWS}
    h = {window: evidence.mean(_by_seed(run, "H")) for window, run in runs.items()}
    s = {window: _by_seed(run, "S") for window, run in runs.items()}
    first, last = WINDOWS[0], WINDOWS[-1]
    gap = evidence.difference(s[last], s[first])
    return [
        Check(f"H with a window of {first}, bit per token", h[first], 0.95),
        Check(f"H with a window of {last}, bit per token", h[last], high=0.5),
        Check(f"S({last} tokens) - S({first} tokens), bit", gap, 0),
    ]


def _automata(table: Table, sizes: Sequence[str]) -> list[Check]:
    learner = observers.label("transformer", sizes[-1])
    runs = {rule: table[f"automaton, rule {rule}", learner] for rule in (15, 30, 54)}
    s = {rule: _by_seed(run, "S") for rule, run in runs.items()}
    h = {rule: evidence.mean(_by_seed(run, "H")) for rule, run in runs.items()}
    share = evidence.paired(lambda noise, dear: 0.05 * dear - noise, s[30], s[54])
    return [
        Check("H(15), bit per cell", h[15], high=0.01),
        Check("S(54) - S(15), bit", evidence.difference(s[54], s[15]), 0),
        Check("S(15), bit", evidence.mean(s[15]), 0),
        Check("a twentieth of S(54) - S(30), bit", share, 0),
        Check("H(30), bit per cell", h[30], 0.99),
    ]


def _larger_sees_less(table: Table, sizes: Sequence[str]) -> list[Check]:
    """Of all families and data the clearest case, at an interval for as many comparisons."""
    cases = []
    for (data, observer), run in table.items():
        for family in observers.SIZES[sizes[0]]:
            other = table.get((data, observers.label(family, sizes[1])))
            if observer == observers.label(family, sizes[0]) and other:
                s = evidence.difference(_by_seed(run, "S"), _by_seed(other, "S"))
                h = evidence.difference(_by_seed(run, "H"), _by_seed(other, "H"))
                cases.append((s.mean / s.half_width, f"{family} on {data}", s, h))
    # The clearest case where the larger one predicts better, if there is any.
    _, name, s, h = max(cases, key=lambda case: (case[3].mean > 0, case[0]))
    s, h = (widened(estimate, seeds=5, comparisons=len(cases)) for estimate in (s, h))
    return [
        Check(f"S({sizes[0]}) - S({sizes[1]}), {name}, of {len(cases)} cases, bit", s, 0),
        Check(f"H({sizes[0]}) - H({sizes[1]}), {name}, bit per token", h, 0),
    ]


def _tied(table: Table, sizes: Sequence[str]) -> list[Check]:
    direct = observers.label("transformer", sizes[-1])
    return [
        Check(
            f"MDL direct - weight-tied, {data}, bit",
            evidence.difference(
                _by_seed(table[data, direct], "MDL"), _by_seed(table[data, TIED], "MDL")
            ),
            0,
        )
        for data in SIMULATED
    ]


CHECKS = {101: _noise, 102: _context, 103: _automata, 104: _larger_sees_less, 105: _tied}
QUANTITIES = {
    "S": evidence.structure_bits,
    "H": evidence.entropy_bits_per_tok,
    "MDL": lambda m: (m.structure_nats + m.entropy_nats) / LN2,
    "S per token": lambda m: m.structure_nats / LN2 / m.test_tok,
}


def _by_seed(run: Run, quantity: str) -> dict[int, float]:
    return evidence.by_seed(run, QUANTITIES[quantity])


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """The poster: S and H of every observer on every kind of data."""
    names = list(dict.fromkeys(evidence.config(run)["label.observer"] for run in runs))
    kept = [name for name in names if not name.startswith(WINDOWED.partition("{")[0])]
    kept = [name for name in kept if name != TIED]
    generators = [data.label for data in _data.DATA]
    return atlas.poster(runs, generators, kept, f"the observers of {observers.TAG}", path)


def draw_ladders(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """S and H against compute: every evaluation of both sizes of each family."""
    return atlas.ladders(runs, [data.label for data in _data.DATA], observers.FAMILIES, path)
