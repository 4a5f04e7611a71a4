"""What every world owes the program. Worlds are found by walking the folder: a new file is held to
this contract without an edit here."""

import hashlib
import importlib
import inspect
import json
import operator
import os
import pkgutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import epx.generators
from epx.observers import counts
from epx.run.devices import AXIS, compile_over, layout
from epx.learning.batch import Batch
from epx.streams import example_key, stream

GOLDENS = Path(__file__).parents[1] / "goldens" / "generators.json"
NAMES = sorted(module.name for module in pkgutil.iter_modules(epx.generators.__path__))
WORLD_KEY = stream(0, "world")
TRAIN_KEY = stream(0, "train")


def module_of(name):
    return importlib.import_module(f"epx.generators.{name}")


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def world(name):
    module = module_of(name)
    return module.make(WORLD_KEY, **module.TINY)


def first_indices(world, count: int) -> list[int]:
    """Indices of training examples, fewer where the world is smaller."""
    size = world.spec.size
    return list(range(count if size is None else min(count, size)))


def example(world, index):
    return world.example(example_key(TRAIN_KEY, index), index)


@jax.jit
def examples_at(world, index_B):
    return jax.vmap(example, in_axes=(None, 0))(world, index_B)


def batch(world, indices):
    return examples_at(world, jnp.asarray(indices, jnp.uint32))


def stack(examples):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *examples)


def assert_same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right)):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def assert_legal(world, examples):
    """Examples with a leading axis keep to the spec."""
    spec = world.spec
    assert examples.tokens_T.dtype == jnp.int32 and examples.coded_T.dtype == jnp.bool_
    assert examples.tokens_T.shape[1:] == examples.coded_T.shape[1:] == (spec.length,)
    assert examples.tokens_T.min() >= 0 and examples.tokens_T.max() < spec.vocab
    assert examples.coded_T.any(axis=1).all()
    assert not examples.coded_T[:, : spec.given].any()
    if spec.size is None:  # a world that cannot tell beforehand leaves it at 0
        assert examples.coded_T[:, spec.given].any()


def test_the_folder_holds_worlds():
    assert {"cipher", "eca", "iid", "life"} <= set(NAMES)


def test_every_argument_is_a_config_key_with_a_plain_default(name):
    module = module_of(name)
    key, *arguments = inspect.signature(module.make).parameters.values()
    assert key.name == "key" and key.default is key.empty
    for argument in arguments:
        assert type(argument.default) in (int, float, str, bool), argument
        assert argument.name in module.make.__doc__
    assert set(module.TINY) <= {argument.name for argument in arguments}


def test_examples_keep_to_the_spec(world):
    assert_legal(world, batch(world, first_indices(world, 8)))


def test_finite_worlds_hold_examples_out(world):
    spec = world.spec
    if spec.size is None:
        assert spec.held_out == 0
        return
    assert spec.size > 0 and spec.held_out > 0
    held_out = np.unique(np.linspace(spec.size, spec.size + spec.held_out - 1, 8).astype(int))
    assert_legal(world, batch(world, held_out))


def test_examples_are_pure(world):
    for index in first_indices(world, 3):
        assert_same(example(world, index), example(world, index))


def test_a_world_made_twice_is_the_same(name, world):
    module = module_of(name)
    assert_same(world, module.make(WORLD_KEY, **module.TINY))


def test_eager_is_jit_and_a_world_is_an_argument(world):
    compiled = jax.jit(lambda world, index: example(world, index))
    for index in first_indices(world, 3):
        assert_same(compiled(world, jnp.uint32(index)), example(world, jnp.uint32(index)))


def test_vmap_is_a_loop(world):
    indices = first_indices(world, 5)
    assert_same(batch(world, indices), stack([example(world, index) for index in indices]))


def test_batch_size_changes_nothing(world):
    indices = first_indices(world, 15)

    def in_batches_of(size):
        parts = [batch(world, indices[n : n + size]) for n in range(0, len(indices), size)]
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    assert_same(in_batches_of(3), in_batches_of(5))


