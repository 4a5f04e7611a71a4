"""Estimate epiplexity without training: from the log of a training, or from scaling laws.

    python -m experiments.estimate --log=trainer_state.json --tokens_per_step=65536
    python -m experiments.estimate --log=run.csv --columns=loss=ce,step=iter --figure=area.png
    python -m experiments.estimate
    python -m experiments.estimate --laws=laws.csv --flops=1e22 --test_tokens=1e11 --format=csv
    python -m experiments.estimate --figure=estimate.png

`laws.csv` has the columns domain, alpha, beta, N0, D0, E of L = E + (N0/N)^alpha + (D0/D)^beta in
nats per token; or the columns domain, gamma, N0, C0, E, C_unit, delta, vocab, context, aspect of a
law against compute in PF-days, which is converted.

A log is CSV, JSON, JSON lines, a TensorBoard event file or a folder of them; columns of the
training loss, a loss on unseen data, steps, tokens and epochs are found by their usual names. S is
the area of the loss above its end, under every final loss that the log supports.
"""

from pathlib import Path

from absl import flags

from epx import files
from epx.analysis import scaling
from epx.analysis.logs import charges, log_files, meter
from epx.report import tables
from epx.report.figures import areas, curves
from epx.types import require
from experiments.cli import app

FLAGS = flags.FLAGS
flags.DEFINE_string("log", None, "log of a training: a file, or a folder of event files")
flags.DEFINE_list("columns", [], "KIND=NAME of columns: loss, eval, step, tokens, epoch")
flags.DEFINE_float("tokens_per_step", None, "tokens of a batch, if the log does not count tokens")
flags.DEFINE_float("data_tokens", None, "tokens of the data, if it was passed over several times")
flags.DEFINE_enum("unit", "nats", list(charges.UNITS), "of the logged losses, per token")
flags.DEFINE_enum("logged", "points", list(charges.LOGGED), "losses of steps, or means of blocks")
flags.DEFINE_string("laws", None, "CSV of laws; none: the published laws")
flags.DEFINE_float("flops", 1e25, "compute budget T, to train and to code the set")
flags.DEFINE_float("test_tokens", 1e12, "tokens of the coded set")
flags.DEFINE_enum("format", "table", list(tables.FORMATS), "how to print the numbers")
flags.DEFINE_bool("wide", False, "print a table with all columns, wider than a terminal")
flags.DEFINE_string("figure", None, "draw S and H against compute to this file (png, pdf, svg)")

OF_LOGS = ("columns", "tokens_per_step", "data_tokens", "unit", "logged")
OF_LAWS = ("laws", "flops", "test_tokens", "wide")


def main() -> int:
    """Print the table, and draw the figure of --figure; return the exit code."""
    try:
        if FLAGS.figure:
            files.output("--figure", FLAGS.figure, files.FIGURES)
        _refuse_others(OF_LAWS if FLAGS.log else OF_LOGS)
        if FLAGS.log:
            return _log()
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


def _refuse_others(names: tuple[str, ...]) -> None:
    """Refuse flags that say nothing of what is asked for."""
    where = "with" if FLAGS.log else "without"
    for name in names:
        require(f"--{name}", FLAGS[name].value, not FLAGS[name].present, f"none {where} --log")


def _log() -> int:
    """Print S and H of a log, and draw its area."""
    pairs = [pair.partition("=") for pair in FLAGS.columns]
    named = {kind: name for kind, _, name in pairs}
    legal = all(sign for _, sign, _ in pairs)
    require("--columns", FLAGS.columns, legal, "pairs such as loss=ce,step=iter")
    table = log_files.read(Path(FLAGS.log))
    log = charges.interpret(
        table, charges.find_columns(table, named), FLAGS.tokens_per_step, FLAGS.unit, FLAGS.logged,
        FLAGS.data_tokens,
    )  # fmt: skip
    found = meter.readings(log.nats_K, log.tokens_K, log.held_out_nats_per_tok_N)
    notes = [*log.notes, *meter.notes(log.nats_K, log.tokens_K)]
    print(areas.FORMATS[FLAGS.format](list(found.values()), notes))
    if FLAGS.figure:
        areas.draw(log, next(iter(found.values())), Path(FLAGS.figure))
    return 0


if __name__ == "__main__":
    app.launch(main, __doc__)
