"""Baselines for H: the size of the same tokens under general-purpose compressors.

They see the coded tokens alone, without the context that an observer may read."""

import functools
import gzip
import lzma
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

Compressor = Callable[[bytes], bytes]


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


COMPRESSORS = MappingProxyType({"gzip": _gzip, "xz": _xz})


def compressed_bits(
    tokens: np.ndarray, vocab: int, compressors: Mapping[str, Compressor] = COMPRESSORS
) -> dict[str, int]:
    """Compresses a sequence of tokens with gzip -9, xz -9e or others.

    Each compressor takes the better of two layouts, one token to a whole number of bytes and tokens
    packed into the fewest bits that hold the vocabulary: bytes show repetition, packing is fair to
    noise.

    Args:
      tokens: integers below `vocab`, of any integer dtype.
      vocab: number of different tokens.
      compressors: functions from bytes to bytes, by name.

    Returns:
      Sizes in bits, as `gzip_bits`, `xz_bits` and so on.
    """
    layouts = _bytes(tokens, vocab), pack(tokens, vocab)
    return {
        f"{name}_bits": 8 * min(_size(compressor, data) for data in layouts)
        for name, compressor in compressors.items()
    }


# Observers that are compared are measured on the same tokens: a size is computed once.
@functools.lru_cache(maxsize=64)
def _size(compressor: Compressor, data: bytes) -> int:
    return len(compressor(data))


def _bytes(tokens: np.ndarray, vocab: int) -> bytes:
    return tokens.astype("u1" if vocab <= 256 else "<u2" if vocab <= 65536 else "<u4").tobytes()


def pack(tokens: np.ndarray, vocab: int) -> bytes:
    """Packs tokens into the fewest bits that hold the vocabulary, high bits first."""
    width = max(1, (vocab - 1).bit_length())
    bits = tokens.astype(np.uint32)[:, None] >> np.arange(width - 1, -1, -1, dtype=np.uint32) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()
