"""What general-purpose compressors make of the same tokens: a ruler that anybody can lay beside H.
They see the coded tokens alone, without the context that an observer may read."""

import functools
import gzip
import lzma

import numpy as np


def compressed_bits(tokens: np.ndarray, vocab: int) -> dict[str, int]:
    """Bits of gzip -9 and xz -9e for a sequence of tokens (any integer dtype, below `vocab`).

    Each takes the better of two layouts, one token to a whole number of bytes and tokens packed
    into as few bits as hold the vocabulary: bytes show repetition, packing is fair to noise.
    """
    sizes = [_sizes(_bytes(tokens, vocab)), _sizes(_packed(tokens, vocab))]
    gzip_bytes, xz_bytes = map(min, zip(*sizes))
    return {"gzip_bits": 8 * gzip_bytes, "xz_bits": 8 * xz_bytes}


# Observers that are compared are measured on the same tokens, one after the other.
@functools.lru_cache(maxsize=32)
def _sizes(data: bytes) -> tuple[int, int]:
    """Bytes of gzip and of xz."""
    extreme = 9 | lzma.PRESET_EXTREME
    return len(gzip.compress(data, 9, mtime=0)), len(lzma.compress(data, preset=extreme))


def _bytes(tokens: np.ndarray, vocab: int) -> bytes:
    return tokens.astype("u1" if vocab <= 256 else "<u2" if vocab <= 65536 else "<u4").tobytes()


def _packed(tokens: np.ndarray, vocab: int) -> bytes:
    width = max(1, (vocab - 1).bit_length())
    bits = tokens.astype(np.uint32)[:, None] >> np.arange(width - 1, -1, -1, dtype=np.uint32) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()
