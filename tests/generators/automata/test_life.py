"""Life: patterns every player knows, and a slow implementation written apart."""

import itertools
import unicodedata

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.automata import life
from tests.params import parametrize

KEY = jax.random.key(0)


def board(picture: str, height: int, width: int, row: int = 0, column: int = 0) -> np.ndarray:
    """The picture ('O' alive), placed on an empty board with its corner at (row, column)."""
    cells = np.zeros((height, width), np.int32)
    for y, line in enumerate(picture.split()):
        for x, mark in enumerate(line):
            cells[row + y, column + x] = mark == "O"
    return cells


evolve = jax.jit(life.evolve, static_argnums=1)


@jax.jit
def example(generator: life.Life, key: jax.Array):
    return generator.example(key, 0)


def after(cells: np.ndarray, steps: int) -> np.ndarray:
    return np.asarray(evolve(jnp.asarray(cells), steps))


def slow_step(cells: np.ndarray) -> np.ndarray:
    height, width = cells.shape
    later = np.zeros_like(cells)
    for y in range(height):
        for x in range(width):
            neighbours = 0
            for up in (-1, 0, 1):
                for left in (-1, 0, 1):
                    if (up, left) != (0, 0):
                        neighbours += cells[(y + up) % height, (x + left) % width]
            later[y, x] = neighbours == 3 or (cells[y, x] == 1 and neighbours == 2)
    return later


def boards_of(tokens_T: np.ndarray, generator: life.Life) -> np.ndarray:
    """Frames of cells, decoded from the text of the docstring alone."""
    side, count = generator.patch, generator.patch**2
    frames = np.zeros((generator.frames, generator.height, generator.width), np.int32)
    tokens = iter(np.asarray(tokens_T).tolist())
    for frame in frames:
        for y in range(0, generator.height, side):
            for x in range(0, generator.width, side):
                cells = [int(bit) for bit in format(next(tokens), f"0{count}b")]
                frame[y : y + side, x : x + side] = np.reshape(cells, (side, side))
    return frames


def test_a_glider_moves_one_cell_diagonally_in_four_steps():
    glider = board(".O. ..O OOO", 8, 8, 5, 5)
    for steps in (4, 8, 12):  # and across the edge of the torus
        shift = steps // 4
        np.testing.assert_array_equal(after(glider, steps), np.roll(glider, (shift, shift), (0, 1)))


def test_a_lightweight_spaceship_moves_two_cells_in_four_steps():
    ship = board(".O..O O.... O...O OOOO.", 9, 16, 2, 8)
    np.testing.assert_array_equal(after(ship, 4), np.roll(ship, -2, axis=1))


def test_a_block_stays_and_a_blinker_turns():
    block = board("OO OO", 6, 6, 2, 2)
    np.testing.assert_array_equal(after(block, 1), block)
    blinker = board("OOO", 5, 5, 2, 1)
    np.testing.assert_array_equal(after(blinker, 1), blinker.T)
    np.testing.assert_array_equal(after(blinker, 2), blinker)


def test_a_pulsar_has_period_three():
    quarter = "..OOO...OOO.. ............. O....O.O....O O....O.O....O O....O.O....O ..OOO...OOO.."
    rows = quarter.split()
    pulsar = board(" ".join([*rows, ".............", *rows[::-1]]), 17, 17, 2, 2)
    for steps, same in ((1, False), (2, False), (3, True)):
        assert np.array_equal(after(pulsar, steps), pulsar) == same


SHAPES = [
    (1, 1), (1, 2), (2, 1), (1, 5), (2, 2), (2, 7), (7, 2), (3, 3), (5, 8), (16, 13), (5, 64),
    (4, 33), (3, 65),
]  # fmt: skip


@parametrize("shape", SHAPES, gate=[(1, 1), (2, 1), (2, 2), (5, 8), (5, 64), (3, 65)])
def test_evolve_agrees_with_nested_loops(shape):
    rng = np.random.default_rng(0)
    for density in (0.2, 0.35, 0.5, 0.8):
        for _ in range(5):
            cells = (rng.random(shape) < density).astype(np.int32)
            np.testing.assert_array_equal(after(cells, 1), slow_step(cells))


@pytest.mark.parametrize("dtype", [bool, jnp.uint8, jnp.int32, jnp.float32])
def test_evolve_keeps_the_dtype(dtype):
    assert life.evolve(jnp.ones((4, 4), dtype), 1).dtype == dtype


