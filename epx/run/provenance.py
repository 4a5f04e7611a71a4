"""What a record says of its run beside the config, so that a run is not continued as another."""

import dataclasses
import hashlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import epx
from epx.learning import flops
from epx.run.devices import Layout
from epx.run.plan import Setup
from epx.streams import Batch
from epx.types import Generator, Observer, PyTree, Spec


def facts(setup: Setup, generator: Generator) -> dict[str, Any]:
    """Static facts that the ledger needs and that may not change under way; `generator` is the
    stacked one, whose arrays (a corpus, say) are part of what is measured."""
    first, learner = setup.generators[0], setup.observer
    spec = first.spec
    source_bytes = getattr(first, "bytes_per_token", None)  # of a world that is cut from a source
    source = {} if source_bytes is None else {"source_bytes_per_tok": float(source_bytes)}
    return dataclasses.asdict(spec) | {
        **source,
        "parameters": flops.parameters(learner),
        "forward_flops": float(learner.flops(spec.length)[0]),
        "learns_by_gradient": learner.update is None,
        "world_sha256": _digest(jax.tree.leaves(generator)),
    }


def environment(spread: Layout, batch: Batch) -> dict[str, Any]:
    """What bit equality depends on: versions, devices, flags and the order of additions."""
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    options = (
        "jax_enable_x64",
        "jax_default_matmul_precision",
        "jax_default_prng_impl",
        "jax_threefry_partitionable",
    )
    return {
        "versions": {name: importlib.metadata.version(name) for name in packages}
        | {"epx": epx.__version__, "python": platform.python_version()},
        "device": spread.devices[0].device_kind,
        "devices": len(spread.devices),
        "machine": platform.machine(),
        "parallel": spread.parallel,
        "microbatch": batch.microbatch,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "jax_options": {name: getattr(jax.config, name) for name in options},
    }


def observer(learner: Observer, spec: Spec) -> str:
    """Digest of what an observer computes for examples of a world."""
    tokens_BxT = np.zeros((1, spec.length), np.int32)
    return function(
        lambda key: learner.logits(learner.init(key), tokens_BxT, None), jax.random.key(0)
    )


def function(pure: Callable, *args: PyTree) -> str:
    """Digest of a pure function: its program, and the arrays it closes over."""
    jaxpr = jax.make_jaxpr(pure)(*args)
    program = re.sub(r"0x[0-9a-f]+", "", str(jaxpr))  # addresses differ between processes
    return _digest([np.frombuffer(program.encode(), np.uint8), *jaxpr.consts])


def _digest(leaves: list) -> str:
    sha256 = hashlib.sha256()
    for leaf in map(np.asarray, leaves):
        sha256.update(f"{leaf.dtype} {leaf.shape}".encode() + leaf.tobytes())
    return sha256.hexdigest()
