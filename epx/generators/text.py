"""Text of a corpus, cut into windows and read forward or in reverse. The last 10 % of the corpus,
from the nearest start of a document on, is held out; a key draws the order of the training
windows, the same for both directions, so that a pair of runs differs in nothing but the arrow of
time.

>>> import jax
>>> key = jax.random.key(0)
>>> zen = make(key, corpus="zen", length=16)
>>> zen.spec
Spec(vocab=45, length=16, size=49, version=1, held_out=4)
>>> zen.decode(zen.example(key, zen.size).tokens_T)
'Namespaces are o'
>>> reverse = make(key, corpus="zen", length=16, direction="reverse")
>>> zen.example(key, 3).tokens_T[::-1].tolist() == reverse.example(key, 3).tokens_T.tolist()
True
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from epx import corpora
from epx.types import Example, Spec, require

VERSION = 1
TINY = {"corpus": "zen", "unit": "byte", "length": 16}

_DIRECTIONS = ("forward", "reverse")
_UNITS = ("char", "byte")


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["tokens_NxT", "order_N", "reverse"],
    meta_fields=["vocab", "length", "size", "held_out", "alphabet", "bytes_per_token"],
)
@dataclass(frozen=True)
class Text:
    """N windows of T tokens.

    Attributes:
      tokens_NxT: unsigned integers; the training windows, then those held out, in the order of the
        corpus and read forward.
      order_N: int32, the window of each index: a permutation of the training windows, then one of
        the held-out windows, the same under every key, so that the first few are no one document.
      reverse: bool, whether windows are read from their end.
      vocab, length, size, held_out: as in `Spec`; N = size + held_out.
      alphabet: the character of each token; empty where tokens are bytes.
      bytes_per_token: mean UTF-8 bytes of the corpus per token, to report bits per source byte.
    """

    tokens_NxT: jax.Array
    order_N: jax.Array
    reverse: jax.Array
    vocab: int
    length: int
    size: int
    held_out: int
    alphabet: str
    bytes_per_token: float

    @property
    def spec(self) -> Spec:
        return Spec(self.vocab, self.length, self.size, VERSION, self.held_out)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The window of this index, below size + held_out; `key` is not used."""
        tokens_T = self.tokens_NxT[self.order_N[index]].astype(jnp.int32)
        tokens_T = jnp.where(self.reverse, tokens_T[::-1], tokens_T)
        return Example(tokens_T, jnp.ones(self.length, bool))

    def oracle_nats(self, example: Example) -> None:
        """None: nobody knows the law of text."""

    def decode(self, tokens_T: np.ndarray | jax.Array) -> str:
        """The text of these tokens as a reader of the corpus would read it: a reverse world is
        turned round again. Bytes that are no whole UTF-8 character become U+FFFD."""
        tokens_T = np.asarray(tokens_T)
        if self.reverse:
            tokens_T = tokens_T[::-1]
        if not self.alphabet:
            return bytes(tokens_T.tolist()).decode("utf-8", errors="replace")
        return "".join(self.alphabet[token] for token in tokens_T)


def make(
    key: jax.Array,
    corpus: str = "pydoc",
    direction: str = "forward",
    unit: str = "char",
    length: int = 64,
) -> Text:
    """Text cut into windows.

    Args:
      key: draws the order of the training windows.
      corpus: a prepared corpus or the path of a UTF-8 file, see `epx.corpora.load`.
      direction: "forward" or "reverse".
      unit: "char", over the distinct characters of the corpus, or "byte", of its UTF-8 form.
      length: tokens in a window; a shorter tail of either part of the corpus is dropped.

    Raises:
      ValueError: an argument is not one of those above, or a window is longer than a part.
    """
    require("generator.direction", direction, direction in _DIRECTIONS, ", ".join(_DIRECTIONS))
    require("generator.unit", unit, unit in _UNITS, ", ".join(_UNITS))
    path = Path(corpus).expanduser()
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    source = _cut(corpus, unit, length, changed)
    windows = len(source.tokens_NxT)
    heldout = jax.random.permutation(jax.random.key(0), windows - source.size) + source.size
    order_N = jnp.concatenate([jax.random.permutation(key, source.size), heldout])
    return Text(
        tokens_NxT=jnp.asarray(source.tokens_NxT),
        order_N=order_N.astype(jnp.int32),
        reverse=jnp.asarray(direction == "reverse"),
        vocab=len(source.alphabet) or 256,
        length=length,
        size=source.size,
        held_out=windows - source.size,
        alphabet=source.alphabet,
        bytes_per_token=source.bytes_per_token,
    )


class _Source(NamedTuple):
    tokens_NxT: np.ndarray
    size: int
    alphabet: str
    bytes_per_token: float


# The members of an ensemble differ in their key alone and share one text. A file of the user that
# was `changed` (its time, in ns) since then is read again.
@functools.lru_cache(maxsize=2)
def _cut(corpus: str, unit: str, length: int, changed: int) -> _Source:
    """The windows of the training part of the corpus, `size` of them, then of the held-out part."""
    found = corpora.load(corpus)
    start = corpora.held_out_start(found)
    alphabet = "".join(sorted(set(found.text))) if unit == "char" else ""
    parts = [_tokenise(text, alphabet) for text in (found.text[:start], found.text[start:])]
    longest = min(map(len, parts))
    if not 1 <= length <= longest:
        raise ValueError(
            f"length={length!r}: 1 to {longest}, the {unit}s in the smaller of the training and"
            f" the held-out part of corpus={corpus!r}"
        )
    windows = [part[: len(part) // length * length].reshape(-1, length) for part in parts]
    bytes_per_token = len(found.text.encode()) / sum(map(len, parts))
    return _Source(np.concatenate(windows), len(windows[0]), alphabet, bytes_per_token)


def _tokenise(text: str, alphabet: str) -> np.ndarray:
    """Tokens in the smallest unsigned type that holds them; bytes where there is no alphabet."""
    if not alphabet:
        return np.frombuffer(text.encode(), np.uint8)
    tokens = np.searchsorted(_code_points(alphabet), _code_points(text))
    return tokens.astype(np.min_scalar_type(len(alphabet) - 1))


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))
