"""Debian packages: archives built by hand and by dpkg-deb, and an apt-get of the test's own."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from epx.data import debian

COMPRESS = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
CONTENT = {"usr/share/doc/a": b"first", "usr/share/doc/b": b"x" * 5000, "usr/bin/c": b""}


def tar_bytes(content, prefix="./"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, kind in (("usr/link", tarfile.SYMTYPE), ("usr/twin", tarfile.LNKTYPE)):
            member = tarfile.TarInfo(prefix + name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    return buffer.getvalue()


def write_deb(path, content, compression=".xz"):
    """A `.deb` as deb(5) describes it."""
    data = COMPRESS.get(compression, bytes)(tar_bytes(content))
    members = {"debian-binary": b"2.0\n", "control.tar": b"odd", f"data.tar{compression}": data}
    whole = b"!<arch>\n"
    for name, body in members.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n"
        whole += header.encode() + body + b"\n" * (len(body) % 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize("compression", COMPRESS)
def test_deb_is_read(tmp_path, compression):
    path = write_deb(tmp_path / "demo_1.0_all.deb", CONTENT, compression)
    assert list(debian.files(path)) == list(CONTENT.items())  # in order, and no links
    assert [name for name, _ in debian.files(path, "usr/share/")] == list(CONTENT)[:2]


@pytest.mark.parametrize("compression", COMPRESS)
def test_tar_is_read(tmp_path, compression):
    path = tmp_path / f"demo_1.0.orig.tar{compression}"
    path.write_bytes(COMPRESS[compression](tar_bytes(CONTENT, "demo-1.0/")))
    assert dict(debian.files(path)) == {f"demo-1.0/{k}": v for k, v in CONTENT.items()}


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="no dpkg-deb on this machine")
@pytest.mark.parametrize("compression", ["xz", "gzip", "none"])
def test_deb_of_dpkg_is_read(tmp_path, compression):
    root = tmp_path / "root"
    for name, data in CONTENT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "DEBIAN").mkdir()
    control = (
        "Package: demo\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x.x>\nDescription: x\n"
    )
    (root / "DEBIAN" / "control").write_text(control)
    path = tmp_path / "demo_1_all.deb"
    command = ["dpkg-deb", f"-Z{compression}", "--build", root, path]
    subprocess.run(command, check=True, capture_output=True)
    assert dict(debian.files(path)) == CONTENT


def test_unreadable_compression_is_refused(tmp_path):
    path = write_deb(tmp_path / "demo_1.0_all.deb", CONTENT, ".zst")
    with pytest.raises(ValueError, match=r"demo_1.0_all.deb.*\.xz; this holds data.tar.zst"):
        list(debian.files(path))


@pytest.mark.parametrize("compression", ["", ".xz", ".gz"])
def test_truncated_deb_is_refused(tmp_path, compression):
    path = write_deb(tmp_path / "demo_1.0_all.deb", CONTENT, compression)
    whole = path.read_bytes()
    for length in [0, 4, 30, *range(60, len(whole) - 1, 40)]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"demo_1.0_all.deb.*this one is damaged"):
            list(debian.files(path))
    if compression:
        path.write_bytes(whole[:-9] + bytes(9))  # another check sum
        with pytest.raises(ValueError, match="is damaged"):
            list(debian.files(path))


# Knows one package, whose file it copies in two halves; with BREAK it dies after the first.
APT_GET = """#!{python}
import os, sys
home = {home!r}
words = sys.argv[1:]
with open(os.path.join(home, "log"), "a") as log:
    log.write(" ".join(words) + "\\n")
wanted = dict(zip(words, words[1:]))
options = [b for a, b in zip(words, words[1:]) if a == "-o"]
if words[-1] == "update":
    print("Get:1 lists"), print("Ign:2 lists"), print("W: a mirror is down", file=sys.stderr)
    sys.exit(100)
store = os.path.join(home, "store")
found = [f for f in sorted(os.listdir(store)) if f.startswith(words[-1] + "_")]
if not found:
    print("E: Unable to locate package", words[-1], file=sys.stderr)
    sys.exit(100)
if "--print-uris" in words:
    for file in found:
        print("'http://mirror/" + file + "' " + file + " 10 SHA256:0")
    sys.exit(0)
for file in found:
    data = open(os.path.join(store, file), "rb").read()
    done = os.path.getsize(file) if os.path.exists(file) else 0
    print("Get:1", file, "from", done)
    half = len(data) // 2
    with open(file, "ab") as out:
        out.write(data[done:half])
        if os.path.exists(os.path.join(home, "break")):
            sys.exit(130)
        out.write(data[max(done, half):])
