"""Anybody's data as tokens: text, bytes, arrays of tokens, pictures.

And the controls that are measured beside them: the same tokens in random order, tokens drawn with
the same frequencies, and a constant.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from epx import files
from epx.types import refusal, require

KEY = "file"
MOST_CHARACTERS = 512  # different ones, of a text that is read by character
MOST_TOKENS = 2**16  # different ones
LEAST_TOKENS = 1024
PATCH, LEVELS = 8, 16  # of pictures: sides of a patch in pixels, and levels of grey
PICTURES = ("png", "jpg", "jpeg", "bmp", "gif", "tif", "tiff", "pgm")
HELD_OUT = 0.1
MOSTLY = 0.5  # of every second byte is 0 in UTF-16 of a Latin alphabet


class Source(NamedTuple):
    """Data as tokens.

    Attributes:
      name: of the file.
      tokens_N: int32, one after the other.
      vocab: number of different tokens, V.
      length: tokens of an example, or None where any length will do.
      unit: what a token is: `character`, `byte`, `token` or `pixel`.
      bytes_per_token: of the file; 0 where bytes say nothing.
    """

    name: str
    tokens_N: np.ndarray
    vocab: int
    length: int | None
    unit: str
    bytes_per_token: float


def read(path: Path | str) -> Source:
    """The tokens of a file, or of a folder of pictures.

    Raises:
      ValueError: there is no such file, or too little in it to be measured.
    """
    path = Path(path)
    if path.is_dir():
        return _checked(path, *_pictures(path))
    if path.suffix in (".npy", ".npz"):
        return _checked(path, *_array(path))
    content = files.read(KEY, str(path), "a file, or a folder of pictures")
    require(KEY, str(path), bool(content), "a file that is not empty")
    require(KEY, str(path), not _is_wide(content), "text in UTF-8; this one is in UTF-16")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    alphabet = sorted(set(text))
    if text and len(alphabet) <= MOST_CHARACTERS:
        codes_N = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        tokens_N = np.searchsorted([ord(symbol) for symbol in alphabet], codes_N)
        return _checked(path, tokens_N, None, "character", len(content) / len(text))
    return _checked(path, np.frombuffer(content, np.uint8), None, "byte", 1.0)


def _is_wide(content: bytes) -> bool:
    """Whether a file looks like text in UTF-16, which has a mark, or zeros at every second place.

    Arrays of numbers have such zeros too; what stands between them is no text.
    """
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    bytes_N = np.frombuffer(content, np.uint8)
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(content) % 2 == 0 and (bytes_N[first::2] == 0).mean() > MOSTLY:
            text = content.decode(encoding, errors="replace")
            return all(symbol.isprintable() or symbol.isspace() for symbol in text)
    return False


def _checked(
    path: Path, tokens: np.ndarray, length: int | None, unit: str, bytes_per_token: float
) -> Source:
    count = f"at least {LEAST_TOKENS} tokens; this one has {tokens.size}"
    require(KEY, str(path), tokens.size >= LEAST_TOKENS, f"data of {count}")
    different, tokens_N = np.unique(tokens.reshape(-1), return_inverse=True)
    vocab = len(different)
    require(KEY, str(path), vocab > 1, "data of at least two different tokens; all are the same")
    bound = f"data of at most {MOST_TOKENS:,} different tokens; this one has {vocab:,}"
    require(KEY, str(path), vocab <= MOST_TOKENS, bound)
    return Source(path.name, tokens_N.astype(np.int32), vocab, length, unit, bytes_per_token)


def _array(path: Path) -> tuple[np.ndarray, int | None, str, float]:
    """Whole numbers: a stream, or rows that are examples."""
    accepted = "a .npy or a .npz with an array `tokens`, of whole numbers from 0"
    files.existing(KEY, str(path), accepted)
    try:
        found = np.load(path, allow_pickle=False)
        array = found["tokens"] if path.suffix == ".npz" else found
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise refusal(KEY, str(path), f"{accepted}; {str(error).lower()}") from error
    kind = f"{accepted}; this is {array.dtype} of shape {array.shape}"
    whole = np.issubdtype(array.dtype, np.integer) and array.ndim in (1, 2) and array.size > 0
    require(KEY, str(path), whole and array.min() >= 0, kind)
    length = array.shape[1] if array.ndim == 2 else None
    return array, length, "token", 0.0


def _pictures(folder: Path) -> tuple[np.ndarray, int, str, float]:
    """Patches of all pictures of a folder, row by row, in a few levels of grey."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower().lstrip(".") in PICTURES)
    require(KEY, str(folder), bool(paths), f"a folder of pictures: {', '.join(PICTURES)}")
    return np.concatenate([patches(path) for path in paths]), PATCH * PATCH, "pixel", 0.0


