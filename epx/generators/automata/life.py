"""Conway's Life on a torus: a random board and its next states.

A board is cut into square patches. A patch is one token, whose bits are its cells row by row, the
first cell the most significant. An example is a sequence of frames, with the patches of a frame row
by row. Every frame after the first is coded: an ideal predictor pays nothing for it, a bounded one
pays for what it cannot compute.

>>> generator = make(jax.random.key(0), height=4, width=4, patch=2)
>>> generator.spec
Spec(vocab=16, length=8, size=None, version=1, held_out=0, given=4, side=0)
>>> blinker = jnp.zeros((5, 5), int).at[2, 1:4].set(1)
>>> print(evolve(blinker, 1))
[[0 0 0 0 0]
 [0 0 1 0 0]
 [0 0 1 0 0]
 [0 0 1 0 0]
 [0 0 0 0 0]]
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators import _laws
from epx.generators._bounds import MAX_LENGTH, require_length, require_steps
from epx.generators.kernels import bitpacking
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(height=4, width=4, burnin=1, patch=2)

_STATIC = {"static": True}
# Characters for patches of 1 or 4 cells, by token.
_DRAWINGS = {1: "·█", 2: "·▗▖▄▝▐▞▟▘▚▌▙▀▜▛█"}


def evolve(board_HxW: jax.Array, steps: int | jax.Array) -> jax.Array:
    """A torus of any height and width after `steps` generations, in the dtype of the board.

    A live cell survives with 2 or 3 live neighbours, a dead cell becomes alive with 3. On a torus
    of fewer than 3 rows or columns a cell is its own neighbour or has a neighbour twice, and each
    occurrence counts (as with `numpy.roll`). `steps`, 0 or more, may be traced.
    """
    if isinstance(steps, int):
        require_whole("steps", steps, 0, 2**31 - 1)
    width = board_HxW.shape[1]
    rows = jax.lax.fori_loop(
        0, steps, lambda _, now: _step(now, width), bitpacking.pack(board_HxW != 0)
    )
    return bitpacking.unpack(rows, width).astype(board_HxW.dtype)


def _step(rows: jax.Array, width: int) -> jax.Array:
    """One generation of packed rows, counting live cells in binary for a word at once."""
    left, right = bitpacking.neighbours(rows, width)
    ones, twos = _add(left, rows, right)
    # The 3 x 3 block around a cell has units + 2 (low + 2 high + carry) live cells.
    units, carry = _add(jnp.roll(ones, 1, axis=0), ones, jnp.roll(ones, -1, axis=0))
    low, high = _add(jnp.roll(twos, 1, axis=0), twos, jnp.roll(twos, -1, axis=0))
    # 3: alive in any case; units, and low or carry.
    three = units & (low ^ carry) & ~high
    # 4: alive if the cell is alive; only high, or low and carry.
    four = ~units & ~(low ^ carry) & (low ^ high)
    return three | (four & rows)


def _add(a: jax.Array, b: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The sum of three bits at each place of a word, as its ones and its twos."""
    either = a ^ b
    return either ^ c, (a & b) | (either & c)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Life:
    """The generator made by `make`. Members of an ensemble may vary `density`."""

    density: jax.Array
    height: int = field(metadata=_STATIC)
    width: int = field(metadata=_STATIC)
    frames: int = field(metadata=_STATIC)
    stride: int = field(metadata=_STATIC)
    burnin: int = field(metadata=_STATIC)
    patch: int = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; `frames` boards of height x width / patch^2 tokens each."""
        vocab, length = 2**self.patch**2, self.frames * self._frame_tokens
        return Spec(vocab, length, size=None, version=VERSION, given=self._frame_tokens)

    @property
    def _frame_tokens(self) -> int:
        return self.height * self.width // self.patch**2

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The frames that follow from the random board of `key`; `index` is not used."""
        random_HxW = jax.random.bernoulli(key, self.density, (self.height, self.width))
        first_HxW = evolve(random_HxW, self.burnin)
        tokens_T = jnp.concatenate([self._tokens(first_HxW), self._later(first_HxW)])
        return Example(tokens_T, self._coded())

    def _later(self, board_HxW: jax.Array) -> jax.Array:
        """The tokens of the frames after a board, int32."""

        def next_frame(board_HxW, _):
            later_HxW = evolve(board_HxW, self.stride)
            return later_HxW, self._tokens(later_HxW)

        return jax.lax.scan(next_frame, board_HxW, length=self.frames - 1)[1].reshape(-1)

    def oracle_nats(self, example: Example) -> jax.Array:
        """Zeros, float32 of shape T: the first frame is not charged and determines the others."""
        return jnp.zeros(example.tokens_T.shape, jnp.float32)

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array:
        """Log probabilities TxV: Life is simulated from the first frame."""
        first_T = tokens_T[: self._frame_tokens]
        expected_T = jnp.concatenate([first_T, self._later(self._board(first_T))])
        known_TxV = _laws.certain(expected_T, self.spec.vocab)
        return jnp.where(self._coded()[:, None], known_TxV, 0.0)

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """Each patch as a block character, or from 3 x 3 cells on as a hexadecimal number.

        Each row of patches is on a line; a blank line separates boards.
        """
        tokens = np.asarray(tokens_T).tolist()
        if self.patch in _DRAWINGS:
            patches = [_DRAWINGS[self.patch][token] for token in tokens]
        else:
            patches = [f"{token:0{-(-(self.patch**2) // 4)}x} " for token in tokens]
        columns = self.width // self.patch
        for last in range(columns - 1, len(patches), columns):
            ends_board = (last + 1) % self._frame_tokens == 0 and last + 1 < len(patches)
            patches[last] += "\n\n" if ends_board else "\n"
        return patches

    def _coded(self) -> jax.Array:
        return jnp.arange(self.spec.length) >= self._frame_tokens

    def _tokens(self, board_HxW: jax.Array) -> jax.Array:
        """The patches of one board as int32 tokens, row by row."""
        rows, columns = self.height // self.patch, self.width // self.patch
        cells = board_HxW.reshape(rows, self.patch, columns, self.patch).swapaxes(1, 2)
        weights = 2 ** jnp.arange(self.patch**2 - 1, -1, -1, dtype=jnp.int32)
        return cells.reshape(rows * columns, -1).astype(jnp.int32) @ weights

    def _board(self, tokens_T: jax.Array) -> jax.Array:
        """The board of bool cells of one frame's tokens."""
        rows, columns = self.height // self.patch, self.width // self.patch
        places = jnp.arange(self.patch**2 - 1, -1, -1, dtype=jnp.int32)
        cells = (tokens_T[:, None] >> places & 1).reshape(rows, columns, self.patch, self.patch)
        return cells.swapaxes(1, 2).reshape(self.height, self.width) == 1


