"""Tokens of the user's own: arrays are read exactly, files that hold anything else are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.generators.texts import tokens
from epx.streams import example_key

KEY = jax.random.key(0)
STREAM = np.arange(103) % 7
EXAMPLES = STREAM[:100].reshape(25, 4)


@pytest.fixture
def saved(tmp_path):
    """Saves arrays and returns the path: one array as `.npy`, named ones as `.npz`."""

    def save(array=None, **arrays):
        path = tmp_path / ("tokens.npz" if array is None else "tokens.npy")
        if array is None:
            np.savez(path, **arrays)
        else:
            np.save(path, array)
        return str(path)

    return save


def rows(generator, indices):
    index_B = jnp.asarray(indices, jnp.uint32)
    draw = jax.vmap(lambda index: generator.example(example_key(KEY, index), index))
    return jax.jit(draw)(index_B)


def all_rows(generator):
    return rows(generator, range(generator.spec.size + generator.spec.held_out))


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.int32, np.uint8, ">i4"])
def test_a_stream_is_cut_into_windows_and_its_end_is_held_out(saved, dtype):
    generator = tokens.make(KEY, saved(STREAM.astype(dtype)), length=5)
    windows = STREAM[:100].reshape(20, 5)
    assert generator.spec == tokens.Spec(7, 5, size=18, version=1, held_out=2)
    drawn = np.asarray(all_rows(generator).tokens_T)
    assert drawn.dtype == np.int32 and generator.tokens_NxT.dtype == jnp.int32
    assert sorted(drawn[:18].tolist()) == sorted(windows[:18].tolist())
    assert sorted(drawn[18:].tolist()) == sorted(windows[18:].tolist())
    assert not (drawn[:18] == windows[:18]).all()


def test_two_axes_are_examples(saved):
    generator = tokens.make(KEY, saved(EXAMPLES), vocab=9)
    assert generator.spec == tokens.Spec(9, 4, size=22, version=1, held_out=3)
    assert all_rows(generator).coded_T.all() and all_rows(generator).side is None


def test_the_key_orders_the_training_examples_only(saved):
    path = saved(STREAM)
    first, second = (tokens.make(jax.random.key(seed), path, length=5) for seed in (0, 1))
    one, other = (np.asarray(all_rows(generator).tokens_T) for generator in (first, second))
    assert (one[:18] != other[:18]).any() and (one[18:] == other[18:]).all()


def test_mask_and_side_information_stay_with_their_example(saved):
    examples = np.arange(80).reshape(20, 4)
    coded = np.tile([0, 0, 1, 1], (20, 1))
    coded[::2, 2] = 0
    path = saved(tokens=examples, coded=coded, side=examples[:, :, None] / 2)
    generator = tokens.make(KEY, path)
    assert generator.spec.given == 2
    drawn = all_rows(generator)
    place = np.asarray(drawn.tokens_T)[:, 0] // 4
    np.testing.assert_array_equal(drawn.coded_T, coded[place].astype(bool))
    assert generator.spec.side == 1 and drawn.side.dtype == jnp.float32
    np.testing.assert_array_equal(drawn.side[:, :, 0], np.asarray(drawn.tokens_T) / 2)


def test_side_information_of_a_stream_is_cut_with_it(saved):
    vectors = np.stack([STREAM, -STREAM], axis=1)
    generator = tokens.make(KEY, saved(tokens=STREAM, side=vectors), length=5)
    drawn = all_rows(generator)
    assert drawn.side.shape == (20, 5, 2)
    np.testing.assert_array_equal(drawn.side[..., 0], drawn.tokens_T)
    np.testing.assert_array_equal(drawn.side[..., 1], -drawn.tokens_T)


def test_a_changed_file_is_read_again(saved):
    assert tokens.make(KEY, saved(STREAM), length=5).spec.vocab == 7
    assert tokens.make(KEY, saved(STREAM * 2), length=5).spec.vocab == 13


def test_symbols_are_the_numbers(saved):
    assert "".join(tokens.make(KEY, saved(EXAMPLES)).symbols(np.array([3, 12]))) == "3 12 "


@pytest.mark.parametrize(
    "content, reason",
    [
        (STREAM / 2, "tokens are float64"),
        (np.full(200, np.nan), "tokens are float64"),
        (STREAM == 3, "tokens are bool"),
        (STREAM.astype(str), "tokens are <U"),
        (STREAM[:100].reshape(5, 5, 4), r"shape \(5, 5, 4\)"),
        (np.int64(3), r"shape \(\)"),
        (EXAMPLES - 1, "these are from -1 to 5"),
        (EXAMPLES + 2**40, "these are from 1099511627776"),
        (STREAM[:127], "at least 128 tokens with length=64; this one has 103"),
        (np.zeros(0, int), "at least 128 tokens"),
        (EXAMPLES[:1], "at least 2 examples; this file has 1"),
        (np.zeros((5, 0), int), "examples of 1 to"),
        (np.array([{}] * 200), "pickle|object"),
        (dict(tokens=np.array([{}] * 200)), "pickle|object"),
        (dict(words=STREAM), "this one has words"),
        (dict(tokens=STREAM, mask=STREAM), "this one has mask, tokens"),
        (dict(tokens=EXAMPLES, coded=EXAMPLES), "booleans .*this one is int64"),
        (dict(tokens=EXAMPLES, coded=EXAMPLES[1:] > 0), r"bool of shape \(24, 4\)"),
        (dict(tokens=EXAMPLES, coded=EXAMPLES > 5), "example 0 has none"),
        (dict(tokens=EXAMPLES, side=EXAMPLES), r"shape \(25, 4, R\)"),
        (dict(tokens=EXAMPLES, side=np.zeros((25, 4, 0))), r"shape \(25, 4, R\)"),
        (dict(tokens=STREAM, side=STREAM[:, None][1:]), r"shape \(103, R\)"),
        (dict(tokens=EXAMPLES, side=np.full((25, 4, 1), np.nan)), "finite"),
        (dict(tokens=EXAMPLES, side=np.full((25, 4, 1), 1e300)), "within float32"),
        (dict(tokens=EXAMPLES, side=np.full((25, 4, 1), "a")), "numbers of shape"),
    ],
)  # fmt: skip
def test_files_that_hold_something_else_are_refused(saved, content, reason):
    path = saved(**content) if isinstance(content, dict) else saved(content)
    with pytest.raises(ValueError, match=rf"(?s)^generator.path='{path}': accepted .*({reason})"):
        tokens.make(KEY, path)


@pytest.mark.parametrize(
    "path, reason",
    [
        ("", "of whole numbers"),
        (3, "of whole numbers"),
        ("missing.npy", "no such file"),
        ("x" * 5000 + ".npy", "File name too long"),
        ("/dev/zero", "device or pipe"),
        (".", "this is a folder"),
        ("nul\0l.npy", "not a path"),
    ],
)
def test_paths_that_are_no_files_are_refused(path, reason):
    with pytest.raises(ValueError, match=rf"^generator.path=.*: accepted .*({reason})"):
        tokens.make(KEY, path)


@pytest.mark.parametrize(
    "name, content", [("a.npy", b"no array"), ("a.npz", b"no zip"), ("a.npy", b""), ("a.txt", b"1")]
)
def test_files_of_another_format_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"^generator.path=.*: accepted .*\.npy"):
        tokens.make(KEY, str(tmp_path / name))


def test_a_file_that_cannot_be_read_is_refused(saved, monkeypatch):
    def deny(*_, **__):
        raise PermissionError(13, "Permission denied")

    path = saved(STREAM)
    monkeypatch.setattr(np.lib.format, "open_memmap", deny)
    with pytest.raises(ValueError, match=r"^generator.path=.*: accepted .*permission denied"):
        tokens.make(KEY, path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(length=2**31), "generator.length=2147483648: accepted whole numbers from 0"),
        (dict(length=5), "generator.length=5: accepted 0 or 4"),
        (dict(vocab=6), "generator.vocab=6: accepted 0, or more than 6"),
        (dict(vocab=2**31), "generator.vocab=2147483648: accepted whole numbers"),
    ],
)
def test_arguments_that_do_not_fit_the_file_are_refused(saved, arguments, message):
    with pytest.raises(ValueError) as error:
        tokens.make(KEY, saved(EXAMPLES), **arguments)
    assert str(error.value).startswith(message)
