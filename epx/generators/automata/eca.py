"""Elementary cellular automata on a ring: random cells X and the following states.

Wolfram's convention: the new cell is bit (4*left + 2*centre + right) of the rule, and a state is
written cell 0 first. One example holds X and then the states after D, 2D, ..., `steps` steps,
D = steps / loops, or the same states backwards in time (a one-way function). Hidden cells of X
leave bits to be guessed. The ring is packed into machine words, so that a burn-in of a thousand
steps costs little.

>>> generator = make(jax.random.key(0), rule=30, width=16, steps=4)
>>> generator.spec
Spec(vocab=2, length=32, size=None, version=1, held_out=0, given=16, side=0)
>>> state = jnp.array([int(cell) for cell in "0100110000000001"])
>>> "".join(map(str, evolve(state, 30, 4).tolist()))
'0001110011011001'
"""

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators import _laws
from epx.generators._bounds import MAX_LENGTH, require_length, require_steps
from epx.generators.kernels import bitpacking
from epx.generators.kernels.words import as_words
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(width=4, steps=2, loops=2, burnin=1)

_STATIC = {"static": True}
_BOS = 2


def evolve(state_W: jax.Array, rule: int | jax.Array, steps: int | jax.Array) -> jax.Array:
    """The ring after `steps` steps of a rule, in the dtype of the state.

    Args:
      state_W: 0s and 1s, at least one cell. Neighbours wrap around; a single cell is its own left
        and right neighbour.
      rule: Wolfram's number, 0 to 255; may be traced.
      steps: 0 or more; may be traced.

    Raises:
      ValueError: a cell, rule or number of steps outside these bounds.
    """
    rule = as_words("rule", rule, jnp.uint32, (), most=255)
    if isinstance(steps, int):
        require_whole("steps", steps, 0, 2**31 - 1)
    width = state_W.shape[0]
    # One word per neighbourhood, all ones if the rule makes the new cell alive.
    alive = -((rule >> jnp.arange(8, dtype=jnp.uint32)) & 1)
    words = jax.lax.fori_loop(
        0, steps, lambda _, now: _step(now, alive, width), bitpacking.pack(state_W)
    )
    return bitpacking.unpack(words, width).astype(state_W.dtype)


