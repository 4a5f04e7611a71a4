"""Recomputes every number and figure from records alone, without JAX.

    python -m experiments.report --records=runs/demo
    python -m experiments.report --records=runs/demo --anchor=raw --sensitivity --format=json

Takes a second or two.
"""

import json
from pathlib import Path

from absl import flags

from epx import plots, record, tables
from experiments import cli

FLAGS = flags.FLAGS
flags.DEFINE_string("records", None, "a record, or a folder with records below it")
flags.DEFINE_string("anchor", None, "ema, raw, tail or oracle; none: ema where there is one")
flags.DEFINE_float("test_tokens", None, "size of the coded set; none: as the config says")
flags.DEFINE_enum("format", "table", ["table", "json"], "how to print the numbers")
flags.DEFINE_bool("sensitivity", False, "also print S and H under every anchor")
flags.DEFINE_string("summary", None, "also write the numbers as JSON to this file")
flags.DEFINE_string("figure", None, "draw S and H, world by observer, to this file (png, pdf, svg)")


def main() -> int:
    """Prints the table; writes what was asked for."""
    if not FLAGS.records:
        cli.fail("--records is missing: which folder holds the records?", 2)
    try:
        found = read(FLAGS.records, FLAGS.anchor, FLAGS.test_tokens)
        print(json.dumps(found, indent=1) if FLAGS.format == "json" else tables.text(found))
        if FLAGS.sensitivity:
            print(tables.sensitivity(found))
        if FLAGS.summary:
            record.write_json(Path(FLAGS.summary), {"cells": found})
        if FLAGS.figure and tables.measured(found):
            plots.worlds_by_observers(found, FLAGS.figure)
    except (record.RecordError, OSError) as error:
        cli.fail(str(error), 1)
    except ValueError as error:
        cli.fail(str(error), 2)
    if not tables.measured(found):
        cli.fail("nothing in these records can be measured yet", 1)
    return 0


def read(
    folder: str, anchor: str | None = None, test_tokens: float | None = None
) -> list[tables.Cell]:
    """The cells of every record below a folder. Raises RecordError where there is none."""
    paths = record.find(folder)
    if not paths:
        raise record.RecordError(f"{folder} holds no records")
    found = tables.cells([record.load(path) for path in paths], anchor, test_tokens)
    return tables.told_apart(found)


if __name__ == "__main__":
    cli.launch(main, __doc__)
