"""Compilation of a function of one member for many members and devices.

`jit` over a mesh and `pmap` run the same per-device function and give the same rows. Members are
divided over the devices, or the devices share each batch, whichever should take less time.
"""

import contextlib
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jax.stages import Compiled, Lowered

from epx.types import PyTree, require

AXIS = "device"
PARALLEL = ("jit", "pmap")
# Speed of training over that without, on 2 cores in examples of 128, for one run and two members:
# 1.01 at 1 layer of 16, 1.03 and 1.10 at 3 of 64, 1.03 and 1.02 at 3 of 128, there with 512 tokens
# 1.00 and 1.05. Not taken: xla_cpu_experimental_ynn_fusion_type=dot, 1.06, 1.12, 1.01, but 0.91 and
# 0.94 with 512 tokens.
CPU_OPTIONS = {"xla_cpu_enable_concurrency_optimized_scheduler": False}
# What a device that shares a batch loses by it, as tokens that it could learn instead: 1.2 ms on 2
# cores at 2 layers of 64. Five members as six on two devices, over five that share each batch: 3.7
# times as fast in batches of 96 tokens, 1.4 in 768, 1.0 to 1.1 in 2048, 0.86 in 4096.
SHARING_TOKENS = 250


class Layout(NamedTuple):
    """The division of members and batches over devices.

    Attributes:
      parallel: `jit` or `pmap`.
      devices: the devices in use.
      by_member: whether members are divided over the devices; otherwise these share each batch.
      padding: copies of the last member, whose results are dropped, that make the members divide.
    """

    parallel: str
    devices: tuple[jax.Device, ...]
    by_member: bool
    padding: int = 0

    @property
    def shards(self) -> int:
        """The number of devices that share a batch."""
        return 1 if self.by_member else len(self.devices)

    @property
    def copies(self) -> int:
        """The number of devices that hold each member."""
        return 1 if self.by_member and not self.padding else len(self.devices)

    @property
    def platform(self) -> str:
        """`cpu`, `gpu` or `tpu`."""
        return self.devices[0].platform


def make_layout(
    parallel: str, devices: int | None, members: int, batch: int, length: int
) -> Layout:
    """The layout for a number of members and of examples in a batch.

    Args:
      parallel: `jit` or `pmap`.
      devices: number of visible devices to use; None: as many as should take the least time.
      members: members of the ensemble.
      batch: examples in a step.
      length: tokens of an example.

    Raises:
      ValueError: an unknown `parallel`, more devices than are visible, more than there are members
        where they do not divide the batch, or, of several processes, not all devices.
    """
    visible, count = jax.devices(), jax.process_count()
    accepted = "false: runs are compiled ahead; a code's step alone runs without a compiler"
    require("JAX_DISABLE_JIT", True, not jax.config.jax_disable_jit, accepted)
    require("run.parallel", parallel, parallel in PARALLEL, " or ".join(PARALLEL))
    accepted = f"jit for a run of {count} processes"
    require("run.parallel", parallel, count == 1 or parallel == "jit", accepted)
    legal = devices is None or 1 <= devices <= len(visible)
    require("run.devices", devices, legal, f"1 to {len(visible)}, the visible devices, or none")
    whole = count == 1 or devices in (None, len(visible))
    accepted = f"the {len(visible)} devices of all {count} processes, or none"
    require("run.devices", devices, whole, accepted)
    fixed = len(visible) if count > 1 else devices
    ways = [
        (_step_tokens(n, by_member, members, batch, length), not by_member, n)
        for n in ([fixed] if fixed else range(1, len(visible) + 1))
        for by_member in (True, False)
        if (n <= members if by_member else batch % n == 0)
    ]
    accepted = f"up to {members}, the members, or divisors of run.batch={batch}"
    require("run.devices", fixed, bool(ways), accepted + (", or none" if count == 1 else ""))
    _, shared, n = min(ways)
    return Layout(parallel, tuple(visible[:n]), not shared, 0 if shared else -members % n)


def _step_tokens(devices: int, by_member: bool, members: int, batch: int, length: int) -> float:
    """The time of a step, as tokens that one device learns in it."""
    if by_member:
        return math.ceil(members / devices) * batch * length
    return members * (batch * length / devices + SHARING_TOKENS * (devices > 1))


def largest_divisor(number: int, limit: int) -> int:
    """The largest divisor of a number that is at most `limit` (1 or more)."""
    return max(d for d in range(1, limit + 1) if number % d == 0)


