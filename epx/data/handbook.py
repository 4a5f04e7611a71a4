"""The Debian Administrator's Handbook as the same plain text in five languages.

The translations follow the English text by paragraph and leave a quarter to a third of the
paragraphs in English. Only paragraphs that all four translations translate are kept.
"""

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import NamedTuple

from epx.types import refusal

LANGUAGES = ("en-US", "fr-FR", "de-DE", "es-ES", "it-IT")

_BREAKS = {"div", "p", "li", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6", "td", "th"}
_LEFT_OUT_TAGS = {"head", "pre"}  # `pre` holds terminal output
_LEFT_OUT = {
    ("id", "banner"),
    ("id", "title"),
    ("class", "docnav"),
    ("class", "toc"),
    ("class", "url"),
}
# References to other sections are translated even in untranslated sentences.
_REFERENCE = ("class", "xref")


class Paragraph(NamedTuple):
    """A paragraph of a page.

    Attributes:
      text: the full text, on one line.
      own: the text without references to other sections.
    """

    text: str
    own: str


def paragraphs(page: str) -> list[Paragraph]:
    """Headings and paragraphs of an HTML page, without navigation, listings and URLs."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.paragraphs


def parallel(pages: Iterable[tuple[str, str, str]]) -> dict[str, dict[str, str]]:
    """The paragraphs of each page that exist in every language.

    A page whose number of paragraphs differs between languages is left out.

    Args:
      pages: language (one of LANGUAGES), name and HTML of each page, in any order.

    Returns:
      The text of each page by language and name: the same paragraphs in every language, each
      followed by a blank line.

    Raises:
      ValueError: a language lacks a page.
    """
    versions = {language: {} for language in LANGUAGES}
    for language, name, page in pages:
        versions[language][name] = paragraphs(page)
    for language in LANGUAGES[1:]:
        if versions[language].keys() != versions["en-US"].keys():
            raise refusal("language", language, "a handbook with the same pages as in English")
    texts = {language: {} for language in LANGUAGES}
    for name in versions["en-US"]:
        columns = [versions[language][name] for language in LANGUAGES]
        if len(set(map(len, columns))) > 1:
            continue
        kept = [row for row in zip(*columns) if _translated(row)]
        for language, column in zip(LANGUAGES, zip(*kept)):
            texts[language][name] = "".join(f"{paragraph.text}\n\n" for paragraph in column)
    return texts


def _translated(row: tuple[Paragraph, ...]) -> bool:
    english, *others = row
    return all(other.own != english.own for other in others)


class _Reader(HTMLParser):
    """Collector of the paragraphs of XHTML."""

    def __init__(self):
        super().__init__()
        self.paragraphs = []
        self._text, self._own = [], []
        self._open = []  # for each open element: (text is left out, text is a reference)

    def handle_starttag(self, tag, attrs):
        if tag in _BREAKS:
            self._end_paragraph()
        marks = {(name, word) for name, value in attrs for word in (value or "").split()}
        left_out, reference = self._open[-1] if self._open else (False, False)
        left_out = left_out or tag in _LEFT_OUT_TAGS or not marks.isdisjoint(_LEFT_OUT)
        self._open.append((left_out, reference or _REFERENCE in marks))

    def handle_startendtag(self, tag, attrs):
        pass  # such as an image

    def handle_endtag(self, tag):
        if tag in _BREAKS:
            self._end_paragraph()
        if self._open:
            self._open.pop()

    def handle_data(self, data):
        left_out, reference = self._open[-1] if self._open else (True, False)
        if not left_out:
            self._text.append(data)
            if not reference:
                self._own.append(data)

    def close(self):
        super().close()
        self._end_paragraph()

    def _end_paragraph(self):
        # Non-breaking spaces are kept: French typography has many.
        text, own = (
            re.sub(r"[ \t\r\n]+", " ", "".join(part)).strip(" ") for part in (self._text, self._own)
        )
        if text:
            self.paragraphs.append(Paragraph(text, own))
        self._text, self._own = [], []
