"""Text without digits: a Markov language over letters, the base of what is taught later.

Every letter has a few successors that depend on the two letters before; which, and how likely, is
drawn once. Its alphabet is that of `arithmetic`, whose digits and signs never occur here: an
observer that was trained on it has never seen a number.

>>> generator = make(jax.random.key(0), length=24)
>>> generator.spec
Spec(vocab=42, length=24, size=None, version=1, held_out=0, given=0, side=0)
>>> "".join(generator.symbols(generator.example(jax.random.key(1), 0).tokens_T)).isprintable()
True
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from epx.generators import _script
from epx.generators._bounds import MAX_LENGTH
from epx.types import Example, Spec, require_whole

VERSION = 1
TINY = dict(length=6)

_STATIC = {"static": True}
_CONTEXTS = _script.LETTERS**2


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Story:
    """The generator made by `make`. Members of an ensemble may vary the language.

    Attributes:
      log_law_CxV: log probabilities of every token after each pair of letters, the earlier one
        first; C = 28^2 pairs.
      length: T.
    """

    log_law_CxV: jax.Array
    length: int = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; every token is coded."""
        return Spec(_script.VOCAB, self.length, size=None, version=VERSION)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """A text that begins after two spaces; `index` is not used."""

        def step(pair, key):
            token = jax.random.categorical(key, self.log_law_CxV[pair]).astype(jnp.int32)
            return _after(pair, token), token

        _, tokens_T = jax.lax.scan(step, jnp.int32(0), jax.random.split(key, self.length))
        return Example(tokens_T, jnp.ones(self.length, bool))

    def oracle_nats(self, example: Example) -> jax.Array:
        """Nats of each token given the two before, float32 of shape T."""
        logits_TxV = self.oracle_logits(example.tokens_T)
        return -jnp.take_along_axis(logits_TxV, example.tokens_T[:, None], axis=1)[:, 0]

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array:
        """Log probabilities TxV."""
        # Tokens that are no letters are impossible, and what follows may have any law.
        letters_T = jnp.minimum(tokens_T, _script.LETTERS - 1)
        before_T = jnp.concatenate([jnp.zeros(2, jnp.int32), letters_T])
        return self.log_law_CxV[before_T[:-2] * _script.LETTERS + before_T[1:-1]]

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """The letters."""
        return _script.symbols(tokens_T)


def make(key: jax.Array, length: int = 32, successors: int = 4) -> Story:
    """A language.

    Args:
      key: draws the successors of every pair of letters and their probabilities, uniform on the
        simplex.
      length: tokens of an example, T.
      successors: letters that may follow a pair, 1 to 28.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require_whole("generator.length", length, 1, MAX_LENGTH, "a batch of examples is in memory")
    require_whole("generator.successors", successors, 1, _script.LETTERS)
    rank_key, share_key = jax.random.split(key)
    shape = (_CONTEXTS, _script.LETTERS)
    ranks = jnp.argsort(jax.random.uniform(rank_key, shape, jnp.float32), axis=1)
    # Gamma variables of shape 1 over their sum: uniform on the simplex of the first ranks.
    shares = jax.random.exponential(share_key, shape, jnp.float32)
    shares = jnp.where(ranks < successors, shares, 0.0)
    law = jnp.log(shares / shares.sum(1, keepdims=True))
    others = jnp.full((_CONTEXTS, _script.VOCAB - _script.LETTERS), -jnp.inf, jnp.float32)
    return Story(jnp.concatenate([law, others], axis=1), length)


def _after(pair: jax.Array, token: jax.Array) -> jax.Array:
    """The pair of letters that ends with this token."""
    return pair % _script.LETTERS * _script.LETTERS + token