"""
APT_CONFIG = """#!/bin/sh
echo "LIST='{home}/etc/sources.list'"
echo "PARTS='{home}/etc/parts/'"
"""


@pytest.fixture
def apt(tmp_path, monkeypatch):
    """A machine of the test's own; its folder holds `store`, `log` and `etc`."""
    home = tmp_path / "apt"
    for folder in ("bin", "store", "etc/parts"):
        (home / folder).mkdir(parents=True)
    for name, text in (("apt-get", APT_GET), ("apt-config", APT_CONFIG)):
        (home / "bin" / name).write_text(text.format(python=sys.executable, home=str(home)))
        (home / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{home / 'bin'}")
    return home


def no_apt(monkeypatch):
    monkeypatch.setenv("PATH", "")


def test_package_is_fetched_once_and_kept(apt, tmp_path, monkeypatch):
    write_deb(apt / "store" / "demo_1.0_all.deb", CONTENT)
    write_deb(apt / "store" / "demo_1.0_all.deb.asc", CONTENT)
    heard, folder = [], tmp_path / "downloads"
    path = debian.package("demo", folder, heard.append)
    assert path == folder / "demo_1.0_all.deb"
    assert dict(debian.files(path)) == CONTENT
    assert heard == ["Get:1 lists", "Get:1 demo_1.0_all.deb from 0", *heard[2:]]
    no_apt(monkeypatch)
    assert debian.package("demo", folder) == path  # used as it is, without apt


def test_apt_writes_below_the_cache_only(apt, tmp_path):
    write_deb(apt / "store" / "demo_1.0_all.deb", CONTENT)
    folder = tmp_path / "downloads"
    debian.package("demo", folder)
    for line in (apt / "log").read_text().splitlines():
        options = dict(word.split("=", 1) for word in line.split() if "=" in word)
        for key in ("Dir::State::lists", "Dir::Cache"):
            assert Path(options[key]).is_relative_to(folder)
            assert Path(options[key]).is_dir()


def test_interrupted_download_goes_on(apt, tmp_path):
    write_deb(apt / "store" / "demo_1.0_all.deb", CONTENT)
    (apt / "break").touch()
    folder = tmp_path / "downloads"
    with pytest.raises(debian.FetchError, match=r"demo of Debian .*ended with status 130"):
        debian.package("demo", folder)
    assert not list(folder.glob("*.deb"))  # half a file is not where finished ones are looked for
    (apt / "break").unlink()
    heard = []
    path = debian.package("demo", folder, heard.append)
    size = (apt / "store" / "demo_1.0_all.deb").stat().st_size
    assert heard[-1] == f"Get:1 demo_1.0_all.deb from {size // 2}"
    assert dict(debian.files(path)) == CONTENT


SOURCES = """Types: deb
URIs: http://deb.example.org/debian
Suites: stable
Components: main

Enabled: no
Types: deb deb-src
URIs: http://other.example.org
"""
LIST = "# deb is what follows\ndeb [arch=amd64] http://one.example.org stable main\n"


def test_source_package_uses_the_configured_sources(apt, tmp_path):
    names = ["demo_1.0.orig.tar.gz", "demo_1.0.orig-extra.tar.gz", "demo_1.0-1.debian.tar.xz"]
    for name in names:
        (apt / "store" / name).write_bytes(gzip.compress(tar_bytes(CONTENT, "demo/")))
    (apt / "etc" / "sources.list").write_text(LIST)
    (apt / "etc" / "parts" / "debian.sources").write_text(SOURCES)
    (apt / "etc" / "parts" / "off.sources.disabled").write_text(SOURCES)
    path = debian.source("demo", tmp_path / "downloads")
    assert path.name == "demo_1.0.orig.tar.gz"
    assert dict(debian.files(path))["demo/usr/share/doc/a"] == b"first"
    fetch = (apt / "log").read_text().splitlines()[-1]
    assert "source --download-only --tar-only demo" in fetch
    parts = Path(dict(w.split("=", 1) for w in fetch.split() if "=" in w)["Dir::Etc::sourceparts"])
    assert sorted(os.listdir(parts)) == ["debian.sources", "sources.list"]
    expected = SOURCES.replace("Types: deb\n", "Types: deb-src\n").replace("deb deb-src", "deb-src")
    assert (parts / "debian.sources").read_text() == expected
    assert (parts / "sources.list").read_text() == LIST.replace("\ndeb ", "\ndeb-src ")


@pytest.mark.parametrize("fetch", [debian.package, debian.source])
def test_missing_apt_names_the_manual_download(tmp_path, monkeypatch, fetch):
    no_apt(monkeypatch)
    with pytest.raises(debian.FetchError) as error:
        fetch("demo", tmp_path)
    message = str(error.value)
    assert "no apt-get" in message and "package demo of Debian" in message
    assert f"put it into {tmp_path}" in message and "demo_VERSION" in message
    assert "\n" not in message
    assert not list(tmp_path.iterdir())


def test_apt_errors_are_passed_on(apt, tmp_path):
    with pytest.raises(debian.FetchError, match=r"W: a mirror.*; E: Unable to locate package demo"):
        debian.package("demo", tmp_path)


def test_manually_downloaded_file_is_used(tmp_path, monkeypatch):
    no_apt(monkeypatch)
    write_deb(tmp_path / "demo-doc_9_all.deb", {})  # of another package
    path = write_deb(tmp_path / "demo_1%3a2.0-1_amd64.deb", CONTENT)
    assert debian.package("demo", tmp_path) == path
    assert debian.version(path) == "1:2.0-1"


def test_debian_patch_is_not_taken_for_the_source(tmp_path, monkeypatch):
    no_apt(monkeypatch)
    for name in ("demo_1.0-1.debian.tar.xz", "demo_1.0.orig.tar.gz.asc"):
        (tmp_path / name).touch()
    with pytest.raises(debian.FetchError):
        debian.source("demo", tmp_path)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("a_1.0.orig.tar.gz", "1.0"),
        ("a_1.0.tar.xz", "1.0"),
        ("a-b_2+x-3_all.deb", "2+x-3"),
        ("a_7_all.deb", "7"),
    ],
)
def test_version_is_read_from_a_file_name(name, version):
    assert debian.version(Path("folder") / name) == version
