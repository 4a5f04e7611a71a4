"""A cache of compiled programs whose entries are checked before JAX loads them.

JAX writes an entry in place and believes what it reads: one damaged byte can end the process, and
again at every start. Here an entry ends with its sha256. One that does not agree is dropped with
one line, and its program is compiled anew.
"""

import contextlib
import hashlib
import os
from pathlib import Path

import jax
from absl import logging

_DIGEST_BYTES = 32


def use(folder: Path) -> None:
    """Keeps compiled programs in a folder of our own, between runs.

    The hook is no public interface of JAX. Where a version does not have it, nothing is kept.
    """
    if not _guard():
        logging.warning("compiled programs are not kept: JAX %s is unknown", jax.__version__)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def _guard() -> bool:
    """Puts the check around JAX's own cache of files; whether that was possible."""
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
    """The program of a key, or None where there is none that is whole."""
    path = _entry(cache, key)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    program, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(program).digest() == digest:
        return program
    logging.warning("the compiled program %s is damaged: it is dropped and compiled anew", path)
    _remove(path)
    return None


def _put(cache, key: str, program: bytes) -> None:
    """Writes a program whole or not at all; a cache that cannot be written is none."""
    path = _entry(cache, key)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(program + hashlib.sha256(program).digest())
        os.replace(temporary, path)
    except OSError as error:
        _remove(temporary)
        logging.warning("a compiled program is not kept (%s)", error)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # nothing is there, or the folder cannot be written
        path.unlink()
