"""Measure the speed of this machine; prints a table and writes JSON.

    python -m experiments.bench --fast                                  four minutes on 2 cores
    python -m experiments.bench --json=bench.json                       much longer
    python -m experiments.bench --only=steps --width=128 --length=128
    python -m experiments.bench --only=steps,parts --compare=bench.json

Training speeds are shares of the peak, the rate of a plain matrix product on all devices at the
same time. Quote these shares, because seconds vary with the machine. Run nothing else meanwhile.

Sections:

    steps       training by size (--depth, --width, --length, --batch, ...)
    bare        the step beside a bare one in plain JAX, by length and by width
    parts       the parts of a step, at the given sizes or else at three
    pairs       the requential code: teacher, sampling and student separately
    compiling   seconds to compile, with an empty and a filled cache
    generators  examples by generator
    kernels     automata and ChaCha20
    starting    seconds to the demo's first line and of a short run, with and without caches
    sweep       200 members: planning, claiming and recording, the report, memory
    memory      peak memory of the process
"""

import itertools
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import jax
from absl import flags

from epx import files, record
from epx.run.config.values import convert
from epx.types import refusal, require
from experiments import doctor
from experiments.bench import bare, generation, sweeping, timing, training
from experiments.bench.workloads import Case, Members
from experiments.cli import app, configs, running

FLAGS = flags.FLAGS
flags.DEFINE_list("only", None, "sections to measure; none: all")
flags.DEFINE_bool("fast", False, "only the quick sections, and steps of one size")
flags.DEFINE_string("json", None, "file for the numbers")
flags.DEFINE_string("compare", None, "JSON of an earlier bench to compare with")
flags.DEFINE_string("trace", None, "folder for a profiler trace of a step of the first size")
SIZES = ("depth", "width", "length", "batch", "members", "microbatch", "dtype")
for _size in SIZES:
    flags.DEFINE_list(
        _size, None, f"{_size} in the sections steps, parts and pairs; several with commas"
    )


def main() -> int:
    """Measure, print and write; return the exit code."""
    with app.config_errors():
        written = files.output("--json", FLAGS.json, new=True) if FLAGS.json else None
        traced = files.folder("--trace", FLAGS.trace) if FLAGS.trace else None
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
        if written:  # after each section, so that an interruption loses little
            record.write_json(written, result)
    if earlier:
        print("\n" + timing.comparison(earlier, result))
    if traced:
        call = Members(cases[0]).steps(peak=1.0).call  # with so small a peak a call is one step
        timing.seconds(call)
        with jax.profiler.trace(traced):
            timing.seconds(call)
    return 0


def _sections(cases: list[Case]) -> dict[str, Callable[[], training.Rows]]:
    devices = len(jax.devices())
    ensemble, tiny, wide = Case(members=devices), Case(1, 16, members=devices), Case(3, 256)
    given = any(FLAGS[size].value for size in SIZES)
    sections = {
        "steps": lambda: training.steps(cases),
        "bare": lambda: training.bare_steps(cases if given else bare.sizes()),
        "parts": lambda: training.parts(cases if given else (ensemble, wide, tiny)),
        "pairs": lambda: training.pairs(cases if given else (Case(), ensemble), (4, 16, 48)),
        "compiling": lambda: training.compiling((Case(1, 16), Case(), ensemble)),
        "generators": lambda: generation.generators(configs.shipped()),
        "kernels": generation.kernels,
        "starting": generation.starting,
        "sweep": sweeping.sweep,
        "memory": _memory,
    }
    quick = ("steps", "compiling", "kernels", "starting", "memory")
    selected = FLAGS.only or (quick if FLAGS.fast else sections)
    for name in selected:
        require("--only", name, name in sections, ", ".join(sections))
    return {name: sections[name] for name in selected}


def _cases() -> list[Case]:
    sizes = {size: FLAGS[size].value for size in SIZES if FLAGS[size].value}
    for size, values in sizes.items():
        if size != "dtype":
            sizes[size] = [convert(f"--{size}", value, int) for value in values]
    return [
        Case(**dict(zip(group, values)))
        for group in ([sizes] if sizes else _default_sizes())
        for values in itertools.product(*group.values())
    ]


def _default_sizes() -> list[dict[str, list]]:
    """The default sizes of the section `steps`: all combinations within each group."""
    if jax.default_backend() != "cpu":
        sizes = dict(depth=[3, 12], width=[64, 128, 512, 1024], length=[128, 512], members=[1, 16])
        return [dict(dtype=["float32", "bfloat16"]) | sizes]
    members = [1, max(2, len(jax.devices()))]
    if FLAGS.fast:
        return [dict(members=members)]
    common = dict(length=[64, 128, 512], batch=[96, 384], members=members)
    return [dict(depth=[1], width=[16]) | common, dict(width=[64, 128, 256, 512]) | common]


def _memory() -> training.Rows:
    """The peak memory of this process, with everything measured so far."""
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield "peak resident memory of this process", {"mebibytes": kibibytes / 1024}


def _machine() -> dict[str, Any]:
    return {"software": dict(doctor.software()), "hardware": dict(doctor.hardware())}


def _read(file: str) -> dict[str, Any]:
    """An earlier bench. Raises ValueError where the file holds something else."""
    accepted = "the JSON of a bench"
    content = files.read("--compare", file, accepted)
    try:
        earlier = json.loads(content)
        for row in earlier["rows"]:
            numbers = {key: row[key] for key in row if key not in ("section", "row")}
            if not all(isinstance(value, int | float) for value in numbers.values()):
                raise TypeError(f"a row with other than numbers: {row}")
            _ = row["section"], row["row"]
        return earlier
    except (ValueError, KeyError, TypeError) as error:
        raise refusal("--compare", file, f"{accepted}; this one holds none ({error})") from error


if __name__ == "__main__":
    app.launch(main, __doc__)
