"""Sections of the bench about training: its speed by size, and its parts.

Each section yields rows: a name, and numbers by name.
"""

import itertools
import tempfile
from collections.abc import Iterable, Iterator

import jax
from jax.experimental.compilation_cache import compilation_cache

from experiments.bench import bare, timing
from experiments.bench.workloads import Case, Members, Pairs, Prepared

Rows = Iterator[tuple[str, dict[str, float]]]


def steps(cases: Iterable[Case]) -> Rows:
    """Training steps by size. A size that does not fit into memory has no numbers."""
    for dtype, group in itertools.groupby(cases, key=lambda case: case.dtype):
        peak = timing.Peak(dtype)
        for case in group:
            try:
                numbers = _step(case, peak)
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                yield f"{case.name}: does not fit", {}
            else:
                yield case.name, numbers


def bare_steps(cases: Iterable[Case]) -> Rows:
    """The step of a run beside a bare one, `times_bare` as fast."""
    for case in cases:
        peak = timing.Peak(case.dtype)
        own, other = _step(case, peak), _measured(bare.prepared(case), peak)
        yield (
            case.name,
            {
                "share_of_peak": own["share_of_peak"],
                "bare_share_of_peak": other["share_of_peak"],
                "times_bare": work(other) / work(own),
            },
        )


def parts(cases: Iterable[Case]) -> Rows:
    """The parts of a step, measured by leaving others out; `share_of_time` is of the full step."""
    for case in cases:
        peak = timing.Peak(case.dtype)
        members = Members(case)
        full_step = _measured(members.steps(peak.flops_per_s()), peak)
        pieces = {
            "whole step": full_step,
            "with ReLU in place of GELU": _step(case._replace(activation="relu"), peak),
            "prediction alone": _measured(members.prediction(), peak),
            "products of the layers alone": _measured(members.products(), peak),
            "update alone": _measured(members.update(), peak),
            "data alone": _measured(members.data(), peak),
        }
        for name, numbers in pieces.items():
            share = work(numbers) / work(full_step)
            yield f"{case.name}: {name}", {"share_of_time": share} | numbers


def pairs(cases: Iterable[Case], decoded: Iterable[int]) -> Rows:
    """The requential code: teacher's tokens per second, the parts of a step, and sampling.

    Sampling is measured by the number of examples sampled in parallel, to set `setup.DECODED`.
    """
    for case in cases:
        peak, members = timing.Peak(case.dtype), Pairs(case)
        pieces = {
            "whole step": members.steps(peak.flops_per_s()),
            "teacher": members.teacher(),
            "sampling": members.sampling(),
            "KL": members.charge(),
            "student": members.student(),
        }
        measured = {name: _measured(piece, peak) for name, piece in pieces.items()}
        full_step = work(measured["whole step"])
        for name, numbers in measured.items():
            yield f"{case.name}: {name}", {"share_of_time": work(numbers) / full_step} | numbers
        for count in decoded:
            decoded_case = case._replace(decoded=count)
            yield f"{decoded_case.name}: sampling", _measured(Pairs(decoded_case).sampling(), peak)


def compiling(cases: Iterable[Case]) -> Rows:
    """Seconds to compile the steps of a run, with an empty and with a filled cache."""
    user_folder = jax.config.jax_compilation_cache_dir
    try:
        for case in dict.fromkeys(cases):
            numbers = {}
            with tempfile.TemporaryDirectory() as folder:
                for kind in ("cold", "cached"):
                    _use_cache(folder)
                    members = Members(case)
                    numbers[f"{kind}_seconds"] = members.steps(1.0).compile_seconds
            yield case.name, numbers
    finally:
        _use_cache(user_folder)


def _step(case: Case, peak: timing.Peak) -> dict[str, float]:
    return _measured(Members(case).steps(peak.flops_per_s()), peak)


def _measured(piece: Prepared, peak: timing.Peak) -> dict[str, float]:
    timed = timing.timed(piece.call, peak)
    return {
        "share_of_peak": piece.flops / timed.seconds / timed.peak,
        "tokens_per_s": piece.tokens / timed.seconds,
        timing.PEAK: timed.peak / 1e9,
        "program_mebibytes": piece.mebibytes,
    }


def work(numbers: dict[str, float]) -> float:
    """The time of a token, in FLOPs at the peak rate.

    In this unit the machine's drift between two measurements cancels.
    """
    return numbers[timing.PEAK] * 1e9 / numbers["tokens_per_s"]


def _use_cache(folder: str) -> None:
    """Keep compiled programs in this folder from now on, and drop those in memory."""
    jax.clear_caches()
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", folder)
