"""Sections of the bench about training: its speed by size, and what it is made of. Each yields
rows, a name and numbers with their units."""

import itertools
import tempfile
from collections.abc import Iterable, Iterator

import jax
from jax.experimental.compilation_cache import compilation_cache

from experiments.bench import timing
from experiments.bench.workloads import Case, Members, Pairs, Prepared

Rows = Iterator[tuple[str, dict[str, float]]]


def steps(cases: Iterable[Case]) -> Rows:
    """Training steps by size. What the memory of the device does not hold has no numbers."""
    for dtype, group in itertools.groupby(cases, key=lambda case: case.dtype):
        peak = timing.Peak(dtype)
        for case in group:
            try:
                found = _step(case, peak)
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                yield f"{case.name}: does not fit", {}
            else:
                yield case.name, found


def parts(cases: Iterable[Case]) -> Rows:
    """What a step is made of, by leaving parts out. `share_of_time` is of the whole step."""
    for case in cases:
        peak = timing.Peak(case.dtype)
        members = Members(case)
        whole = _measured(members.steps(peak.flops_per_s()), peak)
        pieces = {
            "whole step": whole,
            "with ReLU in place of GELU": _step(case._replace(activation="relu"), peak),
            "prediction alone": _measured(members.prediction(), peak),
            "products of the layers alone": _measured(members.products(), peak),
            "update alone": _measured(members.update(), peak),
            "data alone": _measured(members.data(), peak),
        }
        for name, found in pieces.items():
            yield f"{case.name}: {name}", {"share_of_time": work(found) / work(whole)} | found


def pairs(cases: Iterable[Case], decoded: Iterable[int]) -> Rows:
    """The requential code: tokens of the teacher a second, what a step is made of, and how many
    examples are best drawn at once (the measurement behind `setup.DECODED`)."""
    for case in cases:
        peak, members = timing.Peak(case.dtype), Pairs(case)
        pieces = {
            "whole step": members.steps(peak.flops_per_s()),
            "teacher": members.teacher(),
            "sampling": members.sampling(),
            "KL": members.charge(),
            "student": members.student(),
        }
        found = {name: _measured(piece, peak) for name, piece in pieces.items()}
        whole = work(found["whole step"])
        for name, numbers in found.items():
            yield f"{case.name}: {name}", {"share_of_time": work(numbers) / whole} | numbers
        for count in decoded:
            one = case._replace(decoded=count)
            yield f"{one.name}: sampling", _measured(Pairs(one).sampling(), peak)


def compiling(cases: Iterable[Case]) -> Rows:
    """Seconds to compile the steps of a run, with an empty and with a filled cache."""
    kept = jax.config.jax_compilation_cache_dir
    try:
        for case in dict.fromkeys(cases):
            found = {}
            with tempfile.TemporaryDirectory() as folder:
                for kind in ("cold", "cached"):
                    _use_cache(folder)
                    members = Members(case)
                    found[f"{kind}_seconds"] = members.steps(1.0).compile_seconds
            yield case.name, found
    finally:
        _use_cache(kept)


def _step(case: Case, peak: timing.Peak) -> dict[str, float]:
    return _measured(Members(case).steps(peak.flops_per_s()), peak)


def _measured(piece: Prepared, peak: timing.Peak) -> dict[str, float]:
    found = timing.timed(piece.call, peak)
    return {
        "share_of_peak": piece.flops / found.seconds / found.peak,
        "tokens_per_s": piece.tokens / found.seconds,
        timing.PEAK: found.peak / 1e9,
        "program_mebibytes": piece.mebibytes,
    }


def work(found: dict[str, float]) -> float:
    """What a token takes, in FLOPs that the matrix product would have done meanwhile: free of the
    drift of the machine between two measurements."""
    return found[timing.PEAK] * 1e9 / found["tokens_per_s"]


def _use_cache(folder: str) -> None:
    """Compiled programs are kept in this folder from now on, and none in memory."""
    jax.clear_caches()
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", folder)