def make(
    key: jax.Array,
    height: int = 8,
    width: int = 8,
    frames: int = 2,
    stride: int = 1,
    density: float = 0.5,
    burnin: int = 0,
    patch: int = 1,
) -> Life:
    """Life on a torus.

    Args:
      key: not used; nothing is drawn once for all examples.
      height: rows of the board in cells, a multiple of `patch`.
      width: columns of the board in cells, a multiple of `patch`.
      frames: boards in one example, at least 2: the first is context, the others are coded. An
        example has at most 2^20 tokens.
      stride: Life steps between two frames, 1 to 2^20.
      density: probability that a cell of the initial board is alive, 0 to 1.
      burnin: Life steps before the first frame, 0 to 2^20.
      patch: side of a patch in cells, 1 to 4; the vocabulary is 2^(patch^2).

    Raises:
      ValueError: an argument outside these bounds.
    """
    require_whole("generator.patch", patch, 1, 4, "the vocabulary is 2^(patch^2)")
    for name, value in (("generator.height", height), ("generator.width", width)):
        require_whole(name, value, patch, MAX_LENGTH, f"multiples of patch={patch}")
        require(name, value, value % patch == 0, f"multiples of patch={patch}")
    require_whole("generator.frames", frames, 2, MAX_LENGTH, "boards of at least one token")
    require_length("generator.height", height, frames * (height * width // patch**2))
    require_steps("generator.stride", stride, least=1)
    require("generator.density", density, 0 <= density <= 1, "a probability, 0 to 1")
    require_steps("generator.burnin", burnin, least=0)
    return Life(jnp.float32(density), height, width, frames, stride, burnin, patch)
