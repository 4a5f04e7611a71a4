"""Recompute all numbers and figures from records, without JAX.

    python -m experiments.report --records=runs/demo
    python -m experiments.report --records=runs/demo --anchor=raw --sensitivity
    python -m experiments.report --records=runs/demo --format=csv > demo.csv
    python -m experiments.report --records=runs/sizes --frontier=frontier.png --curve=loss.png
    python -m experiments.report --records=runs/demo --compare="coin flips" --compare="sorted"
    python -m experiments.report --records=runs --claims
    python -m experiments.report --records=runs/tuning --elicit
    python -m experiments.report --records=runs/atlas --study=figures
    python -m experiments.report --records=demo.zip

Takes a second or two. A table fits the terminal; --wide and the other formats have all columns.
--claims checks the claims of the figures (configs/paper, configs/studies) on records, prints a
verdict on each, and writes claims.md and claims.json beside the records. --elicit says of
fine-tunings, runs that differ in run.examples, whether they woke a capability or taught it.
--study draws the figures of the papers and studies whose records these are, and prints their
tables: of the atlas the cheap rulers beside S, and its order at other anchors and rates.
"""

import importlib
import re
from pathlib import Path

from absl import flags

from epx import files, record
from epx.analysis import frontier, loss
from epx.report import claims, compact, comparison, elicit, evidence, export, summary, tables
from epx.report.figures import bars, curves
from epx.types import require
from experiments.cli import app, configs, rendering

FLAGS = flags.FLAGS
flags.DEFINE_string("records", None, "a folder or .zip with records, or an address of one")
flags.DEFINE_string(
    "anchor", None, "of S and H: ema, raw, trend, tail or oracle; none: trend for S, ema for H"
)
flags.DEFINE_float("test_tokens", None, "size of the coded set; none: that of the config")
flags.DEFINE_enum("format", "table", list(tables.FORMATS), "how to print the numbers")
flags.DEFINE_bool("wide", False, "print a table with all columns, wider than a terminal")
flags.DEFINE_float("surplus", None, "also SDL above this loss, in bits per coded token", 0)
flags.DEFINE_bool("sensitivity", False, "also print S and H under every anchor")
flags.DEFINE_multi_string(
    "compare",
    [],
    "twice: two generators, observers or records, whose paired difference is printed",
)
flags.DEFINE_bool("claims", False, "instead check the claims of the paper")
flags.DEFINE_bool("elicit", False, "instead say of fine-tunings: woken, taught or undecided")
flags.DEFINE_string("study", None, "instead draw the figures of a study into this folder")
flags.DEFINE_string("summary", None, "also write the numbers as JSON to this file")
flags.DEFINE_string("frontier", None, "draw S, H and S + H against compute to this file")
flags.DEFINE_enum("compute", "exact", list(frontier.ACCOUNTINGS), "accounting of the frontier")
flags.DEFINE_float("tolerance", 0.0, "fraction by which the frontier's hull may rise", 0)
flags.DEFINE_string("curve", None, "draw loss curves to this file (png, pdf, svg)")
flags.DEFINE_string("figure", None, "draw S and H as bars to this file (png, pdf, svg)")
FIGURES = ("figure", "frontier", "curve")
_DRAWING = re.compile(r"draw(_\w+)?")  # functions of a study


def main() -> int:
    """Print the table, and write the files of the flags; return the exit code.

    With a machine-readable format, everything but the table goes to standard error.
    """
    say = print if FLAGS.format == "table" else app.say
    if not FLAGS.records:
        app.fail("--records is missing: which folder holds the records?", 2)
    try:
        _check_flags()
        with export.opened("--records", FLAGS.records) as folder:
            if FLAGS.claims:
                _check_alone("claims")
                return _claims(folder)
            records = load(folder)
            if FLAGS.study:
                _check_alone("study")
                return _study(records)
            if FLAGS.elicit:
                _check_alone("elicit")
                print(elicit.table(elicit.tunings(summary.runs(records))))
                return 0
        cells = make_cells(records, FLAGS.anchor, FLAGS.test_tokens, FLAGS.surplus)
        print(_table(cells))
        if FLAGS.sensitivity:
            say(tables.sensitivity(cells))
        if FLAGS.compare:
            pairs = comparison.compare(
                records, cells, *FLAGS.compare, FLAGS.anchor, FLAGS.test_tokens
            )
            say("\n" + tables.differences(pairs))
        if FLAGS.summary:
            record.write_json(files.output("--summary", FLAGS.summary), {"cells": cells})
        if summary.measured(cells):
            if FLAGS.figure:
                bars.generators_by_observers(cells, FLAGS.figure)
            if FLAGS.curve:
                curves.losses(loss_curves(records, cells), FLAGS.curve)
            if FLAGS.frontier:
                by_generator = frontiers(records, cells)
                say(tables.frontiers(by_generator))
                curves.frontiers(by_generator, FLAGS.frontier)
    except (record.RecordError, OSError) as error:
        app.fail(str(error), 1)
    except ValueError as error:
        app.fail(str(error), 2)
    if not summary.measured(cells):
        app.fail("nothing in these records can be measured yet", 1)
    return 0


