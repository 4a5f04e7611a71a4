"""Patterns of Life that are found exactly: blocks, blinkers and gliders on boards of a torus.

A pattern is found where its cells are alive, and all others of its box and of the ring of cells
around the box are dead: it then moves on as if it were alone, if nothing else comes near.
"""

import functools

import numpy as np

# One phase each; the others are its rotations and mirror images, and for the glider a second phase.
_SHAPES = {
    "block": [["oo", "oo"]],
    "blinker": [["ooo"]],
    "glider": [[".o.", "..o", "ooo"], ["o.o", ".oo", ".o."]],
}
PATTERNS = tuple(_SHAPES)
# The direction of a pattern among those that are taken out of a stream.
OWN_DIRECTION = "of the pattern"


@functools.cache
def phases(pattern: str) -> tuple[np.ndarray, ...]:
    """All different boxes of bool cells that show a pattern: 1, 2 and 16 of them."""
    found: dict[tuple, np.ndarray] = {}
    for rows in _SHAPES[pattern]:
        box = np.array([[cell == "o" for cell in row] for row in rows])
        for turned in (np.rot90(box, n) for n in range(4)):
            for image in (turned, turned[:, ::-1]):
                found[image.shape, image.tobytes()] = np.ascontiguousarray(image)
    return tuple(found.values())


def find(boards_NxHxW: np.ndarray, pattern: str) -> np.ndarray:
    """Where a pattern is, bool of the boards' shape: marked at the centre of its box.

    Of a box with two rows or columns the centre is the first of them.

    Args:
      boards_NxHxW: cells, 0 or not; both sides at least as long as a box with its ring, 5.
      pattern: one of PATTERNS.
    """
    alive = np.asarray(boards_NxHxW) != 0
    marked = np.zeros(alive.shape, bool)
    for box in phases(pattern):
        ringed = np.pad(box, 1)
        matches = np.ones(alive.shape, bool)
        for (row, column), wanted in np.ndenumerate(ringed):
            # The cell that is (row, column) behind the corner of the ring, around the torus.
            matches &= np.roll(alive, (-row, -column), axis=(1, 2)) == wanted
        centre = 1 + (box.shape[0] - 1) // 2, 1 + (box.shape[1] - 1) // 2
        marked |= np.roll(matches, centre, axis=(1, 2))
    return marked
