"""Tokens from a `.npy` or `.npz` file: examples, or a stream cut into windows.

The last 10 % of the examples, at least one, are held out; the key draws the order of the others. A
`.npz` file holds the array `tokens` and optionally `coded` (of the same shape, true or 1 where a
token is charged) and `side` (a vector for each token, free context for observers that read it).

>>> import tempfile
>>> path = f"{tempfile.mkdtemp()}/digits.npy"
>>> np.save(path, np.arange(45) % 9)
>>> generator = make(jax.random.key(0), path=path, length=4)
>>> generator.spec
Spec(vocab=9, length=4, size=9, version=1, held_out=2, given=0, side=0)
>>> generator.example(jax.random.key(1), 10).tokens_T.tolist()
[4, 5, 6, 7]
"""

import functools
import zipfile
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from epx import files, streams
from epx.generators._bounds import MAX_LENGTH
from epx.types import Example, Spec, refusal, require, require_whole

VERSION = 1
TINY = dict(length=8)  # and a `path`, which has no default

MAX_VOCAB = 2**24  # an embedding of width 1 takes 64 MiB
MAX_BYTES = 2**32
DEFAULT_LENGTH = 64
_KEY = "generator.path"


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["tokens_NxT", "coded_NxT", "side_NxTxR", "order_N"],
    meta_fields=["vocab", "size", "given"],
)
@dataclass(frozen=True)
class Tokens:
    """N examples of T tokens. Members of an ensemble may vary the arrays.

    Attributes:
      tokens_NxT: int32; the training examples, then the held-out ones, in the order of the file.
      coded_NxT: bool, marks the charged tokens; None: all.
      side_NxTxR: float32, the vector read with each token; None: none.
      order_N: int32, the row of each index: a permutation of the training rows, then a fixed
        permutation of the held-out rows.
      vocab, size, given: as in `Spec`; N = size + held_out.
    """

    tokens_NxT: jax.Array
    coded_NxT: jax.Array | None
    side_NxTxR: jax.Array | None
    order_N: jax.Array
    vocab: int
    size: int
    given: int

    @property
    def spec(self) -> Spec:
        """Finite; the vocabulary is that of the file, or the argument `vocab`."""
        count, length = self.tokens_NxT.shape[-2:]
        side = 0 if self.side_NxTxR is None else self.side_NxTxR.shape[-1]
        return Spec(self.vocab, length, self.size, VERSION, count - self.size, self.given, side)

    def example(self, key: jax.Array, index: jax.Array) -> Example:
        """The example of this index, below size + held_out; `key` is not used."""
        row = self.order_N[index]
        tokens_T = self.tokens_NxT[row]
        coded_T = jnp.ones_like(tokens_T, bool) if self.coded_NxT is None else self.coded_NxT[row]
        side_TxR = None if self.side_NxTxR is None else self.side_NxTxR[row]
        return Example(tokens_T, coded_T, side_TxR)

    def oracle_nats(self, example: Example) -> None:
        """None: the law of the file is unknown."""

    def symbols(self, tokens_T: np.ndarray | jax.Array) -> list[str]:
        """The numbers, each with a space after it."""
        return [f"{token} " for token in np.asarray(tokens_T).tolist()]


