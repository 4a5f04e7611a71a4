"""The transfer laboratory: does the structure of a source say what a learner saves elsewhere?

    python -m experiments.sweep --sweep=transfer --workdir=runs/transfer

One transformer learns 27 sources of a million tokens each: automata of all classes, Life, networks
as rules, induction, Markov chains, maps, linear maps, sums, games of self-play, streams and noise.
Its body, which has no table of tokens or places, then learns two automata that were no source,
English text and the moves of real games. What it saves there is the code of the target from nothing
minus its code after the source, in bits: the difference of their excess description lengths above
one floor. Predictors, of the source alone: S and H of the prequential code, S of the requential
code, the size under gzip, how near it is to the middle between nothing and noise, and the reservoir
score.

The counterexample of arXiv 2605.11554 is built in: sources that mix one language with a background.
The one with a rich background and little of the language should have more structure in all than the
one with noise and half of the language, and save less. In a third one only the background differs
from the latter: it is rich, beside half of the language. The table has the structure of the
language's part, coded given all tokens before, and that of the language Y given the source X:
S(Y given X) = S(Y) - code saved.

`transfer_rates` chooses LR. Games of self-play take half a minute at first use.

Claims 171 to 176, not measured yet.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from configs import base
from epx.report import evidence, transfer
from epx.report.claims import Check
from epx.report.figures import lines
from epx.report.summary import Run
from epx.sweeps.grid import product, vary

CLAIMS = {
    171: "The more S_preq a source has, the more code it saves on other data",
    172: "The more S_req a source has, the more code it saves on other data",
    173: "S_preq orders the sources by what they save better than H, gzip or the reservoir score",
    174: "Of two sources the one with more structure in all saves less, as its structure is "
    "another one's and it has less of the language",
    175: "The structure of the part that matters orders sources as what they save does",
    176: "Of two sources with equal shares of a language, too, the one with more structure in all "
    "saves less",
}
SEEDS = range(10)
LENGTH, BATCH, STEPS, TARGET_STEPS = 64, 32, 500, 300
LR = 0.2  # to be chosen
_ECA = {"generator.name": "eca", "generator.width": 16, "generator.steps": 6, "generator.loops": 3}
_NCA = {"generator.name": "nca"}  # 4 frames of 4x4 cells
_IID = {"generator.name": "iid", "generator.length": LENGTH}
_LIFE = {"generator.name": "life", "generator.height": 4, "generator.frames": 2}
_CIPHER = {"generator.name": "cipher", "generator.length": LENGTH}
_CHESS = {"generator.name": "chess", "generator.order": "moves", "generator.length": LENGTH}
AUTOMATA = {
    f"rule {rule}": _ECA | {"generator.rule": rule}
    for rule in (32, 4, 15, 22, 30, 90, 41, 54, 106, 110)
}
SOURCES: dict[str, dict[str, Any]] = {
    **AUTOMATA,
    "Life": _LIFE,
    "Life, 4 steps": _LIFE | {"generator.stride": 4},
    "a network": _NCA,
    "many networks": _NCA | {"generator.rules": "each"},
    "hidden chains": {
        "generator.name": "markov", "generator.hidden": 8, "generator.length": LENGTH - 1
    },
    "repeats": _IID | {"generator.law": "repeat", "generator.vocab": 16, "generator.period": 16},
    "a chain": _IID | {"generator.law": "markov", "generator.vocab": 16},
    "letters": {"generator.name": "story", "generator.length": LENGTH},
    "linear": {"generator.name": "linear", "generator.bits": 32},
    "logistic": {"generator.name": "lorenz", "generator.system": "logistic", "generator.time": 2.0,
                 "generator.bits": 16},
    "cat": {"generator.name": "lorenz", "generator.system": "cat", "generator.time": 2.0},
    "sums": {"generator.name": "arithmetic", "generator.digits": 2, "generator.notation": "words"},
    "self-play": _CHESS | {"generator.games": 7200, "generator.plies": 40},
    "low bits of LCG": _CIPHER | {"generator.algorithm": "lcg", "generator.shown_bits": 1,
                                  "generator.low_bit": 4},
    "ChaCha20": _CIPHER,
    "noise": _IID | {"generator.law": "uniform", "generator.vocab": 16},
    "a constant": _IID | {"generator.law": "constant"},
}  # fmt: skip
TARGETS: dict[str, dict[str, Any]] = {
    "rule 57": _ECA | {"generator.rule": 57},
    "rule 73": _ECA | {"generator.rule": 73},
    "English": {"generator.name": "text", "generator.length": LENGTH},
    "chess": _CHESS | {"generator.corpus": "gnubook"},
}
# The counterexample: a language with another background, and more or less of it.
RICH, POOR, LANGUAGE = "little language and automaton", "language and noise", "the language"
EQUAL = "language and automaton"  # as much of the language as POOR
_PART = f"story length={LENGTH}"
_AUTOMATON = "eca rule=54 width=16 steps=6 loops=3"
MIXED: dict[str, dict[str, Any]] = {
    RICH: {"generator.parts": f"{_PART}; {_AUTOMATON}", "generator.weights": "1 9"},
    EQUAL: {"generator.parts": f"{_PART}; {_AUTOMATON}", "generator.weights": "1 1"},
    POOR: {"generator.parts": f"{_PART}; iid vocab=2 length={LENGTH}", "generator.weights": "1 1"},
}
SCRATCH, REQUENTIAL = "from nothing", "teacher and student"
# Tokens of an example, where it has not 64.
LENGTHS = {"logistic": 32, "cat": 40, "sums": 19}


def get_config(size: str = "cpu") -> base.ConfigDict:
    """The config shared by all runs."""
    config = base.get_config(size)
    config.figure = dict(name="transfer", size=size)
    config.generator.name = "iid"
    config.observer.update(depth=2, width=32, head_dim=16)
    config.optim.update(lr=LR, warmup_steps=50, ema_steps=50)
    config.run.update(batch=BATCH, steps=STEPS)
    config.eval.update(examples=1024)
    config.checkpoint.update(every=None, keep=1)
    return config


def sweep() -> list[dict[str, Any]]:
    """The sources in both codes, and the targets after each source and from nothing."""
    runs = []
    for name, keys in (SOURCES | _named(MIXED)).items():
        source = keys | {"ensemble": _ensemble(name), "label.generator": name,
                         "label.observer": "source", "eval.rulers": True,
                         "run.steps": _steps(name)}  # fmt: skip
        runs.append(source)
        if name in SOURCES:
            coded = {"code.name": "requential", "label.observer": REQUENTIAL, "eval.rulers": False}
            runs.append(source | coded | {"ensemble": f"{_ensemble(name)}-requential"})
    targets = [(target, keys, SOURCES) for target, keys in TARGETS.items()]
    targets.append((LANGUAGE, {"generator.name": "story", "generator.length": LENGTH}, MIXED))
    for target, keys, sources in targets:
        shared = keys | {"label.generator": target, "run.steps": TARGET_STEPS}
        runs.append(shared | {"label.observer": SCRATCH})
        for source in sources:
            runs.append(shared | {"label.observer": _after(source), "run.start_keeps": "body",
                                  "run.start": f"ensemble:{_ensemble(source)}"})  # fmt: skip
    return product(runs, vary("run.seed", SEEDS))


def _named(mixed: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {"generator.name": "mixture", **keys} for name, keys in mixed.items()}


def _ensemble(name: str) -> str:
    return "source-" + "".join(letter if letter.isalnum() else "-" for letter in name)


def _steps(source: str) -> int:
    """Steps that see as many tokens of a source as of the others, in whole chunks."""
    return STEPS * LENGTH // LENGTHS.get(source, LENGTH) // 50 * 50


def _after(source: str) -> str:
    return f"after {source}"


def check(number: int, runs: Sequence[Run]) -> list[Check]:
    """Correlations, with the interval if sources and seeds are drawn again, and the mixtures."""
    if number in (171, 172, 173):
        return _correlations(number, runs)
    mixed = transfer.mixtures(runs, MIXED, LANGUAGE, SCRATCH, _after)
    if number == 175:
        return [
            Check(
                f"share of seeds, {name} against {POOR}",
                transfer.agreement(_more(mixed[name], mixed[POOR], "of_part"),
                                   _more(mixed[name], mixed[POOR], "saved")),
                0.5,
            )
            for name in (RICH, EQUAL)
        ]  # fmt: skip
    rich, poor = mixed[RICH if number == 174 else EQUAL], mixed[POOR]
    structure, saved = _more(rich, poor, "structure"), _more(poor, rich, "saved")
    return [
        Check("S_preq in all, automaton minus noise, bit", evidence.mean(structure), 0),
        Check("code saved, noise minus automaton, bit", evidence.mean(saved), 0),
        Check("share of reversed seeds", transfer.agreement(structure, saved), 0.5),
    ]


def _more(first: transfer.Mixed, second: transfer.Mixed, name: str) -> dict[int, float]:
    """A number of one source minus that of another, by seed."""
    return evidence.minus(getattr(first, name), getattr(second, name))


def _correlations(number: int, runs: Sequence[Run]) -> list[Check]:
    lab = transfer.laboratory(runs, SOURCES, TARGETS, SCRATCH, _after, REQUENTIAL)
    if number in (171, 172):
        name = transfer.S_PREQ if number == 171 else transfer.S_REQ
        return [
            Check(f"{target}: rank correlation", lab.correlation(name, target), 0)
            for target in TARGETS
        ]
    others = [name for name in lab.predictors if name not in (transfer.S_PREQ, transfer.S_REQ)]
    return [
        Check(f"{target}: S_preq minus {other}", lab.advantage(other, target), 0)
        for other in others
        for target in TARGETS
    ]


def draw(runs: Sequence[Run], path: Path | None = None) -> Figure:
    """What each source saves on each target, against its S_preq."""
    lab = transfer.laboratory(runs, SOURCES, TARGETS, SCRATCH, _after, REQUENTIAL)
    panels = []
    structure = {n: evidence.mean(v).mean for n, v in lab.predictors[transfer.S_PREQ].items()}
    others = [name for name in SOURCES if name not in AUTOMATA]
    kinds = {"automata": list(AUTOMATA), "others": others}
    for target in TARGETS:
        series = {
            kind: [(structure[name], lab.saving(name, target)) for name in names]
            for kind, names in kinds.items()
        }
        label = "S_preq of the source, bit"
        panels.append(lines.Panel(target, label, "code saved, bit", series, joined=False))
    return lines.panels(panels, path)


def table(runs: Sequence[Run]) -> str:
    """The rank correlation of every predictor with what is saved, and the counterexample."""
    lab = transfer.laboratory(runs, SOURCES, TARGETS, SCRATCH, _after, REQUENTIAL)
    mixed = transfer.mixtures(runs, MIXED, LANGUAGE, SCRATCH, _after)
    return f"{transfer.table(lab)}\n\n{transfer.mixtures_table(mixed)}"
