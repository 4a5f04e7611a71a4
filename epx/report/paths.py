"""Checks of the paths of figures and summaries, before anything is computed."""

import os
from pathlib import Path

from epx.types import refusal, require

FIGURES = ("png", "pdf", "svg")


def check(key: str, path: Path | str | None, endings: tuple[str, ...] = ()) -> None:
    """Refuse a path that cannot be written.

    Args:
      key: the flag or argument that holds the path.
      path: the file to write; None is no file.
      endings: accepted endings of the name, without the dot; empty accepts any.

    Raises:
      ValueError: the path is a folder, its folder does not exist or is not writable, the system
        does not accept the name, or the ending is another one.
    """
    if path is None:
        return
    name = str(path)
    if endings:
        ending = Path(name).suffix.lstrip(".").lower()
        require(key, name, ending in endings, f"a file that ends in {', '.join(endings)}")
    try:
        exists = os.path.lexists(name)
        require(key, name, not os.path.isdir(name), "a file, not a folder")
        if not exists:
            os.stat(Path(name).parent)
            os.lstat(name)
    except FileNotFoundError:
        folder = Path(name).parent
        require(key, name, folder.is_dir(), f"a file in a folder that exists, unlike {folder}")
    except OSError as error:
        raise refusal(key, name, f"a path that can be written ({error.strerror})") from error
    folder = Path(name).parent
    legal = folder.is_dir() and os.access(folder, os.W_OK)
    require(key, name, legal, f"a file in a folder that can be written, unlike {folder}")
