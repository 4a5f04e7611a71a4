"""All random keys of the program.

A stream is a function of a seed and a name; an example's key is a function of the stream and the
example's index: x_i = generator.example(fold_in(stream, i), i). Tokens are therefore the same for
any batch size, chunk length or device count, and a resumed run needs no saved key.

The streams: `init` (an observer's parameters), `world` (draws of a generator's `make`), `train`,
`eval`, `teacher` (samples of a teacher for its student), `proposals` (for its messages), `sample`
(samples of a trained observer), `probe` (boards on which one is probed), `replay` (places in the
history) and `shuffle` (of a window of text, whose number is then the seed).
Names are hashed into keys and must not change.
"""

import zlib

import jax
import jax.numpy as jnp


def stream(seed: int | jax.Array, name: str) -> jax.Array:
    """The key of the stream called `name`; `seed` (uint32) may be traced."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def example_key(stream_key: jax.Array, index: jax.Array) -> jax.Array:
    """The key of the example with this index (uint32 or int32 scalar)."""
    return jax.random.fold_in(stream_key, index)


def permutation(key: jax.Array, training: int, held_out: int) -> jax.Array:
    """The order of a finite generator's examples.

    Returns:
      int32 of shape (training + held_out,): a permutation of the first `training` examples drawn
      from the key, then a fixed permutation of the held-out examples, so that all seeds evaluate
      on the same ones and a prefix mixes documents.
    """
    held_out_N = jax.random.permutation(jax.random.key(0), held_out) + training
    order_N = jnp.concatenate([jax.random.permutation(key, training), held_out_N])
    return order_N.astype(jnp.int32)
