"""Sections of the bench about what comes before training: how fast worlds make their examples, and
how soon the demo speaks. Each yields rows, a name and numbers with their units."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import lax

from epx import ciphers, evaluation, sweeps
from epx.devices import Layout, compile_over, layout, place
from epx.generators import eca, life
from epx.plan import stack
from experiments import cli, stopwatch
from experiments.bench_pieces import unpacked_eca
from experiments.bench_training import Rows

RULE = 30


def worlds(examples: int = 256) -> Rows:
    """Examples of every shipped config, as a member of an ensemble draws them on each device."""
    devices, peak = len(jax.devices()), stopwatch.Peak()
    spread = layout("jit", devices, members=devices, batch=devices)
    for name in cli.shipped():
        try:
            setup = sweeps.assemble(
                cli.load(f"{name}:cpu", {}), sweeps.vary("run.seed", range(devices))
            )
        except ValueError as error:  # a package that this world needs
            cli.say(f"bench: {name} is left out: {error}")
            continue

        def draw(generator, hyper):
            index_B = jnp.arange(examples, dtype=jnp.uint32)
            return evaluation.heldout(generator, hyper, index_B).tokens_T

        members = place(spread, (stack(setup.generators), stack(setup.hypers)))
        program = compile_over(spread, draw, *members)
        found = stopwatch.timed(partial(program, *members), peak, repeats=7)
        made, length = devices * examples, setup.generators[0].spec.length
        yield (
            f"{name}:cpu",
            {
                "tokens_per_s": made * length / found.seconds,
                "examples_per_s": made / found.seconds,
            },
        )


def kernels() -> Rows:
    """The inner loops of the automata, beside one cell to a word, and of the fastest cipher."""
    devices, peak = len(jax.devices()), stopwatch.Peak()
    spread = layout("jit", devices, members=devices, batch=devices)
    rings = jax.random.bernoulli(jax.random.key(0), 0.5, (devices, 4096 // devices, 64))
    boards = jax.random.bernoulli(jax.random.key(0), 0.5, (devices, 4096 // devices, 16, 16))
    large = jax.random.bernoulli(jax.random.key(0), 0.5, (1, 1, 2048, 2048))
    alone = layout("jit", 1, members=1, batch=1)
    for name, where, cells, packed, unpacked, generations in (
        ("ECA, 4096 rings of 64", spread, rings, _eca(eca.evolve), _eca(unpacked_eca), 2000),
        ("Life, 4096 boards of 16 x 16", spread, boards, life.evolve, unpacked_life, 1000),
        ("Life, a board of 2048 x 2048", alone, large, life.evolve, unpacked_life, 500),
    ):
        done = cells.size * generations
        fast, plain = (
            done / _seconds(where, evolve, cells.astype(jnp.int32), generations, peak) / 1e9
            for evolve in (packed, unpacked)
        )
        yield name, {"gigacells_per_s": fast, "times_unpacked": fast / plain}
    blocks, tile = 65536, 4096
    keys = jax.random.bits(jax.random.key(0), (devices, 8), jnp.uint32)

    def stream(key_8):
        def part(counter):
            counters = counter + jnp.arange(tile, dtype=jnp.uint32)
            nonce = jnp.zeros(3, jnp.uint32)
            return jax.vmap(lambda n: ciphers.chacha_block(key_8, n, nonce))(counters)

        return lax.map(part, tile * jnp.arange(blocks // tile, dtype=jnp.uint32))

    program = compile_over(spread, stream, keys)
    keys = place(spread, keys)
    found = stopwatch.timed(partial(program, keys), peak, repeats=7)
    yield "ChaCha20", {"megabytes_per_s": devices * blocks * 64 / found.seconds / 1e6}


def unpacked_life(board_HxW: jax.Array, steps: int) -> jax.Array:
    """`life.evolve`, one cell to a word."""

    def step(_, board_HxW):
        rows_HxW = board_HxW + jnp.roll(board_HxW, 1, 1) + jnp.roll(board_HxW, -1, 1)
        block_HxW = rows_HxW + jnp.roll(rows_HxW, 1, 0) + jnp.roll(rows_HxW, -1, 0)
        return ((block_HxW == 3) | ((block_HxW == 4) & (board_HxW == 1))).astype(board_HxW.dtype)

    return lax.fori_loop(0, steps, step, board_HxW)


def _eca(evolve: Callable) -> Callable:
    return lambda ring_W, steps: evolve(ring_W, RULE, steps)


def _seconds(
    where: Layout, evolve: Callable, cells: jax.Array, generations: int, peak: stopwatch.Peak
) -> float:
    """Of so many generations of all rings or boards of each device."""
    program = compile_over(where, jax.vmap(lambda cells: evolve(cells, generations)), cells)
    cells = place(where, cells)
    return stopwatch.timed(partial(program, cells), peak).seconds


def starting() -> Rows:
    """Seconds until the demo's first line of progress, and until its first steps are trained, with
    nothing compiled before and once more."""
    with tempfile.TemporaryDirectory() as scratch:
        for kind in ("cold", "warm"):
            yield f"{kind} cache", {"first_line_seconds": _first_line(Path(scratch), kind)}


def _first_line(scratch: Path, kind: str) -> float:
    command = [sys.executable, "-m", "experiments.demo", f"--workdir={scratch / kind}"]
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"EPX_CACHE": str(scratch / "cache")},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            next(line for line in process.stderr if "%" in line)
            return time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
