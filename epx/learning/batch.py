"""Which examples a step sees, and how they are divided over devices and microbatches."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from epx.types import PyTree


class Batch(NamedTuple):
    """The examples of a step: a range of indices, divided equally over the devices.

    Attributes:
      size: examples in a step, over all devices.
      microbatch: examples processed at once; divides a device's share of the batch.
      axis: name of the mapped axis that shares the batch, or None.
      shards: devices along that axis.
      decoded: examples sampled in parallel, token by token; divides a device's share.
      examples: train on the first N examples only, cycling through them; None uses all.
      turns: as many equal blocks of these examples are read in turn, an example of each.
    """

    size: int
    microbatch: int
    axis: str | None = None
    shards: int = 1
    decoded: int = 1
    examples: int | None = None
    turns: int = 1

    def unsharded(self) -> "Batch":
        """The same batch, processed completely by every device."""
        return self._replace(axis=None, shards=1)

    def indices(self, generator_size: int | None, step: jax.Array) -> jax.Array:
        """uint32 indices of this device's examples, of shape (parts, microbatch).

        Args:
          generator_size: training examples of the generator, or None where it is endless.
          step: int32, of the run.
        """
        part = self.size // self.shards
        first = step.astype(jnp.uint32) * self.size
        if self.axis is not None:
            first += lax.axis_index(self.axis).astype(jnp.uint32) * part
        index = first + jnp.arange(part, dtype=jnp.uint32)
        if (size := self._pass_size(generator_size)) is not None:
            index %= size
        if self.examples is not None and self.turns > 1:
            index = index % self.turns * (self.examples // self.turns) + index // self.turns
        return index.reshape(-1, self.microbatch)

    def passes(self, generator_size: int | None, step: jax.Array) -> jax.Array:
        """Complete passes over the examples before the last example of a step, int32."""
        if (size := self._pass_size(generator_size)) is None:
            return jnp.int32(0)
        return ((step + 1) * self.size - 1) // size

    def _pass_size(self, generator_size: int | None) -> int | None:
        """Examples in a pass; None where a pass never ends."""
        return generator_size if self.examples is None else self.examples

    def total(self, tree: PyTree) -> PyTree:
        """Sum over the devices that share the batch."""
        return tree if self.axis is None else lax.psum(tree, self.axis)

    def gather(self, tree: PyTree) -> PyTree:
        """Concatenate arrays along their example axis over the devices that share the batch."""
        return tree if self.axis is None else lax.all_gather(tree, self.axis, tiled=True)