def compile_over(
    layout: Layout, function: Callable, *args: PyTree, donate: bool = False
) -> Callable:
    """Compile a function of one member for arguments with a leading member axis.

    The result takes and returns global arrays with that axis. `donate` reuses the buffers of the
    last argument for the result; that argument must not be used again.
    """
    members = _over_members(function, layout.platform)
    compile_by = _by_pmap if layout.parallel == "pmap" else _by_jit
    return compile_by(layout, members, args, (len(args) - 1,) if donate else ())


def place(layout: Layout, tree: PyTree) -> PyTree:
    """Put arrays with a leading member axis on the devices as `compile_over` needs them."""
    if layout.parallel == "pmap":
        return tree
    sharding = _sharding(layout)
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def spread(leaf):
        # Keys and the like have no numpy form; every process holds the whole array.
        return jax.make_array_from_callback(leaf.shape, sharding, lambda index: leaf[index])

    return jax.tree.map(spread, tree)


def _over_members(function: Callable, platform: str) -> Callable:
    # On a CPU sequential members are 15 to 25 % faster than vmap, because the working set of one
    # member stays in a core's cache. An accelerator needs them in parallel.
    if platform == "cpu":
        return lambda *args: lax.map(lambda member: function(*member), args)
    return jax.vmap(function)


def _sharding(layout: Layout) -> NamedSharding:
    """Of global arrays: what has to be padded first is whole on each device."""
    spec = PartitionSpec(AXIS) if layout.copies == 1 else PartitionSpec()
    return NamedSharding(_mesh(layout), spec)


def _mesh(layout: Layout) -> Mesh:
    shape = (len(layout.devices),)
    return jax.make_mesh(shape, (AXIS,), axis_types=(AxisType.Auto,), devices=layout.devices)


def _padded(layout: Layout, tree: PyTree) -> PyTree:
    """Members with copies of the last one, so that they divide evenly."""

    def pad(leaf):
        return leaf[np.minimum(np.arange(len(leaf) + layout.padding), len(leaf) - 1)]

    return jax.tree.map(pad, tree) if layout.padding else tree


def _cut(layout: Layout, tree: PyTree) -> PyTree:
    """Members without the copies of `_padded`."""
    if not layout.padding:
        return tree
    return jax.tree.map(lambda leaf: leaf[: -layout.padding], tree)


def _compiled(layout: Layout, lowered: Lowered) -> Compiled:
    """The program, with the options of the platform that this version of XLA knows."""
    if layout.platform == "cpu":
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # an option that it does not know
            return lowered.compile(CPU_OPTIONS)
    return lowered.compile()


def _by_jit(layout: Layout, function: Callable, args: tuple, donated: tuple) -> Callable:
    sharding, spec = _sharding(layout), PartitionSpec(AXIS) if layout.by_member else PartitionSpec()
    # Replicated results are sums or gathers over the axis, which the check does not always detect.
    sharded = jax.shard_map(
        function, mesh=sharding.mesh, in_specs=spec, out_specs=spec, check_vma=False
    )
    program = jax.jit(
        lambda *args: _cut(layout, sharded(*_padded(layout, args))),
        in_shardings=sharding, out_shardings=sharding, donate_argnums=donated,
    )  # fmt: skip
    return _compiled(layout, program.lower(*args))


def _by_pmap(layout: Layout, function: Callable, args: tuple, donated: tuple) -> Callable:
    n = len(layout.devices)
    options = dict(axis_name=AXIS, axis_size=n, devices=layout.devices)
    if not layout.by_member:
        # pmap must map at least one argument, here the device's number. Arguments shared by all
        # devices cannot be donated.
        shared = jax.pmap(
            lambda _, args: function(*args), in_axes=(0, None), out_axes=None, **options
        )
        compiled = _compiled(layout, shared.lower(jnp.arange(n), args))
        return lambda *args: compiled(jnp.arange(n), args)

    def split(args):
        return jax.tree.map(
            lambda leaf: leaf.reshape(n, -1, *leaf.shape[1:]), _padded(layout, args)
        )

    def join(tree):
        return _cut(layout, jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree))

    mapped = jax.pmap(function, donate_argnums=donated, **options)
    compiled = _compiled(layout, mapped.lower(*jax.eval_shape(split, args)))
    spread = NamedSharding(_mesh(layout), PartitionSpec(AXIS))
    # Padding leaves every member on all devices.
    return lambda *args: join(compiled(*jax.device_put(split(args), spread)))
