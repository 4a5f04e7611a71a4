"""Linear languages over F_2: uniform bits x and y = A x (arXiv 2401.17505).

A is a sparse invertible matrix, drawn once. Forward, x then y, every bit of y is the parity of a
few bits. In reverse, x = A^-1 y, and the inverse of a sparse matrix is dense: parities of many bits
are hard to learn. The two orders differ in difficulty, although half of the bits are free in both.
(Not all of x is hard: a row of A gives its last bit of x from the bit of y and the earlier bits of
x.)

>>> generator = make(jax.random.key(0), bits=16, nonzeros=12)
>>> generator.spec
Spec(vocab=2, length=32, size=None, version=1, held_out=0, given=0, side=0)
>>> int(generator.matrix_NxN.sum()), int(inverse(generator.matrix_NxN).sum())
(28, 44)
"""

import functools
import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators import _laws
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(bits=4, nonzeros=3)

_STATIC = {"static": True}


def inverse(matrix_NxN: jax.Array) -> jax.Array:
    """The inverse over F_2 of a matrix of 0s and 1s, by Gauss-Jordan elimination.

    It has the dtype of the matrix, which may be traced. The result for a singular matrix is
    arbitrary.
    """
    size = len(matrix_NxN)
    rows = jnp.concatenate([matrix_NxN, jnp.eye(size, dtype=matrix_NxN.dtype)], axis=1)

    def clear(column, rows):
        """Leave a single 1 in this column, on the diagonal."""
        column = column.astype(jnp.int32)
        usable = jnp.arange(size, dtype=jnp.int32) >= column
        pivot = jnp.argmax(usable & (rows[:, column] == 1)).astype(jnp.int32)
        rows = rows.at[jnp.stack([column, pivot])].set(rows[jnp.stack([pivot, column])])
        others = rows[:, column].at[column].set(0)
        return rows ^ others[:, None] * rows[column]

    return jax.lax.fori_loop(0, size, clear, rows)[:, size:]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Linear:
    """The generator made by `make`. Members of an ensemble may vary the matrix A.

    A is int32, of 0s and 1s, for N bits of x and N of y.
    """

    matrix_NxN: jax.Array
    order: str = field(metadata=_STATIC)
    coded: str = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; bits are tokens 0 and 1."""
        half = self.matrix_NxN.shape[-1]
        given = half if self.coded == "labels" else 0
        return Spec(vocab=2, length=2 * half, size=None, version=VERSION, given=given)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The x drawn with `key` and y = A x; `index` is not used."""
        x_N = jax.random.bernoulli(key, jnp.float32(0.5), self.matrix_NxN.shape[:1]).astype(
            jnp.int32
        )
        y_N = self.matrix_NxN @ x_N % 2
        halves = (x_N, y_N) if self.order == "forward" else (y_N, x_N)
        labels_T = ~self._free()
        coded_T = labels_T if self.coded == "labels" else jnp.ones_like(labels_T)
        return Example(jnp.concatenate(halves), coded_T)

    def oracle_nats(self, example: Example) -> jax.Array:
        """Nats of the coded tokens, float32 of shape T: ln 2 in the first half, 0 in the second.

        In both orders the first half is uniform and determines the second.
        """
        return jnp.where(self._free() & example.coded_T, math.log(2), 0.0).astype(jnp.float32)

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array:
        """Log probabilities TxV: the second half is solved for, or computed, from the first."""
        given_N = tokens_T[: len(self.matrix_NxN)]
        forward = self.order == "forward"
        matrix_NxN = self.matrix_NxN if forward else inverse(self.matrix_NxN)
        expected_T = jnp.concatenate([given_N, matrix_NxN @ given_N % 2])
        coin_V = _laws.uniform(2, self.spec.vocab)
        return jnp.where(self._free()[:, None], coin_V, _laws.certain(expected_T, self.spec.vocab))

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """The bits as digits."""
        return [str(token) for token in np.asarray(tokens_T)]

    def _free(self) -> jax.Array:
        """Mark the first half."""
        return jnp.arange(self.spec.length) < self.spec.length // 2


def make(
    key: jax.Array,
    bits: int = 16,
    nonzeros: int = 12,
    order: str = "forward",
    coded: str = "all",
) -> Linear:
    """A linear language over F_2.

    A has ones on its diagonal and `nonzeros` ones off it, at random places that make A invertible.
    They are spread evenly over the rows, so that all bits of y are about equally hard. (The paper
    does not say how it drew its matrices. Products of random row additions would make both orders
    equally hard, because the inverse of such a product has the same law.)

    Args:
      key: draws the matrix.
      bits: bits of x, and of y, 2 to 256.
      nonzeros: ones off the diagonal, 0 to bits (bits - 1) / 2, but not an odd multiple of `bits`,
        with which every row sums to 0 and A is singular; with 0, y = x.
      order: `forward`, x first, or `reverse`, y first.
      coded: `all` charges every bit, `labels` the second half only.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require_whole("generator.bits", bits, 2, 256, "drawing A takes time of order bits^3")
    most = bits * (bits - 1) // 2
    require_whole("generator.nonzeros", nonzeros, 0, most, f"with bits={bits}")
    singular = nonzeros % bits == 0 and nonzeros // bits % 2 == 1
    accepted = f"0 to {most} but odd multiples of bits={bits}"
    require("generator.nonzeros", nonzeros, not singular, accepted)
    require("generator.order", order, order in ("forward", "reverse"), "forward, reverse")
    require("generator.coded", coded, coded in ("labels", "all"), "labels, all")
    return Linear(_draw(key, bits, nonzeros), order, coded)


@functools.partial(jax.jit, static_argnames=("bits", "nonzeros"))
def _draw(key: jax.Array, bits: int, nonzeros: int) -> jax.Array:
    """The first invertible matrix of a sequence of random matrices.

    One in two is invertible with 16 bits and 12 ones, one in five with 30 bits and 40 ones, and one
    in twenty with 64 bits and 63 ones.
    """
    identity = jnp.eye(bits, dtype=jnp.int32)

    def matrix(attempt):
        key_rows, key_places = jax.random.split(jax.random.fold_in(key, attempt))
        ones_N = nonzeros // bits + (jax.random.permutation(key_rows, bits) < nonzeros % bits)
        # The diagonal has scores above 1, comes last in every row and is not drawn.
        scores = jax.random.uniform(key_places, (bits, bits), jnp.float32) + identity
        ranks = jnp.argsort(jnp.argsort(scores, axis=1), axis=1)
        return identity + (ranks < ones_N[:, None])

    def is_singular(attempt):
        candidate = matrix(attempt)
        return (candidate @ inverse(candidate) % 2 != identity).any()

    return matrix(jax.lax.while_loop(is_singular, lambda attempt: attempt + 1, jnp.int32(0)))
