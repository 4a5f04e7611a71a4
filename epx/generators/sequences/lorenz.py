"""Chaotic systems: bits of a random state X and of the state Y some time later.

The flow of Lorenz (arXiv 2601.03220, appendix F), and three maps whose rate of entropy production
is known exactly. An example has the leading bits of the coordinates of X, then those of Y, which
are charged; or Y alone. The coordinates come one after another, each with its highest bit first.

The states are whole numbers of 32 bits, so that an example is the same on every machine. After 20
Lyapunov times the orbit is no longer that of the real X, but still an orbit of the system within
the rounding of a step.

>>> generator = make(jax.random.key(0), system="doubling", bits=4, time=1.0)
>>> generator.spec
Spec(vocab=2, length=8, size=None, version=1, held_out=0, given=4, side=0)
>>> bits = generator.example(jax.random.key(1), 0).tokens_T.tolist()
>>> bits[1:4] == bits[4:7]
True
"""

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators.kernels import maps
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(system="cat", bits=3, time=2.0)

_STATIC = {"static": True}
COORDINATES = {"lorenz": 3, "doubling": 1, "logistic": 1, "cat": 2}
MAX_BITS = 16
MAX_TIME = 1000.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Chaos:
    """The generator made by `make`.

    Attributes:
      steps: int32, of the integration or the map. Members of an ensemble may vary it, except with
        `doubling`, whose examples need as many random bits.
      system, bits, inputs: as in `make`.
      shift: steps of `doubling`; 0 with other systems.
    """

    steps: jax.Array
    system: str = field(metadata=_STATIC)
    bits: int = field(metadata=_STATIC)
    inputs: bool = field(metadata=_STATIC)
    shift: int = field(metadata=_STATIC)

    @property
    def _state_bits(self) -> int:
        return COORDINATES[self.system] * self.bits

    @property
    def spec(self) -> Spec:
        """Endless; tokens are bits."""
        given = self._state_bits if self.inputs else 0
        return Spec(2, given + self._state_bits, size=None, version=VERSION, given=given)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The bits of the state drawn with `key` and of the later one; `index` is not used."""
        if self.system == "doubling":
            # Every step shifts the bits by one.
            drawn = jax.random.bits(key, (self.shift + self.bits,), jnp.uint32)
            bits = (drawn >> 31).astype(jnp.int32)
            first, later = bits[: self.bits], bits[self.shift :]
        else:
            state = self._start(jax.random.bits(key, (COORDINATES[self.system],), jnp.uint32))
            first, later = self._leading(state), self._leading(self._evolve(state))
        tokens_T = jnp.concatenate([first, later]) if self.inputs else later
        return Example(tokens_T, jnp.arange(len(tokens_T)) >= self.spec.given)

    def oracle_nats(self, example: Example) -> jax.Array | None:
        """Nats per token, float32 of shape T; None where the law of Y has no closed form.

        The doubling and the cat map keep the uniform law: without X every bit of Y costs ln 2. With
        X, a shift of t steps leaves the last min(t, `bits`) bits of Y unknown.
        """
        price_T = jnp.where(example.coded_T, math.log(2), 0.0).astype(jnp.float32)
        if self.system == "doubling" and self.inputs:
            known = max(self.bits - self.shift, 0)
            return jnp.where(jnp.arange(self.spec.length) < self.bits + known, 0.0, price_T)
        return price_T if self.system in ("doubling", "cat") and not self.inputs else None

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """Bits as digits, every coordinate on a line of its own."""
        digits = [str(bit) for bit in np.asarray(tokens_T).tolist()]
        for last in range(self.bits - 1, len(digits), self.bits):
            digits[last] += "\n"
        return digits

    def _start(self, uniform: jax.Array) -> jax.Array:
        """The state X from uniform words: uint32 fractions of the ranges of its coordinates."""
        if self.system != "lorenz":
            return uniform
        # Uniform in [-20, 20] x [-20, 20] x [0, 40], of the ranges [-32, 32] and [0, 64].
        return (uniform >> 3) * jnp.uint32(5) + jnp.array([12, 12, 0], jnp.uint32) * 2**26

    def _evolve(self, state: jax.Array) -> jax.Array:
        """The state Y from the state X, in the same fractions."""
        if self.system == "cat":
            return maps.cat(state, self.steps)
        if self.system == "logistic":
            return maps.logistic(state, self.steps)
        origin = jnp.array([-32, -32, 0], jnp.int32) * maps.UNIT
        later = maps.lorenz((state >> 2).astype(jnp.int32) + origin, self.steps) - origin
        return jnp.clip(later, 0, 64 * maps.UNIT - 1).astype(jnp.uint32) << 2

    def _leading(self, state: jax.Array) -> jax.Array:
        """The leading bits of every coordinate, highest first."""
        shifts = jnp.arange(31, 31 - self.bits, -1, dtype=jnp.uint32)
        return (state[:, None] >> shifts & 1).astype(jnp.int32).reshape(-1)


def make(
    key: jax.Array,
    system: str = "lorenz",
    bits: int = 10,
    time: float = 30.0,
    inputs: bool = True,
) -> Chaos:
    """A chaotic system in a random state, and later.

    Args:
      key: not used; nothing is drawn once for all examples.
      system: `lorenz` (x and y from -32 to 32 and z from 0 to 64; X is uniform in [-20, 20] x
        [-20, 20] x [0, 40]), `doubling` (x -> 2x mod 1), `logistic` (x -> 4x (1 - x)) or `cat`
        ((x, y) -> (2x + y, x + y) mod 1); X of a map is uniform.
      bits: leading bits of a coordinate, 1 to 16.
      time: from X to Y, at most 1000: Lyapunov times of the flow, or steps of a map, whole.
      inputs: whether X comes before Y.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require("generator.system", system, system in COORDINATES, ", ".join(COORDINATES))
    require_whole("generator.bits", bits, 1, MAX_BITS, "orbits have 26 to 32 bits")
    legal = 0 < time <= MAX_TIME
    require("generator.time", time, legal, f"above 0, to {MAX_TIME:g}: steps are made in order")
    whole = system == "lorenz" or time == int(time)
    require("generator.time", time, whole, f"whole numbers of 1 to {MAX_TIME:g} steps of a map")
    steps = int(time)
    if system == "lorenz":
        steps = max(1, round(time / maps.LORENZ_RATE_NATS * maps.STEPS_PER_TIME))
    shift = steps if system == "doubling" else 0
    return Chaos(jnp.int32(steps), system, bits, bool(inputs), shift)
