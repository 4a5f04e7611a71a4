"""Text corpora: a text, the offsets of its documents, and the start of the held-out part."""

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
# A document boundary is used if it holds out between half and twice HELD_OUT.
_TOLERANCE = 2

CONTENT, EXTRA = ("text",), ("starts", "source")


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text made of documents.

    Attributes:
      name: of the prepared corpus, or the path of the file.
      text: all documents, concatenated.
      starts: int64, offsets of the documents in characters; the first is 0.
      sha256: hexadecimal digest of the text's bytes.
      source: the source of a prepared text, with its version.
      not_utf8: why the bytes of a file are not UTF-8; empty if they are. If they are not, `text`
        has one Latin-1 character for each byte.
    """

    name: str
    text: str
    starts: np.ndarray
    sha256: str
    source: str = "a file of the user"
    not_utf8: str = ""

    def encode(self, part: str) -> bytes:
        """The bytes of a part of the text."""
        return part.encode("latin-1" if self.not_utf8 else "utf-8")


def join(name: str, text: Text) -> Corpus:
    """The corpus of a prepared text."""
    joined = "".join(text.documents)
    starts = np.cumsum([0, *map(len, text.documents[:-1])], dtype=np.int64)
    return Corpus(name, joined, starts, _digest(joined.encode()), text.source)


def pack(corpus: Corpus) -> tuple[Arrays, dict[str, np.ndarray | str]]:
    """Content and extra arrays of a corpus, in the form of the cache."""
    text = np.frombuffer(corpus.text.encode(), np.uint8)
    return {"text": text}, {"starts": corpus.starts, "source": corpus.source}


def unpack(name: str, arrays: Arrays) -> Corpus:
    """The corpus in the arrays of an archive."""
    text = arrays["text"].tobytes().decode("utf-8")
    return Corpus(name, text, arrays["starts"], str(arrays["sha256"]), str(arrays["source"]))


def from_file(name: str, accepted: str) -> Corpus:
    """The corpus in a user's file, byte for byte. Blank lines separate documents.

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
    # A document keeps the blank lines after it and its indentation.
    ends = (match.end() for match in re.finditer(r"\n(?:[ \t]*\r?\n)+", text))
    starts = np.array([0, *(end for end in ends if end < len(text))], np.int64)
    return Corpus(name, text, starts, _digest(content), not_utf8=not_utf8)


def held_out_start(corpus: Corpus) -> int:
    """Offset, in characters, of the held-out part, which is about the last tenth of the text.

    The part starts at the document boundary nearest to 90 % of the text. If that boundary does not
    hold out between 5 % and 20 %, exactly 10 % are held out, with a warning.
    """
    size = len(corpus.text)
    target = (1 - HELD_OUT) * size
    boundaries = corpus.starts[1:]
    if len(boundaries):
        nearest = int(boundaries[np.argmin(np.abs(boundaries - target))])
        if HELD_OUT / _TOLERANCE <= 1 - nearest / size <= HELD_OUT * _TOLERANCE:
            return nearest
    _LOG.warning(
        "%s: no document starts near the last tenth; the last %d characters (10 %%) are held out",
        corpus.name, size - int(target),
    )  # fmt: skip
    return int(target)


def _digest(content: bytes) -> str:
    return digest([np.frombuffer(content, np.uint8)])
