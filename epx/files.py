"""Files that are whole or not there: atomic writes, and digests of arrays."""

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing that appears under its name only when it is complete.

    The content goes to `path.tmp`, is flushed to the disk, and is renamed: a reader sees the old
    file or the new one, however the process ends.

    Raises:
      OSError: the disk does not take it; the old file, if there was one, is left as it was.
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
    """The sha256, hexadecimal, of the bytes of arrays, one after the other.

    Args:
      arrays: anything that numpy can hold.
      shapes: also digest each array's dtype and shape, so that equal bytes of another form differ.
    """
    sha256 = hashlib.sha256()
    for array in map(np.asarray, arrays):
        if shapes:
            sha256.update(f"{array.dtype} {array.shape}".encode())
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()