def _claims(folder: Path) -> int:
    """Print the claims, and write them beside records that are in a folder."""
    found = check_claims([record.load(path) for path in record.find(folder)])
    print(claims.table(found))
    if Path(FLAGS.records).is_dir():
        claims.write(found, folder)
    return 0


def _study(records: list[record.Record]) -> int:
    """Draw the figures of the studies of these records, and print their tables.

    A study's config has `draw` for its figure, `draw_NAME` for another one, and `table`.
    """
    folder, empty = Path(FLAGS.study), True
    for module in configs.figures():
        study, name = importlib.import_module(module), module.rpartition(".")[2]
        drawings = {key: value for key, value in vars(study).items() if _DRAWING.fullmatch(key)}
        for size, runs in evidence.of_figure(records, name).items():
            for key, draw in drawings.items():
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{name}_{size}{key.removeprefix('draw')}.png"
                draw(runs, path)
                app.say(f"report: figure in {path}")
            if hasattr(study, "table"):
                print(study.table(runs))
            empty = False
    if empty:
        raise record.RecordError(f"{FLAGS.records} holds no records of a study with claims")
    return 0


def _check_flags() -> None:
    if FLAGS.study:
        files.folder("--study", FLAGS.study)
    for key in FIGURES:
        if FLAGS[key].value:
            files.output(f"--{key}", FLAGS[key].value, files.FIGURES)
    if FLAGS.summary:
        files.output("--summary", FLAGS.summary)
    require("--compare", FLAGS.compare, len(FLAGS.compare) in (0, 2), "two names, --compare twice")


def _check_alone(flag: str) -> None:
    """Refuse flags that --claims, --elicit and --study do not use, which have their own."""
    others = (
        "anchor", "test_tokens", "surplus", "compare", "summary", "sensitivity", "claims", "elicit",
        "study", *FIGURES,
    )  # fmt: skip
    given = [name for name in others if name != flag and FLAGS[name].present]
    require(f"--{flag}", True, not given, f"alone, without --{' and --'.join(given)}")


def _table(cells: list[summary.Cell]) -> str:
    if FLAGS.format == "table" and not FLAGS.wide:
        return compact.table(cells, rendering.terminal_width())
    return tables.FORMATS[FLAGS.format](cells)


def load(folder: Path | str) -> list[record.Record]:
    """Load all records below a folder. Raises RecordError if there is none."""
    found = record.find(folder)
    if not found:
        raise record.RecordError(f"{folder} holds no records")
    return [record.load(path) for path in found]


def check_claims(records: list[record.Record]) -> list[claims.Claim]:
    """The claims of all figures, by number, checked on records."""
    found = []
    for name in configs.figures():
        found += claims.evaluate(importlib.import_module(name), records)
    return sorted(found, key=lambda claim: claim.number)


def make_cells(
    records: list[record.Record],
    anchor: str | None = None,
    test_tokens: float | None = None,
    target_loss: float | None = None,
) -> list[summary.Cell]:
    """The cells of records, with distinct names. Arguments as in `summary.cells`."""
    return summary.disambiguate(summary.cells(records, anchor, test_tokens, target_loss))


def read(folder: str) -> list[summary.Cell]:
    """The cells of all records below a folder."""
    return make_cells(load(folder))


def loss_curves(
    records: list[record.Record], cells: list[summary.Cell]
) -> dict[str, dict[str, loss.LossCurve]]:
    """Loss curves of all measurable runs, by generator and observer."""
    result: dict[str, dict[str, loss.LossCurve]] = {}
    several = len({cell["code"] for cell in cells}) > 1
    for cell, run in zip(cells, summary.runs(records), strict=True):
        if "missing" not in cell:
            name = ", ".join([cell["observer"], cell["code"]][: 1 + several])
            result.setdefault(cell["generator"], {})[name] = loss.curve(run.record, run.members)
    return result


def frontiers(records: list[record.Record], cells: list[summary.Cell]) -> dict[str, frontier.Curve]:
    """The frontier of every measurable generator and code, over all its runs.

    All have the same coded set: --test_tokens, or that of the configs if they agree, or else the
    tokens that the longest run has learned from.
    """
    runs: dict[str, list] = {}
    several = len({cell["code"] for cell in cells}) > 1
    for cell, run in zip(cells, summary.runs(records), strict=True):
        if "missing" not in cell:
            name = ", ".join([cell["generator"], cell["code"]][: 1 + several])
            runs.setdefault(name, []).append((run.record, run.members))
    configured = {run.config["eval"]["test_tokens"] for run in records}
    longest = max((cell["coded_tok"] for cell in summary.measured(cells)), default=1.0)
    test_tokens = (
        FLAGS.test_tokens or (configured.pop() if len(configured) == 1 else None) or longest
    )
    result = {}
    for name, of_generator in runs.items():
        points = frontier.points(of_generator, test_tokens, FLAGS.anchor, FLAGS.compute)
        result[name] = frontier.curve(points, test_tokens, FLAGS.tolerance)
    return result


if __name__ == "__main__":
    app.launch(main, __doc__)
