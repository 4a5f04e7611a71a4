"""Recomputes every number and figure from records alone, without JAX.

    python -m experiments.report --records=runs/demo
    python -m experiments.report --records=runs/demo --anchor=raw --sensitivity
    python -m experiments.report --records=runs/demo --format=csv > demo.csv
    python -m experiments.report --records=runs/sizes --frontier=frontier.png

Takes a second or two.
"""

from pathlib import Path

from absl import flags

from epx import record
from epx.analysis import frontier
from epx.report import plots, summary, tables
from experiments.cli import app

FLAGS = flags.FLAGS
flags.DEFINE_string("records", None, "a record, or a folder with records below it")
flags.DEFINE_string("anchor", None, "ema, raw, tail or oracle; none: ema where there is one")
flags.DEFINE_float("test_tokens", None, "size of the coded set; none: as the config says")
flags.DEFINE_enum("format", "table", list(tables.FORMATS), "how to print the numbers")
flags.DEFINE_float("surplus", None, "state SDL above this loss, in bits per coded token", 0)
flags.DEFINE_bool("sensitivity", False, "also print S and H under every anchor")
flags.DEFINE_string("summary", None, "also write the numbers as JSON to this file")
flags.DEFINE_string("frontier", None, "draw S, H and S + H against compute to this file")
flags.DEFINE_enum("compute", "exact", list(frontier.ACCOUNTINGS), "accounting of the frontier")
flags.DEFINE_float("tolerance", 0.0, "of the frontier's hull: part by which it may rise", 0)
flags.DEFINE_string("figure", None, "draw S and H, world by observer, to this file (png, pdf, svg)")


def main() -> int:
    """Prints the table; writes what was asked for. Beside a table for a machine, what else is said
    goes to standard error."""
    say = print if FLAGS.format == "table" else app.say
    if not FLAGS.records:
        app.fail("--records is missing: which folder holds the records?", 2)
    try:
        for path in (FLAGS.figure, FLAGS.frontier):
            plots.check(path)
        found = read(FLAGS.records, FLAGS.anchor, FLAGS.test_tokens, FLAGS.surplus)
        print(tables.FORMATS[FLAGS.format](found))
        if FLAGS.sensitivity:
            say(tables.sensitivity(found))
        if FLAGS.summary:
            record.write_json(Path(FLAGS.summary), {"cells": found})
        if FLAGS.figure and summary.measured(found):
            plots.worlds_by_observers(found, FLAGS.figure)
        if FLAGS.frontier and summary.measured(found):
            worlds = frontiers(FLAGS.records, found)
            say(tables.frontiers(worlds))
            plots.frontiers(worlds, FLAGS.frontier)
    except (record.RecordError, OSError) as error:
        app.fail(str(error), 1)
    except ValueError as error:
        app.fail(str(error), 2)
    if not summary.measured(found):
        app.fail("nothing in these records can be measured yet", 1)
    return 0


def read(
    folder: str,
    anchor: str | None = None,
    test_tokens: float | None = None,
    good_enough: float | None = None,
) -> list[summary.Cell]:
    """The cells of every record below a folder. Raises RecordError where there is none."""
    paths = record.find(folder)
    if not paths:
        raise record.RecordError(f"{folder} holds no records")
    found = summary.cells([record.load(path) for path in paths], anchor, test_tokens, good_enough)
    return summary.told_apart(found)


def frontiers(folder: str, found: list[summary.Cell]) -> dict[str, frontier.Curve]:
    """The frontier of every world and code of which something can be measured, over all runs. The
    coded set is the same for all: --test_tokens, or what all configs say, or else what the longest
    run has learned from."""
    records = [record.load(path) for path in record.find(folder)]
    runs: dict[str, list] = {}
    several = len({cell["code"] for cell in found}) > 1
    for cell, (one, members, _) in zip(found, summary.runs(records), strict=True):
        if "missing" not in cell:
            words = [cell["world"], cell["code"]][: 1 + several]
            runs.setdefault(", ".join(words), []).append((one, members))
    said = {one.config["eval"]["test_tokens"] for one in records}
    longest = max((cell["coded_tok"] for cell in summary.measured(found)), default=1.0)
    test_tokens = FLAGS.test_tokens or (said.pop() if len(said) == 1 else None) or longest
    points = {
        world: frontier.points(of_world, test_tokens, FLAGS.anchor, FLAGS.compute)
        for world, of_world in runs.items()
    }
    return {
        world: frontier.curve(one, test_tokens, FLAGS.tolerance) for world, one in points.items()
    }


if __name__ == "__main__":
    app.launch(main, __doc__)
