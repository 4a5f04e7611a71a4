"""Text of a corpus in windows of characters, bytes or words, read forward or in reverse.

The last 10 % of the corpus, from the nearest start of a document on, is held out. The key draws the
order of the training windows, the same for every direction, so that paired runs differ only in the
direction.

A piece is a run of word characters, a run of white space, or one other character. `reverse`
reverses the tokens of a window, `reverse_words` the order of its pieces, each still read forward.
With unit=word the tokens are the most frequent pieces and all characters of the corpus; other
pieces are spelled in characters, so that nothing is lost.

>>> import jax
>>> key = jax.random.key(0)
>>> zen = make(key, corpus="zen", length=16)
>>> zen.spec
Spec(vocab=45, length=16, size=49, version=1, held_out=4, given=0, side=0)
>>> zen.decode(zen.example(key, zen.size).tokens_T)
'Namespaces are o'
>>> reverse = make(key, corpus="zen", length=16, direction="reverse")
>>> zen.example(key, 3).tokens_T[::-1].tolist() == reverse.example(key, 3).tokens_T.tolist()
True
>>> by_word = make(key, corpus="zen", length=16, direction="reverse_words")
>>> "".join(by_word.symbols(by_word.example(key, zen.size).tokens_T))
'o are Namespaces'
"""

import collections
import functools
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from epx import streams
from epx.data import catalogue, paths, texts
from epx.types import Example, Spec, refusal, require

VERSION = 1
TINY = {"corpus": "zen", "unit": "byte", "length": 16}

