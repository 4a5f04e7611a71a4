"""Forecast of the memory that a run needs, before anything is compiled."""

import math
import os
from pathlib import Path
from typing import Any

import jax

from epx.types import PyTree, State

# Limit of a container, in bytes.
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
# Arrays of the size of a microbatch's logits in a step: logits, their log-softmax, its gradient.
_LOGIT_COPIES = 3


def tree_bytes(tree: PyTree) -> int:
    """Bytes of the arrays of a pytree, concrete or abstract."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")]
    return sum(math.prod(leaf.shape) * getattr(leaf.dtype, "itemsize", 4) for leaf in leaves)


def forecast_bytes(
    generator: PyTree, state: State, members: int, shards: int, logits: int, rows: int
) -> int:
    """Bytes that a run needs at least, over all its devices.

    Args:
      generator: of all members, stacked.
      state: abstract, of one member.
      members: number of members of the ensemble.
      shards: number of devices that hold each member.
      logits: elements of the logits of a microbatch.
      rows: numbers in the rows of a chunk of one member.
    """
    gradient = tree_bytes(state.learner.params) if state.learner.opt else 0
    member = tree_bytes(state) + gradient + 4 * rows
    return shards * (tree_bytes(generator) + members * member + 4 * _LOGIT_COPIES * logits)


def available_bytes(devices: tuple[Any, ...]) -> int | None:
    """Memory of these devices in bytes; None if they do not report it."""
    if devices[0].platform == "cpu":
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
        if _CGROUP_LIMIT.exists() and (text := _CGROUP_LIMIT.read_text().strip()).isdigit():
            limits.append(int(text))
        return min(limits)
    stats = [device.memory_stats() or {} for device in devices]
    if not all("bytes_limit" in stat for stat in stats):
        return None
    return sum(stat["bytes_limit"] for stat in stats)
