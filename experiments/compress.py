"""Compress a file by the prequential code, or decompress it.

    python -m experiments.compress --config=compress --input=FILE --output=FILE.epx
    python -m experiments.compress --config=compress --decompress --input=FILE.epx --output=FILE
    python -m experiments.compress --config=eca:tiny --examples=512

Both sides train the same model on the same bytes, so the file contains no model. It can be read on
a CPU with the same config and versions of JAX; anything else is refused. With --examples the first
examples of a generator are encoded and decoded instead of a file; both sides know their uncoded
tokens. Prints the trainer's charge, the bits sent, and the sizes under gzip, xz and zstd.
"""

import importlib.metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from epx import files
from epx.analysis import compressors
from epx.analysis.measurement import LN2
from epx.coders import arithmetic, container
from epx.learning.learner import training_examples
from epx.run import provenance
from epx.run.setup import Setup, assemble
from epx.types import Example, Spec, require
from experiments.cli import app, host, progress, running

FLAGS = flags.FLAGS
flags.DEFINE_string("config", None, "config file, or the name of a shipped one, and its size")
flags.DEFINE_string("input", None, "file to read")
flags.DEFINE_string("output", None, "file to write")
flags.DEFINE_bool("decompress", False, "decompress instead")
flags.DEFINE_integer("examples", None, "examples of the generator, instead of a file", 1, 2**24)
flags.DEFINE_bool("quiet", False, "no progress")

BYTES = 256


def main(config: dict[str, Any]) -> int:
    """Write the output, or exit with one line; return the exit code."""
    if FLAGS.examples:
        given = [name for name in ("input", "output", "decompress") if FLAGS[name].present]
        if given:
            app.fail(f"--{given[0]}: with --examples no file is read or written", 2)
    else:
        content, output = _files()
    running.prepare_host()
    if jax.default_backend() != "cpu":
        app.fail("only a CPU computes the same bits twice; set JAX_PLATFORMS=cpu", 2)
    with app.config_errors():
        setup = assemble(config | {"run": config["run"] | {"seeds": 1, "devices": 1}})
        name, spec = config["code"]["name"], setup.spec
        require("code.name", name, name == "prequential", "prequential, the code that is sent")
        (_check_count if FLAGS.examples else _check_bytes)(spec)
        arithmetic.package()
    if FLAGS.examples:
        return _send_examples(setup)
    try:
        identity = _identity(setup)
        if FLAGS.decompress:
            sent = container.unpack(content, identity)
            _write(output, container.verified(_decompressed(_prepared(setup), sent), sent))
        else:
            payload = _compressed(_prepared(setup), content)
            _write(output, container.pack(content, payload, identity))
    except container.ContainerError as error:
        app.fail(f"{FLAGS.input}: {error}", 1)
    except (ValueError, OSError) as error:
        app.fail(str(error), 1)
    return 0


def _files() -> tuple[bytes, Path]:
    """The content of the input, and the path of the output, which is not there yet."""
    if not FLAGS.input or not FLAGS.output:
        app.fail("--input and --output are needed: which file to read, and which to write", 2)
    with app.config_errors():
        output = files.output("--output", FLAGS.output, new=True)
        return files.read("--input", FLAGS.input, "a file"), output


def _check_bytes(spec: Spec) -> None:
    accepted = "for files a vocabulary of 256 and no given tokens, as in configs/compress.py"
    require("generator", (spec.vocab, spec.given), (spec.vocab, spec.given) == (BYTES, 0), accepted)


def _check_count(spec: Spec) -> None:
    legal = spec.size is None or FLAGS.examples <= spec.size
    require("--examples", FLAGS.examples, legal, f"1 to {spec.size}, the examples of the generator")


def _identity(setup: Setup) -> container.Identity:
    environment = provenance.environment(setup.layout, setup.batch) | {
        "constriction": importlib.metadata.version("constriction"),
        "host_devices": jax.device_count(),
        "instructions": host.instructions(),
        "programs": _program_digests(setup),
    }
    return container.identity(setup.config, environment)