def _step(words: jax.Array, alive: jax.Array, width: int) -> jax.Array:
    """One step of all cells of a packed ring at once."""
    left, right = bitpacking.neighbours(words, width)
    # Each cell halves the outcomes: the right one selects within the pairs (0, 1), (2, 3), ...
    outcomes = list(alive)
    for cell in (right, words, left):
        pairs = zip(outcomes[::2], outcomes[1::2])
        outcomes = [if_dead ^ (cell & (if_dead ^ if_alive)) for if_dead, if_alive in pairs]
    return outcomes[0] & bitpacking.used(width)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Eca:
    """The generator made by `make`. Members of an ensemble may vary `rule` (int32)."""

    rule: jax.Array
    width: int = field(metadata=_STATIC)
    steps: int = field(metadata=_STATIC)
    burnin: int = field(metadata=_STATIC)
    order: str = field(metadata=_STATIC)
    hidden: int = field(metadata=_STATIC)
    loops: int = field(metadata=_STATIC)
    coded: str = field(metadata=_STATIC)
    bos: bool = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; cells are tokens 0 and 1, and token 2 comes first if `bos`."""
        first = int(self.bos) + self.width - self.hidden
        length = first + self.width * self.loops
        given = first if self.coded == "labels" else int(self.bos)
        return Spec(2 + int(self.bos), length, size=None, version=VERSION, given=given)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The states that follow from the random ring of `key`; `index` is not used."""
        ring_W = jax.random.bernoulli(key, jnp.float32(0.5), (self.width,)).astype(jnp.int32)
        first_W = evolve(ring_W, self.rule, self.burnin)
        later = self._later(first_W)
        if self.order == "reverse":
            tokens_T = jnp.concatenate([later[::-1].reshape(-1), first_W])
        else:
            tokens_T = jnp.concatenate([first_W[self.hidden :], later.reshape(-1)])
        if self.bos:
            tokens_T = jnp.concatenate([jnp.array([_BOS], jnp.int32), tokens_T])
        labels_T = self._labels()
        return Example(tokens_T, labels_T | self._inputs() if self.coded == "all" else labels_T)

    def _later(self, first_W: jax.Array) -> jax.Array:
        """The states after a state of the ring, a row for each loop, int32."""

        def next_state(state_W, _):
            later_W = evolve(state_W, self.rule, self.steps // self.loops)
            return later_W, later_W

        return jax.lax.scan(next_state, first_W, length=self.loops)[1]

    @property
    def _has_law(self) -> bool:
        """Whether the law is known without an enumeration of all X."""
        uniform = self.burnin == 0 or self.coded == "labels"
        return self.order == "forward" and not self.hidden and uniform

    def oracle_nats(self, example: Example) -> jax.Array | None:
        """Nats of the coded tokens, float32 of shape T: ln 2 for a cell of a uniform X, else 0.

        None in reverse, with hidden cells, and where X is coded after a burn-in: the law is then
        known only by enumeration of all X.
        """
        if not self._has_law:
            return None
        return jnp.where(self._inputs() & example.coded_T, math.log(2), 0.0).astype(jnp.float32)

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array | None:
        """Log probabilities TxV: the rule is simulated from X, whose cells are uniform.

        None where `oracle_nats` is.
        """
        if not self._has_law:
            return None
        spec, first = self.spec, int(self.bos) + self.width
        later = self._later(tokens_T[int(self.bos) : first])
        expected_T = jnp.concatenate([jnp.full(first, _BOS, jnp.int32), later.reshape(-1)])
        coin_V = _laws.uniform(2, spec.vocab)
        known_TxV = _laws.certain(expected_T, spec.vocab)
        return jnp.where(self._inputs()[:, None], coin_V, known_TxV)

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """Each cell as a dot or a block, each state on a line, hidden cells blank.

        Token 2 is ⊢ on a separate line.
        """
        tokens = np.asarray(tokens_T).tolist()
        front = ["⊢\n"] if self.bos else []
        cells = ["·█⊢"[token] for token in tokens[len(front) :]]
        for last in range(self.width - self.hidden - 1, len(cells), self.width):
            cells[last] += "\n"
        cells[0] = " " * self.hidden + cells[0]
        return front + cells

    def _labels(self) -> jax.Array:
        """Mark every state after the first one of the sequence."""
        return jnp.arange(self.spec.length) >= int(self.bos) + self.width - self.hidden

    def _inputs(self) -> jax.Array:
        """Mark the cells of the first state of the sequence."""
        return (jnp.arange(self.spec.length) >= int(self.bos)) & ~self._labels()


def make(
    key: jax.Array,
    rule: int = 54,
    width: int = 16,
    steps: int = 8,
    burnin: int = 0,
    order: str = "forward",
    hidden: int = 0,
    loops: int = 1,
    coded: str = "labels",
    bos: bool = False,
) -> Eca:
    """An elementary cellular automaton.

    Args:
      key: not used; nothing is drawn once for all examples.
      rule: Wolfram's number of the rule, 0 to 255.
      width: cells of the ring, at least 1; multiples of 32 and widths up to 32 are fastest. An
        example has at most 2^20 tokens.
      steps: steps from X to the last state, 1 to 2^20.
      burnin: steps from uniform random cells to X, 0 to 2^20.
      order: `forward` in time, X first, or `reverse`, X last.
      hidden: number of first cells of X left out, 0 to width - 1; 0 in reverse.
      loops: states after X, equally spaced in time; divides `steps`.
      coded: `labels` charges every state after the first one of the sequence, `all` also the first.
      bos: whether token 2, never coded, comes first.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require_whole("generator.rule", rule, 0, 255, "a rule is 8 bits")
    require_whole("generator.width", width, 1, MAX_LENGTH // 2, "X and a state are one example")
    require_steps("generator.steps", steps, least=1)
    require_steps("generator.burnin", burnin, least=0)
    require("generator.order", order, order in ("forward", "reverse"), "forward, reverse")
    most = 0 if order == "reverse" else width - 1
    require_whole("generator.hidden", hidden, 0, most, f"with order={order} and width={width}")
    require_whole("generator.loops", loops, 1, steps, f"divisors of steps={steps}")
    require("generator.loops", loops, steps % loops == 0, f"divisors of steps={steps}")
    require_length("generator.width", width, width * (loops + 1) + int(bos) - hidden)
    require("generator.coded", coded, coded in ("labels", "all"), "labels, all")
    return Eca(jnp.int32(rule), width, steps, burnin, order, hidden, loops, coded, bool(bos))
