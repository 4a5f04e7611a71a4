"""Sections of the bench about training: its speed by size, what it is made of, and the choices that
make it fast. Each yields rows, a name and numbers with their units."""

import itertools
import statistics
import tempfile
from collections.abc import Iterable, Iterator

import jax
from jax.experimental.compilation_cache import compilation_cache

from epx import ledger, run
from epx.observers import transformer
from epx.types import Generator
from experiments import stopwatch
from experiments.bench_pieces import Case, Members, Prepared, Unpacked

Rows = Iterator[tuple[str, dict[str, float]]]


def steps(cases: Iterable[Case]) -> Rows:
    """Training steps by size. What the memory of the device does not hold has no numbers."""
    for dtype, group in itertools.groupby(cases, key=lambda case: case.dtype):
        peak = stopwatch.Peak(dtype)
        for case in group:
            try:
                found = _step(case, peak)
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                yield f"{case.name}: does not fit", {}
            else:
                yield case.name, found


def growth() -> Rows:
    """Cost against width, length and members; a token of any member counts."""
    peak, devices = stopwatch.Peak(), len(jax.devices())
    base = Case(width=64, members=devices)
    series = {
        "width": (64, 128, 256, 512),
        "length": (64, 128, 256, 512),
        "members": tuple(devices * times for times in (1, 2, 4, 8)),
    }
    for key, values in series.items():
        for value in values:
            found = _step(base._replace(**{key: value}), peak)
            yield (
                f"{key} {value}",
                {
                    "microseconds_per_token": 1e6 / found["tokens_per_s"],
                    "program_mebibytes": found["program_mebibytes"],
                },
            )


def microbatches() -> Rows:
    """Examples that a core takes at once: the measurement behind `plan.CORE_TOKENS`."""
    peak, devices = stopwatch.Peak(), len(jax.devices())
    for depth, width, length in ((1, 16, 64), (3, 64, 64), (3, 128, 128), (3, 256, 128)):
        for microbatch in (1, 2, 4, 8, 16, 96):
            case = Case(depth, width, length, members=devices, microbatch=microbatch)
            tokens = {"tokens_at_once": microbatch * length}
            yield case.name, tokens | _step(case, peak)


def choices() -> Rows:
    """One host device for each core, microbatches and packed cells: each alone, all together."""
    peak, devices = stopwatch.Peak(), len(jax.devices())
    for depth, width, members in ((3, 128, 1), (3, 128, devices), (1, 16, devices)):
        all_three = Case(depth, width, members=members, burnin=1000)
        none = all_three._replace(devices=1, microbatch=all_three.batch)
        unpacked = Unpacked(all_three.world, all_three.burnin)
        chosen = {
            "none": (none, unpacked),
            "host devices": (none._replace(devices=None), unpacked),
            "microbatches": (none._replace(microbatch=None), unpacked),
            "packed cells": (none, None),
            "all three": (all_three, None),
        }
        slowest = None
        for choice, (case, world) in chosen.items():
            found = _step(case, peak, world)
            slowest = slowest or found["share_of_peak"]
            times = {"times_none": found["share_of_peak"] / slowest}
            yield f"{all_three.name}: {choice}", times | found


def parts(case: Case) -> Rows:
    """What a step is made of, by leaving parts out. `share_of_time` is of the whole step."""
    peak = stopwatch.Peak(case.dtype)
    members = Members(case)
    whole = _measured(members.steps(peak.flops_per_s()), peak)
    pieces = {
        "whole step": whole,
        "with ReLU in place of GELU": _step(case._replace(activation="relu"), peak),
        "prediction alone": _measured(members.prediction(), peak),
        "products of matrices alone": _measured(members.products(), peak),
        "data alone": _measured(members.data(), peak),
    }
    for name, found in pieces.items():
        yield f"{case.name}: {name}", {"share_of_time": _work(found) / _work(whole)} | found
    # Of t(batch) = fixed + slope x batch, the first: moments, weights and their average.
    half = _step(case._replace(batch=case.batch // 2), peak)
    fixed = _work(half) / _work(whole) - 1
    yield f"{case.name}: whatever the batch", {"share_of_time": fixed}


def compiling() -> Rows:
    """Seconds to compile the steps of a run, with an empty and with a filled cache."""
    kept = jax.config.jax_compilation_cache_dir
    with tempfile.TemporaryDirectory() as empty:
        try:
            for case in (Case(1, 16), Case(), Case(members=len(jax.devices()))):
                found = {}
                for kind in ("cold", "cached"):
                    _use_cache(empty)
                    members = Members(case)
                    found[f"{kind}_seconds"] = members.steps(1.0).compile_seconds
                yield case.name, found
        finally:
            _use_cache(kept)


def precision(seeds: int = 4) -> Rows:
    """What bfloat16 changes of a codelength, seed by seed."""
    world = Case(length=64, burnin=64).world
    found = []
    for dtype in transformer.DTYPES:
        observer = transformer.make(world.spec.vocab, world.spec.length, 2, 32, dtype=dtype)
        found.append(run.measure(world, observer, steps=500, batch=64, seeds=seeds, lr=0.8))
    errors = [one.coded_tok * one.anchor_error_nats / ledger.LN2 for one in found]
    for name in ("structure", "entropy"):
        bits = [getattr(one, f"{name}_nats") / ledger.LN2 for one in found]
        difference = ledger.interval(bits[1] - bits[0], (errors[0] ** 2 + errors[1] ** 2) ** 0.5)
        yield (
            f"{name}, bfloat16 - float32",
            {
                "float32_bits": statistics.fmean(bits[0]),
                "difference_bits": difference.mean,
                "half_width_bits": difference.half_width,
            },
        )


def _step(case: Case, peak: stopwatch.Peak, world: Generator | None = None) -> dict[str, float]:
    return _measured(Members(case, world).steps(peak.flops_per_s()), peak)


def _measured(piece: Prepared, peak: stopwatch.Peak) -> dict[str, float]:
    found = stopwatch.timed(piece.call, peak)
    return {
        "share_of_peak": piece.flops / found.seconds / found.peak,
        "tokens_per_s": piece.tokens / found.seconds,
        "peak_gflop_per_s": found.peak / 1e9,
        "program_mebibytes": piece.mebibytes,
    }


def _work(found: dict[str, float]) -> float:
    """What a token takes, in FLOPs that the matrix product would have done meanwhile: free of the
    drift of the machine between two measurements."""
    return found["peak_gflop_per_s"] * 1e9 / found["tokens_per_s"]


def _use_cache(folder: str) -> None:
    """Compiled programs are kept in this folder from now on, and none in memory."""
    jax.clear_caches()
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", folder)
