"""Sources of known entropy: independent tokens, a Markov chain, a repeated block.

Every law is a law of the first token and a transition matrix, so that members of an ensemble may
have different laws. Every token is coded. These generators are baselines: no observer may pay less
than their entropy, and uniform tokens have no structure.

>>> generator = make(jax.random.key(0), law="bernoulli", p=0.25, length=6)
>>> generator.spec
Spec(vocab=2, length=6, size=None, version=1, held_out=0, given=0, side=0)
>>> generator.transition_VxV.tolist()
[[0.75, 0.25], [0.75, 0.25]]
>>> round(generator.entropy_rate_nats(), 4)
0.5623
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators import _laws
from epx.generators._bounds import MAX_LENGTH
from epx.learning import nll
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(law="markov", vocab=3, length=8)

_STATIC = {"static": True}
MAX_VOCAB = 4096  # its transition matrix takes 64 MiB a member
_LAWS = ("bernoulli", "uniform", "constant", "repeat", "markov")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Source:
    """The generator made by `make`. Members of an ensemble may vary both laws.

    Attributes:
      initial_V: float32, the law of the first token, which is the stationary law of the chain.
      transition_VxV: float32, row i is the law of the token after token i.
      length: tokens in one example.
      period: tokens in the repeated block; 0 with other laws.
    """

    initial_V: jax.Array
    transition_VxV: jax.Array
    length: int = field(metadata=_STATIC)
    period: int = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; every token of the vocabulary has a row in the transition matrix."""
        return Spec(self.initial_V.shape[-1], self.length, size=None, version=VERSION)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """A path of the chain drawn with `key`, repeated if there is a period; `index` is not used.

        Each token inverts the cumulative law at one uniform float32: probabilities are exact to
        2^-23.
        """
        # Without the last boundary, 1, rounding cannot give a token out of range.
        first = jnp.cumsum(self.initial_V)[:-1]
        later = jnp.cumsum(self.transition_VxV, axis=1)[:, :-1]
        draws_T = jax.random.uniform(key, (self.period or self.length,), jnp.float32)

        def next_token(boundaries, draw):
            token = jnp.sum(draw >= boundaries, dtype=jnp.int32)
            return later[token], token

        _, block = jax.lax.scan(next_token, first, draws_T)
        tokens_T = jnp.resize(block, (self.length,))
        return Example(tokens_T, jnp.ones(self.length, bool))

    def oracle_nats(self, example: Example) -> jax.Array:
        """Nats per token, float32 of shape T; repetitions of a block cost 0."""
        return nll.nats(self.oracle_logits(example.tokens_T), example.tokens_T)

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array:
        """Log probabilities TxV; the repetitions of a block are certain."""
        law_TxV = jnp.concatenate([self.initial_V[None], self.transition_VxV[tokens_T[:-1]]])
        if not self.period:
            return jnp.log(law_TxV)
        again_TxV = _laws.certain(jnp.roll(tokens_T, self.period), self.spec.vocab)
        is_new_T = jnp.arange(self.length) < self.period
        return jnp.where(is_new_T[:, None], jnp.log(law_TxV), again_TxV)

    def entropy_rate_nats(self) -> float:
        """Nats per token of the endless sequence, in float64; the laws must not be traced.

        The mean of the rows' entropies under the stationary law; 0 with law=repeat.
        """
        if self.period:
            return 0.0
        rows_VxV = np.asarray(self.transition_VxV, np.float64)
        log_VxV = np.log(rows_VxV, where=rows_VxV > 0, out=np.zeros_like(rows_VxV))
        return float(-np.asarray(self.initial_V, np.float64) @ (rows_VxV * log_VxV).sum(1))


def make(
    key: jax.Array,
    law: str = "uniform",
    vocab: int = 2,
    length: int = 64,
    p: float = 0.5,
    period: int = 8,
) -> Source:
    """A source with a closed-form entropy.

    Args:
      key: draws the transition matrix of `markov`, each row from the flat Dirichlet law.
      law: `bernoulli` (independent bits), `uniform` (independent tokens), `constant` (always
        token 0), `repeat` (uniform tokens repeated with `period`) or `markov` (a first-order chain
        that starts from its stationary law).
      vocab: number of tokens, 1 to 4096; 2 for `bernoulli`.
      length: tokens in one example, 1 to 2^20.
      p: probability of token 1 under `bernoulli`, 0 to 1; other laws ignore it.
      period: tokens in the block of `repeat`, 1 to `length`; other laws ignore it.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require("generator.law", law, law in _LAWS, ", ".join(_LAWS))
    reason = "the transition matrix has vocab^2 entries, at most 64 MiB"
    require_whole("generator.vocab", vocab, 1, MAX_VOCAB, reason)
    require("generator.vocab", vocab, law != "bernoulli" or vocab == 2, "2 with law=bernoulli")
    memory = "a batch of examples is held in memory"
    require_whole("generator.length", length, 1, MAX_LENGTH, memory)
    require("generator.p", p, 0 <= p <= 1, "a probability, 0 to 1")
    longest = length if law == "repeat" else MAX_LENGTH
    require_whole("generator.period", period, 1, longest, f"with law={law} and length={length}")
    if law == "markov":
        transition_VxV = jax.random.dirichlet(
            key, jnp.ones(vocab, jnp.float32), (vocab,), jnp.float32
        )
        return Source(_stationary(transition_VxV), transition_VxV, length, period=0)
    initial_V = _marginal(law, vocab, p)
    transition_VxV = jnp.broadcast_to(initial_V, (vocab, vocab))
    return Source(initial_V, transition_VxV, length, period if law == "repeat" else 0)


def _marginal(law: str, vocab: int, p: float) -> jax.Array:
    """The law of one of the independent tokens."""
    if law == "bernoulli":
        return jnp.array([1 - p, p], jnp.float32)
    if law == "constant":
        return jnp.zeros(vocab, jnp.float32).at[0].set(1)
    return jnp.full(vocab, 1 / vocab, jnp.float32)


def _stationary(transition_VxV: jax.Array) -> jax.Array:
    """The stationary law, as a row of the 2^20th power of the transition matrix."""

    def square(_, power_VxV):
        power_VxV = power_VxV @ power_VxV
        return power_VxV / power_VxV.sum(1, keepdims=True)  # float32 drifts off the simplex

    return jax.lax.fori_loop(0, 20, square, transition_VxV)[0]
