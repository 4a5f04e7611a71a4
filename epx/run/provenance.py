"""Static facts and environment stored with the config; a resumed run must match them."""

import dataclasses
import importlib.metadata
import os
import platform
import re
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import epx
from epx import files
from epx.learning import flops
from epx.learning.batch import Batch
from epx.run.devices import Layout
from epx.run.setup import Setup
from epx.types import Observer, PyTree, Spec

START_FACTS = ("start_step", "start_sha256")


def static_facts(setup: Setup) -> dict[str, Any]:
    """Static facts that the ledger needs and that must not change during a run.

    They include a digest of the generators' arrays, such as a corpus.
    """
    generator, _ = setup.member(0)
    bytes_per_token = getattr(generator, "bytes_per_token", None)
    source = {} if bytes_per_token is None else {"source_bytes_per_tok": float(bytes_per_token)}
    learned = setup.observer.learned
    adapted = {} if learned is None else {"learned_parameters": learned}
    return dataclasses.asdict(setup.spec) | {
        **source,
        **adapted,
        **setup.facts,
        "parameters": flops.parameters(setup.observer),
        "forward_flops": float(setup.observer.flops(setup.spec.length)[0]),
        "learns_by_gradient": setup.observer.update is None,
        "generator_sha256": files.digest(jax.tree.leaves(setup.generator), shapes=True),
    }


def environment(layout: Layout, batch: Batch) -> dict[str, Any]:
    """The environment on which bit equality depends: versions, devices, flags, microbatch."""
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
        "device": layout.devices[0].device_kind,
        "devices": len(layout.devices),
        "by_member": layout.by_member,
        "machine": platform.machine(),
        "parallel": layout.parallel,
        "microbatch": batch.microbatch,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "jax_options": {name: getattr(jax.config, name) for name in options}
        | {"jax_disable_most_optimizations": jax.config.read("jax_disable_most_optimizations")},
    }


def digest_observer(observer: Observer, spec: Spec) -> str:
    """Digest of the logits program of an observer for examples of a generator."""
    tokens_BxT = np.zeros((1, spec.length), np.int32)
    side_BxTxR = np.zeros((1, spec.length, spec.side), np.float32) if spec.side else None
    return digest_function(
        lambda key: observer.logits(observer.init(key), tokens_BxT, side_BxTxR), jax.random.key(0)
    )


def digest_function(pure: Callable, *args: PyTree) -> str:
    """Digest of a pure function: its jaxpr, and the arrays it closes over."""
    jaxpr = jax.make_jaxpr(pure)(*args)
    program = re.sub(r"0x[0-9a-f]+", "", str(jaxpr))  # addresses differ between processes
    return files.digest([np.frombuffer(program.encode(), np.uint8), *jaxpr.consts], shapes=True)
