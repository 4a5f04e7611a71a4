"""Pack records into one small file, without states, from which every number can be recomputed.

    python -m experiments.pack --records=runs/demo --output=demo.zip
    python -m experiments.report --records=demo.zip

Of the evaluations the newest is kept whole, and the others as means over their examples; --keep
keeps more of them whole. Takes a second or two.
"""

from absl import flags

from epx import files
from epx.record import RecordError
from epx.report import export
from experiments.cli import app

FLAGS = flags.FLAGS
flags.DEFINE_string("records", None, "a record, or a folder with records below it")
flags.DEFINE_string("output", None, "the .zip to write")
flags.DEFINE_integer("keep", 1, "newest evaluations to keep whole", lower_bound=0)


def main() -> int:
    """Write the file; return the exit code."""
    if not (FLAGS.records and FLAGS.output):
        app.fail("--records and --output are needed: what to pack, and the file to write", 2)
    with app.config_errors():
        source = files.folder("--records", FLAGS.records)
        target = files.output("--output", FLAGS.output, ("zip",), new=True)
    try:
        count = export.pack(source, target, FLAGS.keep)
    except RecordError as error:
        app.fail(str(error), 1)
    app.say(f"pack: {count} records, {target.stat().st_size / 1000:.1f} kB in {target}")
    return 0


if __name__ == "__main__":
    app.launch(main, __doc__)
