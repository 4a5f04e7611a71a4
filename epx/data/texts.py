"""Texts that windows are cut from: a text, and the places where its documents start."""

import logging
import re
from dataclasses import dataclass

import numpy as np

from epx.data import paths
from epx.data.cache import Arrays
from epx.data.sources import Text
from epx.files import digest

_LOG = logging.getLogger(__name__)

HELD_OUT = 0.1
# A document boundary is used where it leaves between half and twice HELD_OUT.
_TOLERANCE = 2

CONTENT, EXTRA = ("text",), ("starts", "source")


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text made of documents.

    Attributes:
      name: the prepared name or the path it was loaded by.
      text: all documents, one after the other, nothing between them.
      starts: int64, offsets in characters where documents start; the first is 0.
      sha256: hexadecimal digest of the text's bytes.
      source: what a prepared text was made from, with its version.
      not_utf8: why the bytes of a file are not UTF-8; empty where they are. If they are not,
        `text` has one character for each byte, of the same number (Latin-1).
    """

    name: str
    text: str
    starts: np.ndarray
    sha256: str
    source: str = "a file of the user"
    not_utf8: str = ""

    def encode(self, part: str) -> bytes:
        """The bytes that a part of the text stands for."""
        return part.encode("latin-1" if self.not_utf8 else "utf-8")


def join(name: str, text: Text) -> Corpus:
    """The corpus of a prepared text."""
    whole = "".join(text.documents)
    starts = np.cumsum([0, *map(len, text.documents[:-1])], dtype=np.int64)
    return Corpus(name, whole, starts, _digest(whole.encode()), text.source)


def pack(corpus: Corpus) -> tuple[Arrays, dict[str, np.ndarray | str]]:
    """Content and extra arrays of a corpus, as the cache keeps them."""
    text = np.frombuffer(corpus.text.encode(), np.uint8)
    return {"text": text}, {"starts": corpus.starts, "source": corpus.source}


def unpack(name: str, arrays: Arrays) -> Corpus:
    """The corpus in the arrays of an archive."""
    text = arrays["text"].tobytes().decode("utf-8")
    return Corpus(name, text, arrays["starts"], str(arrays["sha256"]), str(arrays["source"]))


def from_file(name: str, accepted: str) -> Corpus:
    """The corpus in a file of the user, byte for byte. Blank lines separate its documents.

    Raises:
      ValueError: as `epx.data.paths.read`.
    """
    content = paths.read(name, accepted)
    not_utf8 = ""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        text = content.decode("latin-1")
        not_utf8 = f"byte 0x{content[error.start]:02x} at offset {error.start}: {error.reason}"
    # A paragraph keeps the blank lines after it, and its own indentation.
    ends = (match.end() for match in re.finditer(r"\n(?:[ \t]*\r?\n)+", text))
    starts = np.array([0, *(end for end in ends if end < len(text))], np.int64)
    return Corpus(name, text, starts, _digest(content), not_utf8=not_utf8)


def held_out_start(corpus: Corpus) -> int:
    """Offset, in characters, where the held-out part starts: about the last tenth of the text.

    It is the document boundary nearest to that. Where none leaves between 5 % and 20 % of the text,
    the text is cut at exactly 10 %, with a warning.
    """
    size = len(corpus.text)
    target = (1 - HELD_OUT) * size
    boundaries = corpus.starts[1:]
    if len(boundaries):
        nearest = int(boundaries[np.argmin(np.abs(boundaries - target))])
        if HELD_OUT / _TOLERANCE <= 1 - nearest / size <= HELD_OUT * _TOLERANCE:
            return nearest
    _LOG.warning(
        "%s: no blank line near its last tenth; held out are its last %d characters (10 %%)",
        corpus.name, size - int(target),
    )  # fmt: skip
    return int(target)


def _digest(content: bytes) -> str:
    return digest([np.frombuffer(content, np.uint8)])
