"""The cache of compiled programs: an entry that is not whole is never loaded."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.lru_cache import LRUCache
from jax.experimental.compilation_cache import compilation_cache

from experiments.cli import programs

OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache of our own in place of that of the test run."""
    folder = tmp_path_factory.mktemp("programs")
    options = {name: getattr(jax.config, name) for name in OPTIONS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LRUCache, "get", LRUCache.get)  # so that they are put back
        patch.setattr(LRUCache, "put", LRUCache.put)
        programs.use(folder)
        compilation_cache.reset_cache()
        yield folder
    for name, value in options.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def compute():
    """What a small function gives when its program comes from the cache or the compiler."""
    jax.clear_caches()
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    return np.asarray(jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x).T)(values))


def entry(cache):
    """The file of the function's program."""
    compute()
    (file,) = cache.glob("*-checked")
    return file


def test_a_whole_entry_is_loaded(cache, caplog):
    file = entry(cache)
    written = file.stat().st_mtime_ns
    compute()
    assert file.stat().st_mtime_ns == written and not caplog.records
    assert not list(cache.glob("*.[0-9]*")), "nothing half written is left"


@pytest.mark.parametrize("place", [0.0, 0.01, 0.2, 0.5, 0.8, 0.99, 1.0])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_found(cache, place, bit, caplog):
    file, wanted = entry(cache), compute()
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[round(place * (len(whole) - 1))] ^= 1 << bit
    file.write_bytes(damaged)
    assert (compute() == wanted).all()
    (line,) = caplog.messages
    assert "is damaged: removed, to be compiled again" in line and str(file) in line
    assert file.read_bytes() != bytes(damaged), "it was written again"
    assert (compute() == wanted).all() and len(caplog.messages) == 1


@pytest.mark.parametrize("size", [0, 1, 31, 32, -1])
def test_an_entry_that_is_cut_is_found(cache, size, caplog):
    file, wanted = entry(cache), compute()
    file.write_bytes(file.read_bytes()[:size])
    assert (compute() == wanted).all()
    assert [line for line in caplog.messages if "is damaged" in line] == caplog.messages
    assert len(caplog.messages) == 1 and file.stat().st_size > 32


def test_a_damaged_entry_that_stays_is_found_every_time(cache, caplog, monkeypatch):
    """In a folder that cannot be written."""

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    file, wanted = entry(cache), compute()
    file.write_bytes(b"damaged" * 9)
    monkeypatch.setattr("pathlib.Path.unlink", denied)
    monkeypatch.setattr("pathlib.Path.write_bytes", denied)
    for _ in range(2):
        assert (compute() == wanted).all()
    assert ["damaged" in line for line in caplog.messages] == [True, False] * 2


def test_a_version_of_jax_without_the_hook_keeps_nothing(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(programs, "_guard", lambda: False)
    before = jax.config.jax_compilation_cache_dir
    programs.use(tmp_path)
    assert jax.config.jax_compilation_cache_dir == before
    assert "compiled programs are not kept" in caplog.text


def test_threads_write_the_same_program_at_once(tmp_path, caplog):
    """As a run compiles several programs at once, which share their small ones."""
    cache, program = SimpleNamespace(path=tmp_path), bytes(100_000)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: programs._put(cache, "key", program), range(200)))
    assert not caplog.records and programs._get(cache, "key") == program
    assert [file.name for file in tmp_path.iterdir()] == ["key-checked"]
