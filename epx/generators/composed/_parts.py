"""The generators that another one is made of."""

import jax

from epx.types import Generator, MakeParts, require


def several(make_parts: MakeParts, key: jax.Array, name: str, text: str) -> list[Generator]:
    """The generators of the text of a config key; each has the key, or another draw of it.

    Raises:
      ValueError: as `epx.types.MakeParts`.
    """

    def key_of(draw: int) -> jax.Array:
        return jax.random.fold_in(key, draw) if draw else key

    return make_parts(key_of, name, text)


def single(make_parts: MakeParts, key: jax.Array, name: str, text: str) -> Generator:
    """The one generator of a text. Raises ValueError also if there are more."""
    parts = several(make_parts, key, name, text)
    require(name, text, len(parts) == 1, "a single generator")
    return parts[0]