_DIRECTIONS = ("forward", "reverse", "reverse_words")
_UNITS = ("char", "byte", "word")
_PIECE = re.compile(r"(\w+)|(\s+)|[^\w\s]")
_OTHER = 0  # kind of a piece in no group of the pattern; else the number of its group
_BLOCK = 2**14  # windows whose pieces are reversed at once
_LONGEST = 2**20  # tokens in a window
_MOST_WORDS = 2**20  # in the vocabulary


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["tokens_NxT", "order_N", "direction"],
    meta_fields=["vocab", "length", "size", "held_out", "alphabet", "bytes_per_token", "shuffled"],
)
@dataclass(frozen=True)
class Text:
    """N windows of T tokens. Members of an ensemble may vary the arrays.

    Attributes:
      tokens_NxT: unsigned integers; the training windows, then the held-out ones, in the order of
        the corpus, with tokens in reading order.
      order_N: int32, the window of each index: a permutation of the training windows, then a fixed
        permutation of the held-out windows, so that a prefix of them mixes documents.
      direction: int32, the index of `forward`, `reverse` or `reverse_words`.
      vocab, length, size, held_out: as in `Spec`; N = size + held_out.
      alphabet: the text of each token; empty where tokens are bytes.
      bytes_per_token: mean UTF-8 bytes per token of the held-out windows, which converts bits per
        token to bits per byte of the source.
      shuffled: whether the tokens of every window are in a random order of its own.
    """

    tokens_NxT: jax.Array
    order_N: jax.Array
    direction: jax.Array
    vocab: int
    length: int
    size: int
    held_out: int
    alphabet: tuple[str, ...]
    bytes_per_token: float
    shuffled: bool

    @property
    def spec(self) -> Spec:
        return Spec(self.vocab, self.length, self.size, VERSION, self.held_out)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The window of this index, below size + held_out; `key` is not used."""
        window = self.order_N[index]
        tokens_T = self.tokens_NxT[window].astype(jnp.int32)
        if self.shuffled:
            tokens_T = jax.random.permutation(streams.stream(window, "shuffle"), tokens_T)
        return Example(tokens_T, jnp.ones(self.length, bool))

    def oracle_nats(self, example: Example) -> None:
        """None: the law of text is unknown."""

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """The text of each token, in order; \\xNN for a byte that is not printable ASCII."""
        tokens = np.asarray(tokens_T).tolist()
        if self.alphabet:
            return [self.alphabet[token] for token in tokens]
        return [chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in tokens]

    def decode(self, tokens_T: np.ndarray | jax.Array) -> str:
        """The text of these tokens in the order of the corpus, for any direction, not unshuffled.

        Bytes that are no complete UTF-8 character become U+FFFD.
        """
        direction = _DIRECTIONS[int(self.direction)]
        tokens = _reorder(np.asarray(tokens_T)[None], direction, self.alphabet)[0].tolist()
        if not self.alphabet:
            return bytes(tokens).decode("utf-8", errors="replace")
        return "".join(self.alphabet[token] for token in tokens)


def make(
    key: jax.Array,
    corpus: str = "pydoc",
    direction: str = "forward",
    unit: str = "char",
    length: int = 64,
    words: int = 4096,
    shuffled: bool = False,
) -> Text:
    """Text cut into windows.

    Args:
      key: draws the order of the training windows.
      corpus: a prepared corpus or the path of a file, see `epx.data.catalogue.text`.
      direction: `forward`, `reverse` (token by token) or `reverse_words` (piece by piece).
      unit: `char` (the distinct characters of the corpus), `byte` (any file) or `word` (frequent
        pieces and the distinct characters).
      length: tokens in a window; a shorter tail of the training or held-out part is dropped.
      words: number of frequent pieces that are tokens with unit=word, each of two characters or
        more, counted in the training part; other units ignore it.
      shuffled: a control with the same tokens and nothing to learn from their order: those of each
        window in a random order, the same in every run.

    Raises:
      ValueError: an argument outside these bounds, or a part of the corpus fills no window.
    """
    require("generator.direction", direction, direction in _DIRECTIONS, ", ".join(_DIRECTIONS))
    require("generator.unit", unit, unit in _UNITS, ", ".join(_UNITS))
    accepted = f"1 piece or more, at most {_MOST_WORDS}: each has a row in the observer's tables"
    require("generator.words", words, 1 <= words <= _MOST_WORDS, accepted)
    accepted = f"1 to {_LONGEST} tokens: an observer reads them at once"
    require("generator.length", length, 1 <= length <= _LONGEST, accepted)
    words = words if unit == "word" else 0
    source = _load(corpus, unit, length, words, paths.modified_ns(corpus))
    tokens_NxT = _on_device(source, direction)
    windows = len(source.tokens_NxT)
    return Text(
        tokens_NxT=tokens_NxT,
        order_N=streams.permutation(key, source.size, windows - source.size),
        direction=jnp.int32(_DIRECTIONS.index(direction)),
        vocab=len(source.alphabet) or 256,
        length=length,
        size=source.size,
        held_out=windows - source.size,
        alphabet=source.alphabet,
        bytes_per_token=source.bytes_per_token,
        shuffled=shuffled,
    )


@dataclass(frozen=True, eq=False)
class _Source:
    tokens_NxT: np.ndarray
    size: int
    alphabet: tuple[str, ...]
    bytes_per_token: float


# Members of an ensemble differ only in key and direction and share one text. A modified file is
# read again.
@functools.lru_cache(maxsize=2)
def _load(corpus: str, unit: str, length: int, words: int, modified_ns: int) -> _Source:
    """The windows of the training part of the corpus, `size` of them, then of the held-out part."""
    loaded = catalogue.text(corpus)
    if loaded.not_utf8 and unit != "byte":
        raise refusal(paths.KEY, corpus, f"text in UTF-8, or unit=byte; {loaded.not_utf8}")
    start = texts.held_out_start(loaded)
    both = loaded.text[:start], loaded.text[start:]
    if unit == "byte":
        alphabet, parts = (), [np.frombuffer(loaded.encode(part), np.uint8) for part in both]
    else:
        alphabet = tuple(sorted(set(loaded.text)))
        alphabet += _frequent(both[0], words) if unit == "word" else ()
        parts = [_tokenise(part, alphabet) for part in both]
    shortest = min(map(len, parts))
    if length > shortest:
        accepted = (
            f"1 to {shortest}, the {unit}s in the smaller of the training and the held-out part of "
            f"corpus={corpus!r}; windows of {length} need about {length * 10} {unit}s, and the "
            f"corpus has {sum(map(len, parts))}"
        )
        raise refusal("generator.length", length, accepted)
    windows = [part[: len(part) // length * length].reshape(-1, length) for part in parts]
    sizes_V = np.array([len(symbol.encode()) for symbol in alphabet] or [1] * 256)
    bytes_per_token = float(sizes_V[windows[1]].mean())
    return _Source(np.concatenate(windows), len(windows[0]), alphabet, bytes_per_token)


# Two entries, for two directions of one text.
@functools.lru_cache(maxsize=2)
def _on_device(source: _Source, direction: str) -> jax.Array:
    return jnp.asarray(_reorder(source.tokens_NxT, direction, source.alphabet))


def _frequent(text: str, words: int) -> tuple[str, ...]:
    """The most frequent pieces of two characters or more; ties go to the first in the alphabet."""
    counts = collections.Counter(piece for piece in _pieces(text) if len(piece) > 1)
    return tuple(sorted(counts, key=lambda piece: (-counts[piece], piece))[:words])


def _pieces(text: str) -> Iterator[str]:
    return (match.group() for match in _PIECE.finditer(text))


def _tokenise(text: str, alphabet: tuple[str, ...]) -> np.ndarray:
    """Tokens in the smallest unsigned type that holds them."""
    dtype = np.min_scalar_type(len(alphabet) - 1)
    if all(len(symbol) == 1 for symbol in alphabet):  # sorted; without a loop over characters
        code_V, code_N = (
            np.frombuffer(part.encode("utf-32-le", "surrogatepass"), "<u4")
            for part in ("".join(alphabet), text)
        )
        return np.searchsorted(code_V, code_N).astype(dtype)
    token_of = {symbol: token for token, symbol in enumerate(alphabet)}
    # A piece that is no token becomes its characters.
    symbols = itertools.chain.from_iterable(
        [piece] if piece in token_of else piece for piece in _pieces(text)
    )
    tokens = map(token_of.__getitem__, symbols)
    return np.fromiter(tokens, dtype)


def _reorder(tokens_NxT: np.ndarray, direction: str, alphabet: tuple[str, ...]) -> np.ndarray:
    """Windows in the reading order of a direction, or from it back in the order of the corpus.

    Every direction is its own inverse, because neighbouring pieces never join.
    """
    if direction == "forward":
        return tokens_NxT
    if direction == "reverse":
        return tokens_NxT[:, ::-1]
    kind_V = _kinds(alphabet)
    blocks = np.array_split(tokens_NxT, 1 + len(tokens_NxT) // _BLOCK)
    return np.concatenate([_reverse_pieces(block, kind_V) for block in blocks])


def _reverse_pieces(tokens_NxT: np.ndarray, kind_V: np.ndarray) -> np.ndarray:
    kind_NxT = kind_V[tokens_NxT]
    starts_NxT = kind_NxT == _OTHER
    starts_NxT[:, 1:] |= kind_NxT[:, 1:] != kind_NxT[:, :-1]
    piece_NxT = np.cumsum(starts_NxT, axis=1)
    return np.take_along_axis(tokens_NxT, np.argsort(-piece_NxT, axis=1, kind="stable"), axis=1)


def _kinds(alphabet: tuple[str, ...]) -> np.ndarray:
    """The kind of the piece to which each token belongs.

    Bytes beyond ASCII count as word characters, so that no character is split.
    """
    symbols = alphabet or [chr(byte) if byte < 128 else "x" for byte in range(256)]
    return np.array([_PIECE.match(symbol).lastindex or _OTHER for symbol in symbols])
