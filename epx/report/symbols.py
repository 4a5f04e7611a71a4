"""ASCII replacements for the symbols of reports, for streams that cannot encode them."""

import codecs
import io
from types import MappingProxyType
from typing import TextIO

ASCII = MappingProxyType(
    {
        "𝒟": "D",
        "±": "+/-",
        "−": "-",
        "×": "x",
        "‖": "||",
        "→": "->",
        "≤": "<=",
        "≥": ">=",
        "–": "-",
        "…": "...",
        "Δ": "d",
    }
)
_HANDLER = "epx.ascii"


def ascii_names(text: str) -> str:
    """The text with symbols replaced by their ASCII names, other non-ASCII characters by `?`."""
    return "".join(c if c.isascii() else ASCII.get(c, "?") for c in text)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return ascii_names(error.object[error.start : error.end]), error.end


codecs.register_error(_HANDLER, _replace)


def degrade(*streams: TextIO) -> None:
    """Make text streams write ASCII names for symbols that their encoding lacks."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)
