"""Every random key and every index. A stream is a function of a seed and a name, an example's key
of the stream and the example's index: x_i = generator.example(fold_in(stream, i), i). Tokens are
therefore the same for any batch size, chunk length or device count, and a resumed run needs no
saved key.

The streams: `init` (an observer's parameters), `world` (what `make` draws), `train`, `eval`,
`teacher` (what a teacher draws for its student), `proposals` (of its messages) and `sample` (what a
trained observer generates).
"""

import zlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from epx.types import PyTree


def stream(seed: int | jax.Array, name: str) -> jax.Array:
    """The key of the stream called `name`; `seed` (uint32) may be traced."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def example_key(stream_key: jax.Array, index: jax.Array) -> jax.Array:
    """The key of the example with this index (uint32 or int32 scalar)."""
    return jax.random.fold_in(stream_key, index)


def windows(key: jax.Array, training: int, held_out: int) -> jax.Array:
    """The order in which a finite world gives its examples, int32 of shape (training + held_out,):
    a permutation of the first `training` drawn from the key, then one of the others, the same under
    every key, so that all measure on the same and the first few are no one document."""
    heldout = jax.random.permutation(jax.random.key(0), held_out) + training
    order_N = jnp.concatenate([jax.random.permutation(key, training), heldout])
    return order_N.astype(jnp.int32)


class Batch(NamedTuple):
    """Which examples a step sees, and how they are cut. A batch is a range of indices; where an
    `axis` is named, the devices along it take equal parts of it in order.

    Attributes:
      size: examples in a step, over all devices.
      microbatch: examples that are processed at once; divides the part of a device.
      axis: name of the mapped axis that shares the batch, or None.
      shards: devices along that axis.
      decoded: examples that are sampled side by side, token by token; divides the part of a device.
      examples: the first so many of the world are seen over and over; None for all.
    """

    size: int
    microbatch: int
    axis: str | None = None
    shards: int = 1
    decoded: int = 1
    examples: int | None = None

    def whole(self) -> "Batch":
        """The same batch, processed entirely by every device."""
        return self._replace(axis=None, shards=1)

    def indices(self, world_size: int | None, step: jax.Array) -> jax.Array:
        """uint32 indices of this device's examples, of shape (parts, microbatch)."""
        mine = self.size // self.shards
        first = step.astype(jnp.uint32) * self.size
        if self.axis is not None:
            first += lax.axis_index(self.axis).astype(jnp.uint32) * mine
        index = first + jnp.arange(mine, dtype=jnp.uint32)
        if (size := self._pass(world_size)) is not None:
            index %= size
        return index.reshape(-1, self.microbatch)

    def passes(self, world_size: int | None, step: jax.Array) -> jax.Array:
        """int32: complete passes over the world before the step's last example."""
        if (size := self._pass(world_size)) is None:
            return jnp.int32(0)
        return ((step + 1) * self.size - 1) // size

    def _pass(self, world_size: int | None) -> int | None:
        """Examples in a pass; None where it never ends."""
        return world_size if self.examples is None else self.examples

    def total(self, tree: PyTree) -> PyTree:
        """Sums over the devices that share the batch."""
        return tree if self.axis is None else lax.psum(tree, self.axis)

    def gather(self, tree: PyTree) -> PyTree:
        """Arrays with a leading example axis, joined over the devices that share the batch."""
        return tree if self.axis is None else lax.all_gather(tree, self.axis, tiled=True)
