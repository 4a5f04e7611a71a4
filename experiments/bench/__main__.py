"""Measures how fast this machine comes to a codelength: a table, and JSON to compare with.

    python -m experiments.bench --fast                                  two minutes on 2 cores
    python -m experiments.bench --json=bench.json                       50 minutes
    python -m experiments.bench --only=steps --width=128 --length=128
    python -m experiments.bench --only=steps,parts --compare=bench.json

Speeds of training are shares of the peak, the rate of a plain matrix product on all devices in the
same moments: quote these, as seconds move with the machine. Nothing else should run beside it.

Sections:

    steps         training by size (--depth, --width, --length, --batch, ...)
    parts         what a step is made of, at the sizes named or else at three
    pairs         the requential code: teacher, sampling and student apart
    choices       host devices, microbatches and packed cells, each alone and together
    microbatches  tokens that a core takes at once
    growth        cost by width, length and members
    compiling     seconds to compile, with an empty and a filled cache
    generators    examples by generator
    kernels       automata and ChaCha20
    starting      seconds to the demo's first line and of a short run, with and without caches
    precision     what bfloat16 changes of a codelength; only where it is named
    memory        what the process needed at most
"""

import itertools
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import jax
from absl import flags

from epx import paths, record
from epx.run.config import convert
from epx.types import refusal, require
from experiments import doctor
from experiments.bench import generation, timing, training
from experiments.bench.workloads import Case, Members
from experiments.cli import app, configs, running

FLAGS = flags.FLAGS
flags.DEFINE_list("only", None, "sections to measure; none: all but precision")
flags.DEFINE_bool("fast", False, "the quick sections alone, and steps of one size")
flags.DEFINE_string("json", None, "file for the numbers")
flags.DEFINE_string("compare", None, "JSON of an earlier bench, whose ratio to this one is shown")
flags.DEFINE_string("trace", None, "folder for a profiler's trace of a step of the first size")
SIZES = ("depth", "width", "length", "batch", "members", "microbatch", "dtype")
for _size in SIZES:
    flags.DEFINE_list(
        _size, None, f"of the sections steps, parts and pairs: {_size}, several by commas"
    )


def main() -> int:
    """Measures, prints, and writes; returns the exit code."""
    with app.config_errors():
        written = paths.output("--json", FLAGS.json, new=True) if FLAGS.json else None
        traced = paths.folder("--trace", FLAGS.trace) if FLAGS.trace else None
        earlier = _read(FLAGS.compare) if FLAGS.compare else None
    running.prepare_host()
    with app.config_errors():
        cases = _cases()
        for case in cases:
            case.check()
        sections = _sections(cases)
    began, rows, result = time.monotonic(), [], {}
    for name, measure in sections.items():
        print(f"\n{name}")
        for row, numbers in measure():
            print(
                f"  {row:64}  " + "  ".join(f"{k} {v:.4g}" for k, v in numbers.items()), flush=True
            )
            rows.append({"section": name, "row": row} | numbers)
        result = {"machine": _machine(), "rows": rows, "seconds": time.monotonic() - began}
        if written:  # after each section: what was measured is not lost to a stop
            record.write_json(written, result)
    if earlier:
        print("\n" + timing.comparison(earlier, result))
    if traced:
        call = Members(cases[0]).steps(peak=1.0).call  # so slow a machine that it is one step
        timing.seconds(call)
        with jax.profiler.trace(traced):
            timing.seconds(call)
    return 0


def _sections(cases: list[Case]) -> dict[str, Callable[[], training.Rows]]:
    devices = len(jax.devices())
    both, tiny, wide = Case(members=devices), Case(1, 16, members=devices), Case(3, 256)
    sizes = (tiny, both._replace(width=64, length=64), both, wide, wide._replace(width=512))
    widths, lengths = (64, 128, 256, 512), (64, 128, 256, 512)
    counts = (1, *(devices * times for times in (1, 2, 4, 8)))
    series = {"width": widths, "length": lengths, "members": dict.fromkeys(counts)}
    burned = [case._replace(burnin=1000) for case in (Case(), both, tiny)]
    named = any(FLAGS[size].value for size in SIZES)
    known = {
        "steps": lambda: training.steps(cases),
        "parts": lambda: training.parts(cases if named else (both, wide, tiny)),
        "pairs": lambda: training.pairs(cases if named else (Case(), both), (4, 16, 48)),
        "choices": lambda: training.choices(burned),
        "microbatches": lambda: training.microbatches(sizes, (1, 2, 4, 8, 16, 96)),
        "growth": lambda: training.growth(both._replace(width=64), series),
        "compiling": lambda: training.compiling((Case(1, 16), Case(), both)),
        "generators": lambda: generation.generators(configs.shipped()),
        "kernels": generation.kernels,
        "starting": generation.starting,
        "precision": training.precision,
        "memory": _memory,
    }
    quick = ("steps", "compiling", "kernels", "starting", "memory")
    wanted = FLAGS.only or (
        quick if FLAGS.fast else [name for name in known if name != "precision"]
    )
    for name in wanted:
        require("--only", name, name in known, ", ".join(known))
    return {name: known[name] for name in wanted}


def _cases() -> list[Case]:
    named = {size: FLAGS[size].value for size in SIZES if FLAGS[size].value}
    for size, values in named.items():
        if size != "dtype":
            named[size] = [convert(f"--{size}", value, int) for value in values]
    return [
        Case(**dict(zip(group, values)))
        for group in ([named] if named else _default_sizes())
        for values in itertools.product(*group.values())
    ]


def _default_sizes() -> list[dict[str, list]]:
    """What the section steps measures where no size is named: every combination in each group."""
    if jax.default_backend() != "cpu":
        sizes = dict(depth=[3, 12], width=[64, 128, 512, 1024], length=[128, 512], members=[1, 16])
        return [dict(dtype=["float32", "bfloat16"]) | sizes]
    members = [1, max(2, len(jax.devices()))]
    if FLAGS.fast:
        return [dict(members=members)]
    common = dict(length=[64, 128, 512], batch=[96, 384], members=members)
    return [dict(depth=[1], width=[16]) | common, dict(width=[64, 128, 256, 512]) | common]


def _memory() -> training.Rows:
    """What this process needed at most, everything measured before it included."""
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield "peak resident memory of this process", {"mebibytes": kibibytes / 1024}


def _machine() -> dict[str, Any]:
    return {"software": dict(doctor.software()), "hardware": dict(doctor.hardware())}


def _read(file: str) -> dict[str, Any]:
    """An earlier bench. Raises ValueError where the file holds something else."""
    accepted = "the JSON of a bench"
    content = paths.read("--compare", file, accepted)
    try:
        found = json.loads(content)
        for row in found["rows"]:
            numbers = {key: row[key] for key in row if key not in ("section", "row")}
            if not all(isinstance(value, int | float) for value in numbers.values()):
                raise TypeError(f"a row with other than numbers: {row}")
            _ = row["section"], row["row"]
        return found
    except (ValueError, KeyError, TypeError) as error:
        raise refusal("--compare", file, f"{accepted}; this one holds none ({error})") from error


if __name__ == "__main__":
    app.launch(main, __doc__)
