"""A cache of compiled programs whose entries are checked before JAX loads them.

JAX writes entries in place and loads them unchecked: one damaged byte can crash every start of the
process. Here each entry ends with its sha256. A damaged entry is removed with a warning, and its
program is compiled again.
"""

import contextlib
import hashlib
import os
import threading
from pathlib import Path

import jax
from absl import logging

_DIGEST_BYTES = 32


def use(folder: Path) -> None:
    """Keep compiled programs in a folder between runs.

    The hook is not a public interface of JAX. If a version lacks it, no program is kept.
    """
    if not _guard():
        logging.warning("compiled programs are not kept: JAX %s is unknown", jax.__version__)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def _guard() -> bool:
    """Replace the reads and writes of JAX's cache; return whether that was possible."""
    try:
        from jax._src.lru_cache import LRUCache
    except ImportError:
        return False
    if not (hasattr(LRUCache, "get") and hasattr(LRUCache, "put")):
        return False
    LRUCache.get, LRUCache.put = _get, _put
    return True


def _entry(cache, key: str) -> Path:
    return Path(str(cache.path)) / f"{key}-checked"


def _get(cache, key: str) -> bytes | None:
    """The program of a key; None if it is missing or damaged."""
    path = _entry(cache, key)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    program, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(program).digest() == digest:
        return program
    logging.warning("the compiled program %s is damaged: removed, to be compiled again", path)
    _remove(path)
    return None


def _put(cache, key: str, program: bytes) -> None:
    """Write a program atomically; warn if it cannot be written."""
    path = _entry(cache, key)
    # Threads of a process may write the same program at once.
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        temporary.write_bytes(program + hashlib.sha256(program).digest())
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        logging.warning("a compiled program is not kept (%s)", error)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # nothing is there, or the folder cannot be written
        path.unlink()
