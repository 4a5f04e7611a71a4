"""Sections of the bench beyond training: generators, kernels, and the start of binaries.

Each section yields rows: a name, and numbers by name.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import lax

from epx.generators.automata import eca, life
from epx.generators.kernels import ciphers
from epx.run import evaluation
from epx.run.devices import Layout, compile_over, make_layout, place
from epx.run.setup import assemble
from epx.sweeps import grid
from experiments.bench import timing
from experiments.bench.training import Rows
from experiments.cli import app, configs

RULE = 30
ROOT = Path(__file__).parents[2]


def generators(names: Iterable[str], batches: int = 300, batch: int = 256) -> Rows:
    """Examples of shipped configs, drawn on each device by one member of an ensemble.

    A call draws many batches, so that its overhead is negligible.
    """
    devices, peak = len(jax.devices()), timing.Peak()
    layout = make_layout("jit", devices, members=devices, batch=devices, length=1)
    for name in names:
        try:
            setup = assemble(configs.load(f"{name}:cpu", {}), grid.vary("run.seed", range(devices)))
        except ValueError as error:  # a missing package or corpus
            app.say(f"bench: {name} is left out: {error}")
            continue

        def draw(generator, hyper):
            def part(first):
                index_B = first + jnp.arange(batch, dtype=jnp.uint32)
                return evaluation.held_out_examples(generator, hyper, index_B).tokens_T.sum()

            return lax.map(part, batch * jnp.arange(batches, dtype=jnp.uint32))

        members = place(layout, (setup.generator, setup.hyper))
        program = compile_over(layout, draw, *members)
        timed = timing.timed(partial(program, *members), peak)
        examples, length = devices * batches * batch, setup.spec.length
        yield (
            f"{name}:cpu",
            {
                "tokens_per_s": examples * length / timed.seconds,
                "examples_per_s": examples / timed.seconds,
                timing.PEAK: timed.peak / 1e9,
            },
        )


def kernels() -> Rows:
    """The inner loops of the automata, compared with one cell per byte, and of ChaCha20."""
    devices, peak = len(jax.devices()), timing.Peak()
    layout = make_layout("jit", devices, members=devices, batch=devices, length=1)
    rings = jax.random.bernoulli(jax.random.key(0), 0.5, (devices, 4096 // devices, 64))
    boards = jax.random.bernoulli(jax.random.key(0), 0.5, (devices, 4096 // devices, 16, 16))
    large = jax.random.bernoulli(jax.random.key(0), 0.5, (1, 1, 2048, 2048))
    single = make_layout("jit", 1, members=1, batch=1, length=1)
    for name, devices_used, cells, packed, unpacked, generations in (
        ("ECA, 4096 rings of 64", layout, rings, _eca(eca.evolve), _eca(unpacked_eca), 2000),
        ("Life, 4096 boards of 16 x 16", layout, boards, life.evolve, unpacked_life, 1000),
        ("Life, a board of 2048 x 2048, one core", single, large, life.evolve, unpacked_life, 500),
    ):
        fast, plain = (
            _evolved(devices_used, evolve, cells.astype(jnp.uint8), generations, peak)
            for evolve in (packed, unpacked)
        )
        yield (
            name,
            {
                "gigacells_per_s": cells.size * generations / fast.seconds / 1e9,
                "times_unpacked": plain.seconds * plain.peak / (fast.seconds * fast.peak),
                timing.PEAK: fast.peak / 1e9,
            },
        )
    blocks, tile = 65536, 4096
    keys = jax.random.bits(jax.random.key(0), (devices, 8), jnp.uint32)

    def stream(key_8):
        def part(counter):
            counters = counter + jnp.arange(tile, dtype=jnp.uint32)
            nonce = jnp.zeros(3, jnp.uint32)
            return jax.vmap(lambda n: ciphers.chacha_block(key_8, n, nonce))(counters)

        return lax.map(part, tile * jnp.arange(blocks // tile, dtype=jnp.uint32))

    program = compile_over(layout, stream, keys)
    keys = place(layout, keys)
    timed = timing.timed(partial(program, keys), peak, repeats=7)
    megabytes = devices * blocks * 64 / 1e6
    yield (
        "ChaCha20",
        {"megabytes_per_s": megabytes / timed.seconds, timing.PEAK: timed.peak / 1e9},
    )


def unpacked_eca(ring_W: jax.Array, rule: jax.Array | int, steps: int) -> jax.Array:
    """`eca.evolve` with one cell per byte (uint8)."""
    rule = jnp.asarray(rule, jnp.uint8)

    def step(_, now_W):
        neighbourhood_W = 4 * jnp.roll(now_W, 1) + 2 * now_W + jnp.roll(now_W, -1)
        return (rule >> neighbourhood_W) & 1

    return lax.fori_loop(0, steps, step, ring_W)


def unpacked_life(board_HxW: jax.Array, steps: int) -> jax.Array:
    """`life.evolve` with one cell per byte (uint8)."""

    def step(_, board_HxW):
        rows_HxW = board_HxW + jnp.roll(board_HxW, 1, 1) + jnp.roll(board_HxW, -1, 1)
        block_HxW = rows_HxW + jnp.roll(rows_HxW, 1, 0) + jnp.roll(rows_HxW, -1, 0)
        return ((block_HxW == 3) | ((block_HxW == 4) & (board_HxW == 1))).astype(board_HxW.dtype)

    return lax.fori_loop(0, steps, step, board_HxW)


def _eca(evolve: Callable) -> Callable:
    return lambda ring_W, steps: evolve(ring_W, RULE, steps)


def _evolved(
    layout: Layout, evolve: Callable, cells: jax.Array, generations: int, peak: timing.Peak
) -> timing.Timed:
    """The time of `generations` generations of all rings or boards of each device."""
    program = compile_over(layout, jax.vmap(lambda cells: evolve(cells, generations)), cells)
    cells = place(layout, cells)
    return timing.timed(partial(program, cells), peak)


def starting() -> Rows:
    """Seconds until the demo's first line of progress, and of a short run.

    With empty caches, with cached corpora but no cached programs, and with all caches.
    """
    for name, measure in (
        ("first line of the demo", _first_line),
        ("train eca:tiny from start to end", _short_run),
    ):
        with tempfile.TemporaryDirectory() as scratch:
            for kind, compiled in (
                ("nothing in a cache", "first"),
                ("nothing compiled", "second"),
                ("all cached", "second"),
            ):
                caches = {
                    "EPX_CACHE": f"{scratch}/epx",
                    "JAX_COMPILATION_CACHE_DIR": f"{scratch}/{compiled}",
                }
                workdir = tempfile.mkdtemp(dir=scratch)
                yield f"{name}, {kind}", {"seconds": measure(workdir, os.environ | caches)}


def _first_line(workdir: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-m", "experiments.demo", f"--workdir={workdir}"]
    began, lines = time.perf_counter(), []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if "%" in line:
                seconds = time.perf_counter() - began
                process.send_signal(signal.SIGTERM)
                process.stderr.read()
                return seconds
            lines.append(line)
    raise RuntimeError(f"the demo ended without a line of progress: {''.join(lines[-3:])}")


def _short_run(workdir: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-m", "experiments.train", "--config=eca:tiny", "--quiet"]
    began = time.perf_counter()
    subprocess.run(
        [*command, f"--workdir={workdir}"], cwd=ROOT, env=environment, check=True,
        capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - began
