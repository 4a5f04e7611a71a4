"""What epx finds on this machine: versions, devices, caches, corpora, free disk space; warns of a
GPU that is visible but unused.

    python -m experiments.doctor

Takes a few seconds.
"""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

import jax

import epx
from epx.data import cache as caches
from epx.data import catalogue
from experiments.cli import app, host

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "ml_collections",
    "chess",
)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _held(folder: Path) -> str:
    """MB of the files in a folder."""
    if not os.path.isdir(folder):
        return "empty"
    return (
        f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.1f} MB"
    )


def _free(folder: Path) -> str:
    """GB free on the disk that holds, or would hold, the folder."""
    there = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    return f"{shutil.disk_usage(there).free / 1e9:.1f} GB"


def software() -> list[tuple[str, str]]:
    """Versions: name and value."""
    versions = [(package, _version(package)) for package in _PACKAGES]
    return [("python", platform.python_version()), ("epx", epx.__version__), *versions]


def hardware() -> list[tuple[str, str]]:
    """What JAX runs on: name and value."""
    devices = jax.devices()
    kinds = ", ".join(sorted({device.device_kind for device in devices}))
    return [
        ("backend", jax.default_backend()),
        ("devices", f"{len(devices)} ({kinds})"),
        ("cores", str(host.granted_cores())),
    ]


def _storage() -> list[tuple[str, str]]:
    cache = caches.folder().absolute()
    parts = {"xla cache": host.compile_cache(), "corpora cache": cache / "corpora"}
    parts |= {"books cache": cache / "books", "downloads": cache / "downloads"}
    held = [(name, f"{folder}: {_held(folder)}") for name, folder in parts.items()]
    return [*held, ("free disk", _free(cache))]


def _corpora() -> list[tuple[str, str]]:
    rows = [(row.entry, row.state) for row in catalogue.listing()]
    return [(f"corpus {e.name}", f"{state}; {e.licence}; {e.about}") for e, state in rows]


def _programs() -> list[tuple[str, str]]:
    """What some corpora need beside Python."""
    needs = {"apt-get": "downloads of corpora", "stockfish": "selfplay-stockfish"}
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/games"])
    return [
        (name, f"{shutil.which(name, path=path) or 'not installed'}; for {use}")
        for name, use in needs.items()
    ]


def main() -> int:
    """Prints the report; the exit status is 1 where JAX finds no backend to run on."""
    rows, warning, status = software(), None, 0
    try:
        host.prepare()
        rows += hardware()
        warning = host.unused_gpu()
    except host.HostError as error:
        rows.append(("backend", f"none: {error}"))
        status = 1
    for name, value in rows + _storage() + _programs() + _corpora():
        print(f"{name:27}{value}")
    if warning:
        print(warning)
    return status


if __name__ == "__main__":
    app.launch(main, __doc__)
