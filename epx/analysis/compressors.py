"""Baselines for H: the size of the coded tokens under general-purpose compressors.

Compressors see the coded tokens only, an observer also their context.
"""

import functools
import gzip
import importlib.util
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


def _zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=19).compress(data)


def available() -> dict[str, Compressor]:
    """All compressors: those of Python, and zstd -19 where the package `zstandard` is there."""
    extra = {"zstd": _zstd} if importlib.util.find_spec("zstandard") else {}
    return dict(COMPRESSORS) | extra


def compressed_bits(
    tokens: np.ndarray, vocab: int, compressors: Mapping[str, Compressor] = COMPRESSORS
) -> dict[str, int]:
    """Compress a sequence of tokens with gzip -9, xz -9e or others.

    Each compressor takes the better of two layouts: tokens in 1, 2 or 4 bytes each, which preserve
    repetitions, and tokens packed into the fewest bits for the vocabulary, which suit noise.

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


# Observers compared on the same tokens need each size only once.
@functools.lru_cache(maxsize=64)
def _size(compressor: Compressor, data: bytes) -> int:
    return len(compressor(data))


def _bytes(tokens: np.ndarray, vocab: int) -> bytes:
    return tokens.astype("u1" if vocab <= 256 else "<u2" if vocab <= 65536 else "<u4").tobytes()


def pack(tokens: np.ndarray, vocab: int) -> bytes:
    """Pack tokens into the fewest bits for the vocabulary, high bits first."""
    width = max(1, (vocab - 1).bit_length())
    bits = tokens.astype(np.uint32)[:, None] >> np.arange(width - 1, -1, -1, dtype=np.uint32) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()