@pytest.mark.parametrize("patch, shape", [(1, (3, 5)), (2, (4, 6)), (3, (3, 6)), (4, (8, 4))])
def test_tokens_decode_to_frames_that_follow_each_other(patch, shape):
    height, width = shape
    generator = life.make(KEY, height, width, frames=3, stride=2, burnin=3, patch=patch)
    for seed in range(5):
        key = jax.random.key(seed)
        tokens_T, coded_T, *_ = example(generator, key)
        frames = boards_of(tokens_T, generator)
        soup = jax.random.bernoulli(key, 0.5, shape).astype(jnp.int32)
        np.testing.assert_array_equal(frames[0], after(soup, 3))
        for earlier, later in itertools.pairwise(frames):
            np.testing.assert_array_equal(later, slow_step(slow_step(earlier)))
        assert generator.spec.vocab == 2 ** (patch * patch)
        assert coded_T.sum() == 2 * height * width // patch**2
        assert not coded_T[: height * width // patch**2].any()


def test_density_is_that_of_the_first_frame():
    generator = life.make(KEY, 32, 32, density=0.2)
    tokens_T = example(generator, KEY).tokens_T[: 32 * 32]
    assert abs(tokens_T.mean() - 0.2) < 5 * (0.2 * 0.8 / 32**2) ** 0.5
    assert example(life.make(KEY, density=0.0), KEY).tokens_T.sum() == 0


def test_oracle_charges_nothing_for_a_determined_future():
    generator = life.make(KEY)
    nats_T = generator.oracle_nats(example(generator, KEY))
    assert nats_T.dtype == jnp.float32 and not nats_T.any()


@pytest.mark.parametrize(
    "wrong",
    [
        dict(patch=5),
        dict(patch=0),
        dict(height=0),
        dict(height=2**31),
        dict(height=2**10, width=2**10),
        dict(height=6, patch=4),
        dict(width=6, patch=4),
        dict(frames=1),
        dict(stride=0),
        dict(stride=2**31),
        dict(density=1.5),
        dict(burnin=-1),
    ],
)
def test_life_refuses_illegal_arguments(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"generator.{name}={value}: accepted"):
        life.make(KEY, **wrong)


def test_symbols_draw_a_board():
    generator = life.make(jax.random.key(0), height=2, width=4)
    tokens_T = jnp.array([0, 0, 1, 0, 1, 1, 0, 0] * 2)
    assert len(generator.symbols(tokens_T)) == generator.spec.length
    assert "".join(generator.symbols(tokens_T)) == "··█·\n██··\n\n··█·\n██··\n"


def test_symbols_draw_patches_as_they_look():
    """Each quadrant of a block stands for a cell, the upper left one first."""
    generator = life.make(jax.random.key(0), height=4, width=8, patch=2)
    drawn = "".join(generator.symbols(jnp.arange(16))).split()
    names = [set() if c == "·" else _quadrants(c) for c in "".join(drawn)]
    for token, quadrants in enumerate(names):
        cells = [(row, column) for row in range(2) for column in range(2)]
        assert quadrants == {cell for n, cell in enumerate(cells) if token >> (3 - n) & 1}
    large = life.make(jax.random.key(0), height=3, width=6, patch=3)
    assert "".join(large.symbols([0, 511, 1, 16])) == "000 1ff \n\n001 010 \n"


def _quadrants(character):
    """Cells of a block character, by its name in Unicode."""
    name = unicodedata.name(character).removeprefix("QUADRANT ")
    halves = {"FULL BLOCK": "UPPER LEFT AND UPPER RIGHT AND LOWER LEFT AND LOWER RIGHT",
              "UPPER HALF BLOCK": "UPPER LEFT AND UPPER RIGHT",
              "LOWER HALF BLOCK": "LOWER LEFT AND LOWER RIGHT",
              "LEFT HALF BLOCK": "UPPER LEFT AND LOWER LEFT",
              "RIGHT HALF BLOCK": "UPPER RIGHT AND LOWER RIGHT"}  # fmt: skip
    words = [part.split() for part in halves.get(name, name).split(" AND ")]
    return {(int(row == "LOWER"), int(column == "RIGHT")) for row, column in words}
