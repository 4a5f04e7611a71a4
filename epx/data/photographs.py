"""Photographs of the package scikit-image as text: patches of 8 x 8 pixels in 16 levels of grey.

A document is a picture, its patches row by row, each of 64 hexadecimal digits, so that windows of
64 characters are patches. The pictures are read as files; nothing of the package is imported.
"""

from importlib import metadata
from pathlib import Path

from epx.data import anything
from epx.data.debian import Report
from epx.data.sources import Text, by_hash
from epx.types import refusal

DIGITS = "0123456789abcdef"
# Without drawings, screenshots, and jpeg, which is decoded differently by different libraries.
PICTURES = (
    "astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "moon",
    "motorcycle_left",
)  # fmt: skip


def photographs(downloads: Path, report: Report) -> Text:
    """One document per picture. Raises ValueError without the package."""
    try:
        package = metadata.distribution("scikit-image")
    except metadata.PackageNotFoundError:
        accepted = "a corpus in the cache, or this one with the package scikit-image: "
        raise refusal(
            "generator.corpus", "photographs", f"{accepted}pip install 'epx-jax[pictures]'"
        ) from None
    parts = {}
    for name in PICTURES:
        path = Path(package.locate_file(f"skimage/data/{name}.png"))
        levels_Nx64 = anything.patches(path)
        parts[name] = "".join(DIGITS[level] for level in levels_Nx64.reshape(-1).tolist())
    return Text(by_hash(parts), f"scikit-image {package.version}")
