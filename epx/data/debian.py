"""Debian packages, downloaded without root and read without installation.

The apt of the machine downloads from its configured sources into a folder of the cache and changes
nothing else. It checks signatures and resumes interrupted downloads. A file that is already in the
folder is used.
"""

import gzip
import io
import logging
import lzma
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from epx.types import refusal

_LOG = logging.getLogger(__name__)

Report = Callable[[str], None]

_COMPRESSIONS = ("", ".gz", ".bz2", ".xz")  # readable by the standard library of every version
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60  # bytes; bytes 48 to 57 are the size of the member


class FetchError(OSError):
    """A package could not be downloaded; the message has the reason and a remedy."""


def package(name: str, folder: Path, report: Report = _LOG.info) -> Path:
    """The binary package `name` as a `.deb` in `folder`, downloaded if it is missing.

    Args:
      name: of the package in apt.
      folder: of downloaded files.
      report: receives progress messages.

    Raises:
      FetchError: it is missing and cannot be downloaded.
    """
    return _obtain(name, Path(folder), rf"{re.escape(name)}_.+\.deb", ["download"], report)


def source(name: str, folder: Path, report: Report = _LOG.info) -> Path:
    """The upstream tar of the source package `name`; otherwise as `package`."""
    pattern = rf"{re.escape(name)}_.+(?<!\.debian)\.tar(\.\w+)?(?<!\.asc)"
    command = ["source", "--download-only", "--tar-only"]
    return _obtain(name, Path(folder), pattern, command, report)


def version(path: Path) -> str:
    """The version in the name of a file returned by `package` or `source`.

    >>> version(Path("gnuchess-book_1.02.orig.tar.gz")), version(Path("dict_1%3a2-3_all.deb"))
    ('1.02', '1:2-3')
    """
    stem = re.sub(r"(\.orig)?\.tar(\.\w+)?$|\.deb$", "", path.name)
    return stem.split("_")[1].replace("%3a", ":")


def files(path: Path, under: str = "") -> Iterator[tuple[str, bytes]]:
    """Names and contents of the regular files of a `.deb` or a tar, in the order of the archive.

    Links are left out.

    Args:
      path: a `.deb` or a tar, compressed or not.
      under: prefix of the names, such as `usr/share/doc/`.

    Raises:
      ValueError: the file is damaged, or Python cannot read its compression.
    """
    try:
        with path.open("rb") as file, tarfile.open(fileobj=_tar(file, path), mode="r:*") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isreg() and name.startswith(under):
                    yield name, archive.extractfile(member).read()
            while archive.fileobj.read(2**20):  # to the end, where the check sum is tested
                pass
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise _damaged(path, str(error)) from error


def _tar(file: io.BufferedReader, path: Path) -> io.BufferedIOBase:
    """The tar in an open file: the data of a `.deb` (an `ar` archive), or the file itself."""
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        file.seek(0)
        return file
    while header := file.read(_AR_HEADER):
        name, size = header[:16].decode("ascii", "replace").strip(" /"), header[48:58]
        if len(header) < _AR_HEADER or not size.strip().isdigit():
            raise _damaged(path, "it ends within a header")
        data = file.read(int(size))
        file.read(int(size) % 2)  # members start at even offsets
        if not name.startswith("data.tar"):
            continue
        if name.removeprefix("data.tar") not in _COMPRESSIONS:
            accepted = f"data.tar compressed by {', '.join(_COMPRESSIONS[1:])}; this holds {name}"
            raise refusal("file", str(path), accepted)
        if len(data) < int(size):
            raise _damaged(path, f"it ends within {name}")
        return io.BytesIO(data)
    raise _damaged(path, "it has no data.tar")


def _damaged(path: Path, why: str) -> ValueError:
    accepted = f"an undamaged .deb or tar; this one is damaged ({why}): remove it and start again"
    return refusal("file", str(path), accepted)


def _obtain(name: str, folder: Path, pattern: str, command: list[str], report: Report) -> Path:
    existing = [file for file in sorted(folder.glob("*")) if re.fullmatch(pattern, file.name)]
    if existing:
        return existing[-1]
    if not shutil.which("apt-get"):
        raise _missing(name, folder, command, "this machine has no apt-get")
    work = (folder / "apt" / command[0]).absolute()
    incoming = work / "incoming"
    for path in (incoming, work / "lists" / "partial", work / "cache" / "archives" / "partial"):
        path.mkdir(parents=True, exist_ok=True)
    options = _options(work, with_sources=command[0] == "source")
    # Errors of the update are ignored: if one mirror fails, another may have the package.
    _, messages = _apt([*options, "update"], incoming, report)
    _, uris = _apt([*options, *command, "--print-uris", name], incoming, lambda line: None)
    # Lines are 'URI' FILE BYTES HASH. The main part of a source sorts last.
    named = re.findall(r"^'[^']+' (\S+) \d+", "\n".join(uris), re.M)
    files = [file for file in sorted(named) if re.fullmatch(pattern, file)]
    if files:
        status, more = _apt([*options, *command, name], incoming, report)
        if status == 0 and (incoming / files[-1]).is_file():
            # Moved after the check by apt, so that a partial file is never used.
            return (incoming / files[-1]).replace(folder / files[-1])
        uris = [*more, f"E: apt-get ended with status {status}"]
    errors = [line for line in [*messages, *uris] if line[:2] in ("E:", "W:")]
    raise _missing(name, folder, command, "; ".join(errors[-3:]) or "apt does not know it")


def _missing(name: str, folder: Path, command: list[str], why: str) -> FetchError:
    kind, form = ("source", ".orig.tar.gz") if command[0] == "source" else ("binary", "_all.deb")
    return FetchError(
        f"the {kind} package {name} of Debian could not be fetched ({why}); fetch it on another"
        f" machine from https://packages.debian.org/{'source/' * (kind == 'source')}stable/{name},"
        f" put it into {folder} as {name}_VERSION{form}, and start again"
    )


def _options(work: Path, with_sources: bool) -> list[str]:
    """Options with which apt works in a folder without root."""
    settings = {
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",  # only for root: apt's own user could not write here
        "Acquire::Languages": "none",
    }
    if with_sources:  # most machines list only binary packages
        settings |= {"Dir::Etc::sourcelist": os.devnull, "Dir::Etc::sourceparts": work / "parts"}
        _write_sources(work / "parts")
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _write_sources(parts: Path) -> None:
    """Copy the machine's apt sources into a folder, as entries for source packages."""
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    query = ["LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"]
    answer = subprocess.run(["apt-config", "shell", *query], capture_output=True, text=True).stdout
    folders = dict(word.split("=", 1) for word in shlex.split(answer))
    entries = [Path(folders.get("LIST", "/etc/apt/sources.list"))]
    entries += sorted(Path(folders.get("PARTS", "/etc/apt/sources.list.d")).glob("*"))
    for file in entries:
        if file.suffix in (".list", ".sources") and file.is_file():
            text = file.read_text(errors="replace")
            text = re.sub(r"^Types:.*$", "Types: deb-src", text, flags=re.M | re.I)
            text = re.sub(r"^deb(?=[ \t])", "deb-src", text, flags=re.M)
            (parts / file.name).write_text(text)


def _apt(arguments: list[str], folder: Path, report: Report) -> tuple[int, list[str]]:
    """Run apt-get in a folder; return its exit status and its output as lines."""
    output = []
    with subprocess.Popen(
        ["apt-get", "-q", *arguments],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout:
            output.append(line.rstrip())
            if line.startswith("Get:"):
                report(line.rstrip())
    return process.returncode, output
