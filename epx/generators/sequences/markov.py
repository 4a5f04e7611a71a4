"""Markov chains of which some transition rows are given: easy induction (arXiv 2601.03220, C.2).

Every example has its own chain of V states, whose rows are drawn from the flat Dirichlet law. The
rows of some states, the same in every example, are visible as side information; a learner has to
infer the `hidden` others from the sequence. An example is the start symbol V, the visible states,
each with the logarithms of its row, and the sequence, whose first state is not charged.

Probabilities are whole multiples of 2^-24, so that the sequences are the same on every machine.

>>> generator = make(jax.random.key(0), states=3, hidden=1, length=5)
>>> generator.spec
Spec(vocab=4, length=8, size=None, version=1, held_out=0, given=4, side=3)
>>> example = generator.example(jax.random.key(1), 0)
>>> example.tokens_T[:3].tolist() == [3, *generator.visible_N.tolist()]
True
>>> example.side.any(axis=1).tolist()
[False, True, True, False, False, False, False, False]
"""

import math
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators._bounds import MAX_LENGTH, require_length
from epx.learning import nll
from epx.types import Example, Spec, require_whole

VERSION = 1
TINY = dict(states=3, hidden=1, length=8)

_STATIC = {"static": True}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BITS = 24
# The paper starts from the stationary law. After 64 steps from a uniform state the law of a chain
# of 8 states differs from it by less than 1e-9 in all but rare draws.
BURNIN = 64


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Markov:
    """The generator made by `make`. Members of an ensemble may vary which rows are visible.

    Attributes:
      visible_N: int32, the states whose rows are given, rising.
      states: number of states, V.
      symbols_length: length of the sequence.
    """

    visible_N: jax.Array
    states: int = field(metadata=_STATIC)
    symbols_length: int = field(metadata=_STATIC)

    @property
    def _first(self) -> int:
        """The position of the first state of the sequence."""
        return 1 + self.visible_N.shape[-1]

    @property
    def spec(self) -> Spec:
        """Endless; token V is the start symbol."""
        V, length = self.states, self._first + self.symbols_length
        return Spec(V + 1, length, size=None, version=VERSION, given=self._first + 1, side=V)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """A sequence of the chain drawn with `key`; `index` is not used."""
        V, first = self.states, self._first
        key_rows, key_start, key_path = jax.random.split(key, 3)
        # The spacings of V - 1 uniform numbers have the flat Dirichlet law.
        cuts = jnp.sort(jax.random.bits(key_rows, (V, V - 1), jnp.uint32) >> (32 - _BITS))
        draws = jax.random.bits(key_path, (BURNIN + self.symbols_length - 1,), jnp.uint32)

        def next_state(state, draw):
            return jnp.sum(draw >= cuts[state], dtype=jnp.int32), state

        start = jax.random.randint(key_start, (), 0, V, jnp.int32)
        last, path = jax.lax.scan(next_state, start, draws >> (32 - _BITS))
        sequence = jnp.append(path, last)[BURNIN:]
        bos = jnp.array([V], jnp.int32)
        tokens_T = jnp.concatenate([bos, self.visible_N, sequence])
        ends = jnp.pad(cuts.astype(jnp.int32), ((0, 0), (1, 0)))
        spacings_VxV = jnp.diff(ends, append=2**_BITS)
        # One spacing in two million is 0 and never drawn; its logarithm is that of 2^-24.
        log_VxV = jnp.log(jnp.maximum(spacings_VxV, 1) * jnp.float32(2.0**-_BITS))
        side_TxR = jnp.zeros((len(tokens_T), V), jnp.float32)
        side_TxR = side_TxR.at[1:first].set(log_VxV[self.visible_N])
        return Example(tokens_T, jnp.arange(len(tokens_T)) > first, side_TxR)

    def oracle_nats(self, example: Example) -> jax.Array:
        """Nats per token, float32 of shape T, of the exact predictor; 0 where nothing is coded."""
        tokens_T = jnp.asarray(example.tokens_T)
        nats_T = nll.nats(self.oracle_logits(tokens_T, jnp.asarray(example.side)), tokens_T)
        return jnp.where(example.coded_T, nats_T, 0.0)

    def oracle_logits(self, tokens_T: jax.Array, side_TxR: jax.Array) -> jax.Array:
        """Log probabilities TxV of the exact predictor, given the visible rows.

        A hidden row under its flat prior predicts by the rule of succession: a state that followed
        n of N times has the probability (n + 1) / (N + V).
        """
        V, first = self.states, self._first
        log_VxV = jnp.zeros((V, V), jnp.float32).at[self.visible_N].set(side_TxR[1:first])
        is_visible_V = jnp.zeros(V, bool).at[self.visible_N].set(True)

        def predict(counts_VxV, pair):
            state, following = pair
            seen_V = counts_VxV[state]
            learned_V = jnp.log((seen_V + 1) / (seen_V.sum() + V))
            log_p_V = jnp.where(is_visible_V[state], log_VxV[state], learned_V)
            return counts_VxV.at[state, following].add(1.0), log_p_V

        pairs = tokens_T[first:-1], tokens_T[first + 1 :]
        _, coded_NxV = jax.lax.scan(predict, jnp.zeros((V, V), jnp.float32), pairs)
        law_TxV = jnp.pad(coded_NxV, ((first + 1, 0), (0, 0)))
        return jnp.pad(law_TxV, ((0, 0), (0, 1)), constant_values=-jnp.inf)  # the start symbol

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """States as letters, the visible ones on a line of their own; the start symbol is ⊢."""
        alphabet = f"{_LETTERS[: self.states]}⊢"
        written = [alphabet[token] for token in np.asarray(tokens_T)]
        written[self._first - 1] += "\n"
        return written


def make(key: jax.Array, states: int = 8, hidden: int = 4, length: int = 128) -> Markov:
    """Markov chains with hidden transition rows.

    Args:
      key: draws which rows are visible.
      states: states of the chain, V, 2 to 26.
      hidden: hidden rows, 0 to `states`.
      length: states in a sequence, at least 2; the first is not charged.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require_whole("generator.states", states, 2, len(_LETTERS), "a state is shown as a letter")
    require_whole("generator.hidden", hidden, 0, states, f"with states={states}")
    require_whole("generator.length", length, 2, MAX_LENGTH, "the first state is not charged")
    require_length("generator.length", length, 1 + states - hidden + length)
    visible_N = jnp.sort(jax.random.permutation(key, states)[hidden:]).astype(jnp.int32)
    return Markov(visible_N, states, length)


def mean_row_nats(states: int) -> float:
    """The mean entropy of a row of the flat Dirichlet law, nats: sum of 1/k for k = 2 to V."""
    return math.fsum(1 / k for k in range(2, states + 1))
