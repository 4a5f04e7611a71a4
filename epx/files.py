"""Atomic writes, and digests of arrays."""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    The content goes to `path.tmp`, is flushed to the disk, and is renamed. A reader sees the old
    file or the new one, even if the process is killed.

    Raises:
      OSError: it cannot be written; an old file stays unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "wb") as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def digest(arrays: Iterable[np.ndarray], *, shapes: bool = False) -> str:
    """The sha256, hexadecimal, of the bytes of arrays in order.

    Args:
      arrays: numpy arrays, or values that numpy converts.
      shapes: also digest dtypes and shapes, so that equal bytes of different arrays differ.
    """
    sha256 = hashlib.sha256()
    for array in map(np.asarray, arrays):
        if shapes:
            sha256.update(f"{array.dtype} {array.shape}".encode())
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()