def _program_digests(setup: Setup) -> list[str]:
    """Digests of the programs of the observer's prediction and of its training."""
    generator, hyper = setup.member(0)
    state = jax.eval_shape(setup.init, generator, hyper)
    prediction = provenance.digest_observer(setup.observer, setup.spec)
    return [prediction, provenance.digest_function(setup.code.step, generator, hyper, state)]


def _prepared(setup: Setup) -> arithmetic.CompiledCoder:
    with app.config_errors():
        generator, hyper = setup.member(0)
        charged, law = setup.config["code"]["charged"], setup.known(generator)
        arguments = setup.observer, hyper, setup.spec, setup.batch, charged, law
        return arithmetic.prepare(*arguments)


def _compressed(coder: arithmetic.CompiledCoder, content: bytes) -> bytes:
    tokens_N = np.frombuffer(content, np.uint8).astype(np.int32)
    examples = _examples(tokens_N, coder.spec.length)
    payload, nats = _encoded(coder, examples)
    file = {"file": 8.0 * (len(payload) + container.SIZE)}
    _print({"ledger": nats / LN2, "sent": 8.0 * len(payload)} | file, tokens_N, BYTES, "byte")
    return payload


def _decompressed(coder: arithmetic.CompiledCoder, sent: container.Payload) -> bytes:
    shared = _examples(np.zeros(sent.size, np.int32), coder.spec.length)
    return _decoded(coder, sent.payload, shared)[shared.coded_T].astype(np.uint8).tobytes()


def _examples(content_N: np.ndarray, length: int) -> Example:
    """Bytes cut into examples, the last one padded with uncoded tokens."""
    count = -(-len(content_N) // length)
    tokens_N, coded_N = np.zeros(count * length, np.int32), np.zeros(count * length, bool)
    tokens_N[: len(content_N)], coded_N[: len(content_N)] = content_N, True
    return Example(tokens_N.reshape(-1, length), coded_N.reshape(-1, length))


def _send_examples(setup: Setup) -> int:
    """Encode and decode the first examples of the generator; return the exit code."""
    generator, hyper = setup.member(0)
    index_N = jnp.arange(FLAGS.examples, dtype=jnp.uint32)
    examples = jax.device_get(jax.jit(training_examples)(generator, hyper, index_N))
    coder = _prepared(setup)
    try:
        sent, nats = _encoded(coder, examples)
        decoded = _decoded(coder, sent, examples)
    except ValueError as error:
        app.fail(str(error), 1)
    if not np.array_equal(decoded, examples.tokens_T):
        app.fail("the decoder computed other tokens", 1)
    sizes = {"ledger": nats / LN2, "sent": 8.0 * len(sent)}
    _print(sizes, examples.tokens_T[examples.coded_T], setup.spec.vocab, "token")
    print(f"the decoder recovered all {examples.coded_T.sum()} coded tokens")
    return 0


def _encoded(coder: arithmetic.CompiledCoder, examples: Example) -> tuple[bytes, float]:
    with progress.display("encode", FLAGS.quiet) as show:
        return arithmetic.encode(coder, examples, _counted(show, examples))


def _decoded(coder: arithmetic.CompiledCoder, sent: bytes, shared: Example) -> np.ndarray:
    with progress.display("decode", FLAGS.quiet) as show:
        return arithmetic.decode(coder, sent, shared, _counted(show, shared))


def _counted(show: progress.Show, examples: Example):
    count = len(examples.tokens_T)
    return lambda done: show(done / count, f"{done} of {count} examples")


def _print(sizes: dict[str, float], tokens_N: np.ndarray, vocab: int, unit: str) -> None:
    """Print these sizes in bits, and those of the same tokens under compressors."""
    available = compressors.available()
    if "zstd" not in available:
        app.say("no zstd in the table: pip install zstandard")
    sizes |= compressors.compressed_bits(tokens_N, vocab, available)
    for name, bits in sizes.items():
        per_token = f"{bits / len(tokens_N):8.4f} bit/{unit}" if len(tokens_N) else ""
        print(f"{name.removesuffix('_bits'):8}{bits:14.0f} bit {per_token}")


def _write(path: Path, content: bytes) -> None:
    """Write the output atomically."""
    with files.replacing(path) as handle:
        handle.write(content)


if __name__ == "__main__":
    app.launch(main, __doc__, takes_config=True)
