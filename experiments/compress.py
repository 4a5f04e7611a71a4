"""Compresses a file by learning from it, and gets it back: the prequential code, really sent.

    python -m experiments.compress --config=compress --input=FILE --output=FILE.epx
    python -m experiments.compress --config=compress --decompress --input=FILE.epx --output=FILE
    python -m experiments.compress --config=eca:tiny --examples=512

Both sides learn the same model from the same bytes as they go, so nothing of it is in the file. It
can be read again on a CPU with the same config and versions of JAX; anything else is refused. With
--examples it is no file but the first examples of a world that go there and back, their uncoded
tokens known to both sides. Printed are what the trainer charges, what was sent, gzip, xz and zstd.
"""

import importlib.metadata
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from epx.analysis import compressors
from epx.analysis.measurement import LN2
from epx.coders import arithmetic, container
from epx.learning import learner
from epx.run import provenance
from epx.run.plan import Setup
from epx.learning.batch import Batch
from epx.sweeps import grid
from epx.types import Example, Spec, require
from experiments.cli import app, cores, host, progress

FLAGS = flags.FLAGS
flags.DEFINE_string("config", None, "config file, or the name of a shipped one, and its size")
flags.DEFINE_string("input", None, "file to read")
flags.DEFINE_string("output", None, "file to write")
flags.DEFINE_bool("decompress", False, "the other way round")
flags.DEFINE_integer("examples", None, "examples of the config's world, in place of a file", 1)
flags.DEFINE_bool("quiet", False, "no progress")

BYTES = 256


def main(config: dict[str, Any]) -> int:
    """Writes the output, or says in one line why not; returns the exit code."""
    if FLAGS.examples:
        given = [name for name in ("input", "output", "decompress") if FLAGS[name].present]
        if given:
            app.fail(f"--{given[0]}: with --examples no file is read or written", 2)
    else:
        _check_files()
    host.prepare()
    if jax.default_backend() != "cpu":
        app.fail("only a CPU gives the same bits again; set JAX_PLATFORMS=cpu", 2)
    with app.config_errors():
        setup = grid.assemble(config | {"run": config["run"] | {"seeds": 1, "devices": 1}})
        name, spec = config["code"]["name"], setup.generators[0].spec
        require("code.name", name, name == "prequential", "prequential, which is what is sent")
        batch = setup.plan.cut(setup.plan.layout(1), spec.length)
        (_check_count if FLAGS.examples else _check_bytes)(spec)
        arithmetic.package()
    if FLAGS.examples:
        return _world(setup, batch)
    try:
        read, identity = Path(FLAGS.input).read_bytes(), _identity(setup, batch)
        if FLAGS.decompress:
            sent = container.unpack(read, identity)
            _write(container.verified(_decompressed(_prepared(setup, batch), sent), sent))
        else:
            payload = _compressed(_prepared(setup, batch), read)
            _write(container.pack(read, payload, identity))
    except container.EnvelopeError as error:
        app.fail(f"{FLAGS.input}: {error}", 1)
    except (ValueError, OSError) as error:
        app.fail(str(error), 1)
    return 0


def _check_files() -> None:
    if not FLAGS.input or not FLAGS.output:
        app.fail("--input and --output are needed: which file to read, and which to write", 2)
    if Path(FLAGS.output).exists():
        app.fail(f"--output={FLAGS.output}: it exists; name another or remove it", 2)
    if not Path(FLAGS.output).resolve().parent.is_dir():
        app.fail(f"--output={FLAGS.output}: no such folder", 2)


def _check_bytes(spec: Spec) -> None:
    if spec.vocab != BYTES or spec.given:
        raise ValueError(
            f"generator: {spec.vocab} tokens, {spec.given} of an example given: accepted for files "
            "are examples of 256 tokens with none given, as in configs/compress.py"
        )


def _check_count(spec: Spec) -> None:
    if spec.size is not None and FLAGS.examples > spec.size:
        raise ValueError(f"--examples={FLAGS.examples}: accepted are 1 to {spec.size} here")


def _identity(setup: Setup, batch: Batch) -> container.Identity:
    environment = provenance.environment(setup.plan.layout(1), batch) | {
        "constriction": importlib.metadata.version("constriction"),
        "host_devices": jax.device_count(),
        "instructions": cores.instructions(),
        "programs": _programs(setup, batch),
    }
    return container.identity(setup.config, environment)


