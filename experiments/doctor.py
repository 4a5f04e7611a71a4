"""Print what epx finds on this machine: versions, devices, caches, corpora, free disk.

    python -m experiments.doctor

Warns of a GPU that is visible but unused. Takes a few seconds.
"""

import os
import platform
import shutil
from importlib import metadata
from pathlib import Path

import jax

import epx
from epx.data import cache, catalogue
from experiments.cli import app, host, rendering

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


def _used(folder: Path) -> str:
    """The size of the files in a folder, in MB."""
    if not os.path.isdir(folder):
        return "empty"
    return (
        f"{sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.1f} MB"
    )


def _free(folder: Path) -> str:
    """Free space on the disk of a folder, which need not exist, in GB."""
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    return f"{shutil.disk_usage(existing).free / 1e9:.1f} GB"


def software() -> list[tuple[str, str]]:
    """Names and values of versions."""
    versions = [(package, _version(package)) for package in _PACKAGES]
    return [("python", platform.python_version()), ("epx", epx.__version__), *versions]


def hardware() -> list[tuple[str, str]]:
    """Names and values of JAX's backend, devices and cores."""
    devices = jax.devices()
    kinds = ", ".join(sorted({device.device_kind for device in devices}))
    return [
        ("backend", jax.default_backend()),
        ("devices", f"{len(devices)} ({kinds})"),
        ("cores", str(host.granted_cores())),
    ]


def _storage() -> list[tuple[str, str]]:
    root = cache.folder().absolute()
    folders = {"xla cache": host.compile_cache(), "corpora cache": root / "corpora"}
    folders |= {"games cache": root / "books", "downloads": root / "downloads"}
    used = [(name, f"{folder}: {_used(folder)}") for name, folder in folders.items()]
    return [*used, ("free disk", _free(root))]


def _corpora() -> list[tuple[str, str]]:
    rows = [(row.entry, row.state) for row in catalogue.listing()]
    return [(f"corpus {e.name}", f"{state}; {e.licence}; {e.about}") for e, state in rows]


def _programs() -> list[tuple[str, str]]:
    """Programs that some corpora need."""
    uses = {"apt-get": "downloads of corpora", "stockfish": "selfplay-stockfish"}
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/games"])
    return [
        (name, f"{shutil.which(name, path=path) or 'not installed'}; for {use}")
        for name, use in uses.items()
    ]


def main() -> int:
    """Print the report; return 1 if JAX cannot start a backend, else 0."""
    rows, warning, status = software(), None, 0
    try:
        host.prepare()
        rows += hardware()
        warning = host.unused_gpu()
    except host.HostError as error:
        rows.append(("backend", f"none: {error}"))
        status = 1
    print(rendering.fitted_table(rows + _storage() + _programs() + _corpora()))
    if warning:
        print(warning)
    return status


if __name__ == "__main__":
    app.launch(main, __doc__)
