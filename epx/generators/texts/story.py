"""Text without digits: a Markov language over letters, the base of what is taught later.

Every letter has a few successors that depend on the two letters before, or on `order` of them;
which, and how likely, is drawn once. Its alphabet is that of `arithmetic`, whose digits and signs
never occur here: an observer that was trained on it has never seen a number.

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

from epx.generators._bounds import MAX_LENGTH
from epx.generators.texts import _script
from epx.types import Example, Spec, require, require_whole

VERSION = 1
TINY = dict(length=6)

_STATIC = {"static": True}
_MOST_CONTEXTS = _script.LETTERS**3  # their law takes 4 MB


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Story:
    """The generator made by `make`. Members of an ensemble may vary the language.

    Attributes:
      log_law_CxV: log probabilities of every token after each context of `order` letters, the
        earliest first; C = letters^order.
      length: T.
      letters, order: as in `make`.
    """

    log_law_CxV: jax.Array
    length: int = field(metadata=_STATIC)
    letters: int = field(metadata=_STATIC)
    order: int = field(metadata=_STATIC)

    @property
    def spec(self) -> Spec:
        """Endless; every token is coded."""
        return Spec(_script.VOCAB, self.length, size=None, version=VERSION)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """A text that begins as after spaces; `index` is not used."""

        def step(context, key):
            token = jax.random.categorical(key, self.log_law_CxV[context]).astype(jnp.int32)
            return (context * self.letters + token) % self.letters**self.order, token

        _, tokens_T = jax.lax.scan(step, jnp.int32(0), jax.random.split(key, self.length))
        return Example(tokens_T, jnp.ones(self.length, bool))

    def oracle_nats(self, example: Example) -> jax.Array:
        """Nats of each token given those before, float32 of shape T."""
        logits_TxV = self.oracle_logits(example.tokens_T)
        return -jnp.take_along_axis(logits_TxV, example.tokens_T[:, None], axis=1)[:, 0]

    def oracle_logits(self, tokens_T: jax.Array, side: None = None) -> jax.Array:
        """Log probabilities TxV."""
        # Tokens that are no letters are impossible, and what follows may have any law.
        letters_T = jnp.minimum(tokens_T, self.letters - 1)
        before_T = jnp.concatenate([jnp.zeros(self.order, jnp.int32), letters_T])
        length = tokens_T.shape[0]
        contexts_T = jnp.zeros(length, jnp.int32)
        for place in range(self.order):
            contexts_T = contexts_T * self.letters + before_T[place : place + length]
        return self.log_law_CxV[contexts_T]

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """The letters."""
        return _script.symbols(tokens_T)


def make(
    key: jax.Array,
    length: int = 32,
    successors: int = 4,
    letters: int = _script.LETTERS,
    order: int = 2,
) -> Story:
    """A language.

    Args:
      key: draws the successors of every context and their probabilities, uniform on the simplex.
      length: tokens of an example, T.
      successors: letters that may follow a context, 1 to `letters`.
      letters: of the language, the first ones of the alphabet and the space before, 1 to 28.
      order: letters of a context; there are at most 28^3 contexts.

    Raises:
      ValueError: an argument outside these bounds.
    """
    require_whole("generator.length", length, 1, MAX_LENGTH, "a batch of examples is in memory")
    require_whole("generator.letters", letters, 1, _script.LETTERS)
    require_whole("generator.successors", successors, 1, letters, "those of the language")
    require_whole("generator.order", order, 1, 15)
    accepted = f"numbers with letters^order of at most {_MOST_CONTEXTS}"
    require("generator.order", order, letters**order <= _MOST_CONTEXTS, accepted)
    rank_key, share_key = jax.random.split(key)
    shape = (letters**order, letters)
    ranks = jnp.argsort(jax.random.uniform(rank_key, shape, jnp.float32), axis=1)
    # Gamma variables of shape 1 over their sum: uniform on the simplex of the first ranks.
    shares = jax.random.exponential(share_key, shape, jnp.float32)
    shares = jnp.where(ranks < successors, shares, 0.0)
    law = jnp.log(shares / shares.sum(1, keepdims=True))
    others = jnp.full((shape[0], _script.VOCAB - letters), -jnp.inf, jnp.float32)
    return Story(jnp.concatenate([law, others], axis=1), length, letters, order)
