"""Neural cellular automata with random weights: a small network is the rule of a board.

Every cell of a torus becomes the state with the largest output of a network that sees the cell and
its eight neighbours. Weights are whole numbers, so that a board has the same successor on every
device. An example is a random board, which is given, and its later frames, which are coded. The
rule is one for all examples, or another in each, to be inferred from the first frames.

>>> generator = make(jax.random.key(0), states=4, height=3, width=3, frames=3)
>>> generator.spec
Spec(vocab=4, length=27, size=None, version=1, held_out=0, given=9, side=0)
>>> len(set(generator.example(jax.random.key(1), 0).tokens_T.tolist())) > 1
True
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators import _laws
from epx.generators._bounds import MAX_LENGTH, require_length, require_steps
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(states=3, height=3, width=3, hidden=4)

_STATIC = {"static": True}
RULES = ("one", "each")
LARGEST_WEIGHT = 8
# The cell and its neighbours, row by row.
_PLACES = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1))


def evolve(
    board_HxW: jax.Array, inner_9xVxF: jax.Array, outer_FxV: jax.Array, steps: int
) -> jax.Array:
    """A torus after some steps of the rule of two layers of whole numbers, int32.

    A hidden unit is the sum of its weights for the states of the nine cells, if that is positive,
    and 0 if it is not. Of states with equal outputs the first is taken.
    """

    def step(board_HxW, _):
        shifted = [jnp.roll(board_HxW, (-row, -column), (0, 1)) for row, column in _PLACES]
        inputs = [weights_VxF[cells] for weights_VxF, cells in zip(inner_9xVxF, shifted)]
        hidden_HxWxF = jnp.maximum(sum(inputs), 0)
        return jnp.argmax(hidden_HxWxF @ outer_FxV, axis=-1).astype(jnp.int32), None

    return jax.lax.scan(step, board_HxW.astype(jnp.int32), length=steps)[0]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Automaton:
    """The generator made by `make`. Members of an ensemble may vary the rule.

    Attributes:
      inner_9xVxF: weights from the states of the nine cells to the hidden units.
      outer_FxV: weights from those to the states.
    """

    inner_9xVxF: jax.Array
    outer_FxV: jax.Array
    height: int = field(metadata=_STATIC)
    width: int = field(metadata=_STATIC)
    frames: int = field(metadata=_STATIC)
    stride: int = field(metadata=_STATIC)
    burnin: int = field(metadata=_STATIC)
    rules: str = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; a token is a cell."""
        cells = self.height * self.width
        return Spec(self.outer_FxV.shape[-1], self.frames * cells, None, VERSION, given=cells)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The frames after a random board; `index` is not used."""
        rule = self.inner_9xVxF, self.outer_FxV
        board_key, rule_key = jax.random.split(key)
        if self.rules == "each":
            rule = _draw(rule_key, *self.inner_9xVxF.shape[1:])
        shape = self.height, self.width
        board_HxW = jax.random.randint(board_key, shape, 0, self.spec.vocab, jnp.int32)
        board_HxW = evolve(board_HxW, *rule, self.burnin)
        tokens_T = jnp.concatenate([board_HxW.reshape(-1), self._later(board_HxW, rule)])
        return Example(tokens_T, self._coded())

    def oracle_nats(self, example: Example) -> jax.Array | None:
        """Zeros, float32 of shape T, as the rule is known; None where each example has its own."""
        return None if self.rules == "each" else jnp.zeros(self.spec.length, jnp.float32)

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array | None:
        """Log probabilities TxV: the rule is applied to the first frame."""
        if self.rules == "each":
            return None
        first_T = tokens_T[: self.spec.given]
        rule = self.inner_9xVxF, self.outer_FxV
        later_T = self._later(first_T.reshape(self.height, self.width), rule)
        known_TxV = _laws.certain(jnp.concatenate([first_T, later_T]), self.spec.vocab)
        return jnp.where(self._coded()[:, None], known_TxV, 0.0)

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """Each state as a number; a row of cells on a line, a blank line between boards."""
        symbols = [f"{token} " for token in np.asarray(tokens_T).tolist()]
        for last in range(self.width - 1, len(symbols), self.width):
            ends_board = (last + 1) % self.spec.given == 0 and last + 1 < len(symbols)
            symbols[last] = symbols[last].rstrip() + ("\n\n" if ends_board else "\n")
        return symbols

    def _coded(self) -> jax.Array:
        return jnp.arange(self.spec.length) >= self.spec.given

    def _later(self, board_HxW: jax.Array, rule: tuple[jax.Array, jax.Array]) -> jax.Array:
        """The tokens of the frames after a board, int32."""

        def next_frame(board_HxW, _):
            later_HxW = evolve(board_HxW, *rule, self.stride)
            return later_HxW, later_HxW.reshape(-1)

        return jax.lax.scan(next_frame, board_HxW, length=self.frames - 1)[1].reshape(-1)


def make(
    key: jax.Array,
    states: int = 4,
    height: int = 4,
    width: int = 4,
    frames: int = 4,
    stride: int = 1,
    burnin: int = 0,
    hidden: int = 16,
    rules: str = "one",
) -> Automaton:
    """An automaton.

    Args:
      key: draws the rule, every weight uniform from -8 to 8.
      states: of a cell, 2 to 256, the vocabulary.
      height: rows of the board, at least 3, so that the neighbours of a cell differ.
      width: columns, at least 3.
      frames: boards in an example, at least 2: the first is given.
      stride: steps between two frames, 1 to 2^20.
      burnin: steps before the first frame, 0 to 2^20.
      hidden: units of the network, 1 to 1024.
      rules: `one` for all examples, or `each` with its own.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require_whole("generator.states", states, 2, 256)
    for name, cells in (("generator.height", height), ("generator.width", width)):
        require_whole(name, cells, 3, MAX_LENGTH, "the neighbours of a cell differ")
    require_whole("generator.frames", frames, 2, MAX_LENGTH, "boards, of which the first is given")
    require_length("generator.height", height, frames * height * width)
    require_steps("generator.stride", stride, least=1)
    require_steps("generator.burnin", burnin, least=0)
    require_whole("generator.hidden", hidden, 1, 1024)
    require("generator.rules", rules, rules in RULES, " or ".join(RULES))
    return Automaton(*_draw(key, states, hidden), height, width, frames, stride, burnin, rules)


def _draw(key: jax.Array, states: int, hidden: int) -> tuple[jax.Array, jax.Array]:
    """The weights of a random rule, int32."""
    inner_key, outer_key = jax.random.split(key)
    bounds = -LARGEST_WEIGHT, LARGEST_WEIGHT + 1, jnp.int32
    inner_9xVxF = jax.random.randint(inner_key, (len(_PLACES), states, hidden), *bounds)
    return inner_9xVxF, jax.random.randint(outer_key, (hidden, states), *bounds)
