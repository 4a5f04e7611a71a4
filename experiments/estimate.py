"""Estimate epiplexity from scaling laws of a loss, without training.

    python -m experiments.estimate
    python -m experiments.estimate --laws=laws.csv --flops=1e22 --test_tokens=1e11 --format=csv
    python -m experiments.estimate --figure=estimate.png

`laws.csv` has the columns domain, alpha, beta, N0, D0, E of L = E + (N0/N)^alpha + (D0/D)^beta in
nats per token; or the columns domain, gamma, N0, C0, E, C_unit, delta, vocab, context, aspect of a
law against compute in PF-days, which is converted.
"""

from pathlib import Path

from absl import flags

from epx import files
from epx.analysis import scaling
from epx.report import curves, tables
from experiments.cli import app

FLAGS = flags.FLAGS
flags.DEFINE_string("laws", None, "CSV of laws; none: the published laws")
flags.DEFINE_float("flops", 1e25, "compute budget T, to train and to code the set")
flags.DEFINE_float("test_tokens", 1e12, "tokens of the coded set")
flags.DEFINE_enum("format", "table", list(tables.FORMATS), "how to print the numbers")
flags.DEFINE_bool("wide", False, "print a table with all columns, wider than a terminal")
flags.DEFINE_string("figure", None, "draw S and H against compute to this file (png, pdf, svg)")


def main() -> int:
    """Print the table, and draw the figure of --figure; return the exit code."""
    try:
        if FLAGS.figure:
            files.output("--figure", FLAGS.figure, files.FIGURES)
        laws = (
            scaling.read(FLAGS.laws)
            if FLAGS.laws
            else {name: scaling.convert(law) for name, law in scaling.PUBLISHED.items()}
        )
        cells = scaling.cells(laws, FLAGS.flops, FLAGS.test_tokens)
        compact = FLAGS.format == "table" and not FLAGS.wide
        columns = scaling.COLUMNS[: scaling.COMPACT] if compact else scaling.COLUMNS
        print(tables.FORMATS[FLAGS.format](cells, columns))
        if FLAGS.figure:
            curves.estimates(laws, FLAGS.test_tokens, Path(FLAGS.figure))
    except ValueError as error:
        app.fail(str(error), 2)
    except OSError as error:
        app.fail(str(error), 1)
    return 0


if __name__ == "__main__":
    app.launch(main, __doc__)