def _programs(setup: Setup, batch: Batch) -> list[str]:
    """Digests of what the observer computes and of how it learns, whatever its source is called."""
    generator, hyper = setup.generators[0], setup.hypers[0]
    code = setup.code(setup.observer, batch)
    state = jax.eval_shape(code.init, hyper)
    predicts = provenance.observer(setup.observer, generator.spec)
    return [predicts, provenance.function(code.step, generator, hyper, state)]


def _prepared(setup: Setup, batch: Batch, side: Any = None) -> arithmetic.Programs:
    with app.config_errors():
        spec = setup.generators[0].spec
        return arithmetic.prepare(setup.observer, setup.hypers[0], spec, batch, side)


def _compressed(programs: arithmetic.Programs, content: bytes) -> bytes:
    tokens_N = np.frombuffer(content, np.uint8).astype(np.int32)
    examples = _examples(tokens_N, programs.spec.length)
    payload, nats = _encoded(programs, examples)
    file = {"file": 8.0 * (len(payload) + container.SIZE)}
    _print({"ledger": nats / LN2, "sent": 8.0 * len(payload)} | file, tokens_N, BYTES, "byte")
    return payload


def _decompressed(programs: arithmetic.Programs, sent: container.Sent) -> bytes:
    shared = _examples(np.zeros(sent.size, np.int32), programs.spec.length)
    return _decoded(programs, sent.payload, shared)[shared.coded_T].astype(np.uint8).tobytes()


def _examples(content_N: np.ndarray, length: int) -> Example:
    """Bytes cut into examples, the last one filled up; its filling is not coded."""
    count = -(-len(content_N) // length)
    tokens_N, coded_N = np.zeros(count * length, np.int32), np.zeros(count * length, bool)
    tokens_N[: len(content_N)], coded_N[: len(content_N)] = content_N, True
    return Example(tokens_N.reshape(-1, length), coded_N.reshape(-1, length))


def _world(setup: Setup, batch: Batch) -> int:
    """The first examples of the world there and back."""
    generator, hyper = setup.generators[0], setup.hypers[0]
    index_N = jnp.arange(FLAGS.examples, dtype=jnp.uint32)
    examples = jax.device_get(jax.jit(learner.examples)(generator, hyper, index_N))
    side = jax.tree.map(lambda leaf: leaf[0], examples.side)
    programs = _prepared(setup, batch, side)
    try:
        sent, nats = _encoded(programs, examples)
        found = _decoded(programs, sent, examples)
    except ValueError as error:
        app.fail(str(error), 1)
    if not np.array_equal(found, examples.tokens_T):
        app.fail("the decoder found other tokens", 1)
    sizes = {"ledger": nats / LN2, "sent": 8.0 * len(sent)}
    _print(sizes, examples.tokens_T[examples.coded_T], generator.spec.vocab, "token")
    print(f"the decoder, which saw no coded token, found all {examples.coded_T.sum()} of them")
    return 0


def _encoded(programs: arithmetic.Programs, examples: Example) -> tuple[bytes, float]:
    with progress.display("encode", FLAGS.quiet) as show:
        return arithmetic.encode(programs, examples, _counted(show, examples))


def _decoded(programs: arithmetic.Programs, sent: bytes, shared: Example) -> np.ndarray:
    with progress.display("decode", FLAGS.quiet) as show:
        return arithmetic.decode(programs, sent, shared, _counted(show, shared))


def _counted(show: progress.Show, examples: Example):
    count = len(examples.tokens_T)
    return lambda done: show(done / count, f"{done} of {count} examples")


def _print(sizes: dict[str, float], tokens_N: np.ndarray, vocab: int, unit: str) -> None:
    """The table: these sizes in bits, and what compressors make of the same tokens."""
    known = dict(compressors.COMPRESSORS)
    if importlib.util.find_spec("zstandard"):
        known["zstd"] = _zstd
    else:
        app.say("no zstd in the table: pip install zstandard")
    sizes |= compressors.compressed_bits(tokens_N, vocab, known)
    for name, bits in sizes.items():
        per_token = f"{bits / len(tokens_N):8.4f} bit/{unit}" if len(tokens_N) else ""
        print(f"{name.removesuffix('_bits'):8}{bits:14.0f} bit {per_token}")


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=19).compress(data)


def _write(content: bytes) -> None:
    """All of the output or nothing."""
    folder = Path(FLAGS.output).resolve().parent
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        whole = Path(scratch) / "whole"
        whole.write_bytes(content)
        os.replace(whole, FLAGS.output)


if __name__ == "__main__":
    app.launch(main, __doc__, takes_config=True)