@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_device_count_changes_nothing(world, parallel):
    """Four devices that share a batch see the tokens of one, in order and to the bit."""
    count = 8 if world.spec.size is None else world.spec.size // 8 * 8
    spread = layout(parallel, 4, members=1, batch=count)
    shared = Batch(count, 2, AXIS, 4)

    def draw(world, step):
        index = shared.indices(world.spec.size, step).reshape(-1)
        return shared.gather(batch(world, index))

    member = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (world, jnp.int32(0)))
    together = compile_over(spread, draw, *member)(*member)
    assert_same(jax.tree.map(lambda leaf: leaf[0], together), batch(world, range(count)))


def test_no_exact_counter_beats_the_law(world):
    """Where the law is known: fewer bits, by more than 5 standard errors, would be a leak."""
    first = example(world, 0)
    if world.oracle_nats(first) is None:
        pytest.skip("the law of this world is not known")
    count, spec = 64, world.spec
    examples = batch(world, range(count))
    observer = counts.make(spec.vocab, spec.length, order=2)
    params = observer.init(WORLD_KEY)
    _, nats_BxT = jax.jit(observer.update)(params, examples.tokens_T, examples.coded_T)
    single = (jax.tree.map(operator.itemgetter(n), examples) for n in range(count))
    law_BxT = np.stack([world.oracle_nats(example) for example in single])
    excess_B = np.where(examples.coded_T, nats_BxT - law_BxT, 0.0).sum(1)
    assert excess_B.mean() > -5 * excess_B.std(ddof=1) / np.sqrt(count)


def test_an_abstract_key_and_index_are_enough(world):
    index = jax.ShapeDtypeStruct((), jnp.uint32)
    abstract = jax.eval_shape(world.example, jax.eval_shape(lambda: TRAIN_KEY), index)
    spec = world.spec
    assert (abstract.tokens_T.shape, abstract.tokens_T.dtype) == ((spec.length,), jnp.int32)
    assert (abstract.coded_T.shape, abstract.coded_T.dtype) == ((spec.length,), jnp.bool_)


def test_a_world_is_a_pytree_of_arrays(world):
    leaves, structure = jax.tree.flatten(world)
    assert leaves and all(isinstance(leaf, jax.Array) for leaf in leaves)
    again = jax.tree.unflatten(structure, leaves)
    assert again.spec == world.spec
    assert_same(example(again, 0), example(world, 0))


def test_members_share_one_stacked_world(name, world):
    module = module_of(name)
    worlds = [world, module.make(stream(1, "world"), **module.TINY)]
    stacked = stack(worlds)
    assert stacked.spec == world.spec
    together = jax.vmap(lambda world: example(world, 0))(stacked)
    assert_same(together, stack([example(member, 0) for member in worlds]))


def test_examples_differ(world):
    tokens = np.asarray(batch(world, first_indices(world, 8)).tokens_T)
    assert len(np.unique(tokens, axis=0)) > 1


def test_the_oracle_prices_every_token(world):
    one = example(world, 0)
    nats_T = world.oracle_nats(one)
    if nats_T is None:
        return
    assert nats_T.shape == (world.spec.length,) and nats_T.dtype == jnp.float32
    assert jnp.isfinite(nats_T).all() and (nats_T >= 0).all()
    # The rulers of a run are computed from examples that have left the device.
    assert_same(world.oracle_nats(jax.device_get(one)), nats_T)


def test_the_stream_is_that_of_its_version(name, world):
    examples = jax.device_get(batch(world, first_indices(world, 8)))
    content = examples.tokens_T.astype("<i4").tobytes() + examples.coded_T.tobytes()
    found = {"version": world.spec.version, "sha256": hashlib.sha256(content).hexdigest()}
    goldens = json.loads(GOLDENS.read_text()) if GOLDENS.exists() else {}
    if os.environ.get("EPX_WRITE_GOLDENS") == "1":
        GOLDENS.parent.mkdir(exist_ok=True)
        GOLDENS.write_text(json.dumps(goldens | {name: found}, indent=2, sort_keys=True) + "\n")
        return
    assert goldens.get(name) == found, (
        f"the first examples of {name} are not those of {GOLDENS.name}. Unless this world is new, "
        "its stream changed: that is a bug, or `version` of its Spec must rise. For a new world or "
        "a new version write the golden with "
        f"EPX_WRITE_GOLDENS=1 python -m pytest tests/{Path(__file__).name} -k 'stream and {name}'"
    )
