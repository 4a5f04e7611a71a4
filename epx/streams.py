"""Every random key. A stream is a function of a seed and a name, an example's key of the stream
and the example's index: x_i = generator.example(fold_in(stream, i), i). Tokens are therefore the
same for any batch size, chunk length or device count, and a resumed run needs no saved key.

The streams: `init` (an observer's parameters), `world` (what `make` draws), `train`, `eval`.
"""

import zlib

import jax


def stream(seed: int | jax.Array, name: str) -> jax.Array:
    """The key of the stream called `name`; `seed` (uint32) may be traced."""
    return jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))


def example_key(stream_key: jax.Array, index: jax.Array) -> jax.Array:
    """The key of the example with this index (uint32 or int32 scalar)."""
    return jax.random.fold_in(stream_key, index)
