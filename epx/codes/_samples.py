"""Examples whose coded tokens an observer draws, given the other ones."""

import jax
from jax import lax

from epx import streams
from epx.learning import sampling
from epx.learning.learner import Learning, training_examples
from epx.types import Example, Generator, Hyper, PyTree


def sample(
    learning: Learning, generator: Generator, hyper: Hyper, step: jax.Array, params: PyTree
) -> Example:
    """The batch of a step, its coded tokens sampled from an observer given the other tokens.

    Args:
      learning: the observer and the batch.
      generator, hyper: of the member.
      step: of the run; selects the examples and the samples.
      params: of the sampled observer.

    Returns:
      This device's examples, with leading axes of microbatches and of examples.
    """
    index_NxB = learning.batch.indices(generator.spec.size, step)
    key = jax.random.fold_in(streams.stream(hyper.seed, "teacher"), step)

    def complete(index_B: jax.Array) -> Example:
        example = training_examples(generator, hyper, index_B)
        keys_B = jax.vmap(lambda index: streams.example_key(key, index))(index_B)
        tokens_BxT = sampling.complete(
            learning.observer,
            params,
            keys_B,
            example.tokens_T,
            ~example.coded_T,
            example.side,
            generator.spec.given,
        )
        return example._replace(tokens_T=tokens_BxT)

    examples = lax.map(complete, index_NxB.reshape(-1, learning.batch.decoded))
    return jax.tree.map(lambda leaf: leaf.reshape(*index_NxB.shape, *leaf.shape[2:]), examples)