def make(key: jax.Array, path: str = "", length: int = 0, vocab: int = 0) -> Tokens:
    """Tokens from a file.

    Args:
      key: draws the order of the training examples.
      path: a `.npy` or `.npz` file of integers, at least 0: one axis is a stream, two axes are
        examples. Required.
      length: tokens in an example of a stream, whose shorter tail is dropped; 0: 64. For a file of
        examples 0, or the length in the file.
      vocab: number of different tokens; 0: the largest token of the file plus one.

    Raises:
      ValueError: an argument outside these bounds, or a file without such arrays.
    """
    require_whole("generator.length", length, 0, MAX_LENGTH, "a batch of examples is in memory")
    require_whole("generator.vocab", vocab, 0, MAX_VOCAB, "an embedding has a row for each")
    file = _checked_path(path)
    tokens_NxT, coded_NxT, side_NxTxR, largest = _load(str(file), file.stat().st_mtime_ns, length)
    fits = vocab == 0 or vocab > largest
    require("generator.vocab", vocab, fits, f"0, or more than {largest}, the largest token")
    held_out = -(-len(tokens_NxT) // 10)
    size = len(tokens_NxT) - held_out
    given = 0 if coded_NxT is None else int(jnp.argmax(coded_NxT.any(0)))
    order_N = streams.permutation(key, size, held_out)
    return Tokens(tokens_NxT, coded_NxT, side_NxTxR, order_N, vocab or largest + 1, size, given)


def _checked_path(path: str) -> Path:
    """The path of a file that exists."""
    accepted = "the path of a .npy or .npz file of whole numbers"
    require(_KEY, path, path != "", accepted)
    file = files.existing(_KEY, path, accepted)
    require(_KEY, path, file.suffix in (".npy", ".npz"), f"{accepted}, by the end of its name")
    size = file.stat().st_size
    require(_KEY, path, size <= MAX_BYTES, f"files of at most 4 GiB; this one has {size:,} bytes")
    return file


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


# Members of an ensemble share one file. A modified file is read again.
@functools.lru_cache(maxsize=2)
def _load(path: str, modified_ns: int, length: int) -> tuple:
    """tokens_NxT, coded_NxT and side_NxTxR on the device, and the largest token."""
    del modified_ns
    arrays = _read(path)
    tokens = arrays["tokens"]
    kind = f"tokens are {tokens.dtype} of shape {tokens.shape}"
    accepted = f"whole numbers with one axis (a stream) or two (examples); {kind}"
    whole = np.issubdtype(tokens.dtype, np.integer)
    require(_KEY, path, whole and tokens.ndim in (1, 2), accepted)
    coded, side = arrays.get("coded"), arrays.get("side")
    if coded is not None:
        _require_mask(path, coded, tokens.shape)
    if side is not None:
        side = _checked_side(path, side, tokens.shape)
    needed = 2 * (length or DEFAULT_LENGTH)
    if tokens.ndim == 1:
        width = length or DEFAULT_LENGTH
        accepted = f"streams of at least {needed} tokens with length={width}"
        require(_KEY, path, tokens.size >= needed, f"{accepted}; this one has {tokens.size}")
        tokens, coded, side = (
            None if array is None else _windows(array, width) for array in (tokens, coded, side)
        )
    rows, width = tokens.shape
    require(_KEY, path, rows >= 2, f"at least 2 examples; this file has {rows}")
    require(_KEY, path, 1 <= width <= MAX_LENGTH, f"examples of 1 to {MAX_LENGTH:,} tokens")
    require("generator.length", length, length in (0, width), f"0 or {width}, as in path={path!r}")
    least, largest = int(tokens.min()), int(tokens.max())
    accepted = f"tokens from 0 to {MAX_VOCAB - 1}; these are from {least} to {largest}"
    require(_KEY, path, least >= 0 and largest < MAX_VOCAB, accepted)
    if coded is not None:
        empty = np.flatnonzero(~coded.astype(bool).any(1))
        first = f"; example {empty[0]} has none" if empty.size else ""
        require(_KEY, path, not empty.size, f"at least one coded token in every example{first}")
    with jax.ensure_compile_time_eval():  # the cached arrays must not be traced
        return (
            jnp.asarray(tokens.astype(np.int32)),
            None if coded is None else jnp.asarray(coded.astype(bool)),
            None if side is None else jnp.asarray(side),
            largest,
        )


def _windows(array: np.ndarray, width: int) -> np.ndarray:
    """A stream cut into rows of this width, without the shorter tail."""
    count = len(array) // width
    return array[: count * width].reshape(count, width, *array.shape[1:])


def _read(path: str) -> dict[str, np.ndarray]:
    """The arrays of a file by name; a `.npy` file has `tokens`. Nothing is unpickled."""
    accepted = "a .npy file, or a .npz file with an array `tokens` (and `coded`, `side`)"
    try:
        if path.endswith(".npy"):
            return {"tokens": np.lib.format.open_memmap(path, mode="r")}
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked <= MAX_BYTES:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise refusal(_KEY, path, f"{accepted}; {_reason(error)}") from error
    bound = f"files of at most 4 GiB; this one has {unpacked:,} bytes when unpacked"
    require(_KEY, path, unpacked <= MAX_BYTES, bound)
    names = ", ".join(sorted(arrays)) or "no arrays"
    legal = "tokens" in arrays and arrays.keys() <= {"tokens", "coded", "side"}
    require(_KEY, path, legal, f"{accepted}; this one has {names}")
    return arrays


def _require_mask(path: str, coded: np.ndarray, shape: tuple[int, ...]) -> None:
    binary = coded.dtype == bool or (
        np.issubdtype(coded.dtype, np.integer) and np.isin(coded, (0, 1)).all()
    )
    accepted = f"an array `coded` of booleans (or 0 and 1) of shape {shape}, as `tokens`"
    here = f"this one is {coded.dtype} of shape {coded.shape}"
    require(_KEY, path, binary and coded.shape == shape, f"{accepted}; {here}")


def _checked_side(path: str, side: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Side information as float32: a vector for each token of an array of this shape."""
    here = f"this one is {side.dtype} of shape {side.shape}"
    accepted = (
        f"an array `side` of numbers of shape {(*shape, 'R')}, a vector for each token; {here}"
    )
    numbers = any(np.issubdtype(side.dtype, kind) for kind in (np.bool_, np.integer, np.floating))
    fits = side.shape[:-1] == shape and side.shape[-1:] > (0,)
    require(_KEY, path, numbers and fits, accepted.replace("'", ""))
    largest = np.finfo(np.float32).max
    # A comparison with NaN is false.
    legal = bool(((side >= -largest) & (side <= largest)).all())
    require(_KEY, path, legal, "`side` of finite numbers within float32")
    return side.astype(np.float32)