def patches(path: Path) -> np.ndarray:
    """The whole patches of a picture, a row for each, uint8 levels of grey below LEVELS.

    Raises:
      ValueError: it is no picture.
    """
    from PIL import Image, UnidentifiedImageError  # comes with matplotlib

    try:
        with Image.open(path) as picture:
            grey_HxW = np.asarray(picture.convert("L"))
    except (OSError, UnidentifiedImageError) as error:
        raise refusal(KEY, str(path), f"a picture; {str(error).lower()}") from error
    return _cut(grey_HxW) // (256 // LEVELS)


def _cut(grey_HxW: np.ndarray) -> np.ndarray:
    """The whole patches of a picture, a row for each."""
    rows, columns = (size // PATCH for size in grey_HxW.shape)
    cut = grey_HxW[: rows * PATCH, : columns * PATCH].reshape(rows, PATCH, columns, PATCH)
    return cut.swapaxes(1, 2).reshape(-1, PATCH * PATCH)


def examples(source: Source, length: int, count: int | None = None) -> np.ndarray:
    """The first examples of a source, NxT.

    Args:
      source: the data.
      length: tokens of an example, where the source does not fix them.
      count: examples; None is all.
    """
    length = source.length or length
    rows = len(source.tokens_N) // length
    rows = rows if count is None else min(rows, count)
    return source.tokens_N[: rows * length].reshape(rows, length)


def controls(tokens_NxT: np.ndarray, vocab: int, seed: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """The controls of examples, of the same shape.

    The order is random within the training part and within the held-out tenth, so that both keep
    their frequencies.
    """
    random = np.random.default_rng(seed)
    start = len(tokens_NxT) - max(1, round(HELD_OUT * len(tokens_NxT)))
    parts = [
        random.permutation(part.reshape(-1)).reshape(part.shape)
        for part in (tokens_NxT[:start], tokens_NxT[start:])
    ]
    yield "shuffled", np.concatenate(parts)
    frequency_V = np.bincount(tokens_NxT.reshape(-1), minlength=vocab)
    drawn = random.choice(vocab, tokens_NxT.shape, p=frequency_V / frequency_V.sum())
    yield "noise of the same frequencies", drawn.astype(tokens_NxT.dtype)
    yield "a constant", np.full_like(tokens_NxT, frequency_V.argmax())


def repeated(tokens_N: np.ndarray, width: int = 32) -> float:
    """The share of the pieces of `width` tokens that occurred before, at any place.

    Pieces are compared by a hash of 64 bits.
    """
    codes_N = np.asarray(tokens_N, np.uint64) + np.uint64(1)
    count = len(codes_N) - width + 1
    hashes = np.zeros(max(count, 0), np.uint64)
    for offset in range(width):  # a polynomial in an odd number, modulo 2^64
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + codes_N[offset : offset + count]
    _, first, index = np.unique(hashes, return_index=True, return_inverse=True)
    starts = np.arange(0, len(hashes), width)
    return float((first[index[starts]] < starts).mean()) if len(starts) else 0.0
