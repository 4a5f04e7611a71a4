"""What every generator promises (see `epx.types.Generator`), for every file in the folder."""

import hashlib
import inspect
import json
import operator
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from epx.learning.batch import Batch
from epx.observers import counts
from epx.run.config import components
from epx.run.devices import AXIS, compile_over, make_layout
from epx.streams import example_key, stream
from tests.generators import tiny
from tests.params import parametrize

GOLDENS = Path(__file__).parents[1] / "goldens" / "generators.json"
GENERATOR_KEY = stream(0, "world")  # the stream's name is part of every golden
TRAIN_KEY = stream(0, "train")


@pytest.fixture(params=tiny.NAMES, scope="module")
def name(request):
    return request.param


@pytest.fixture(scope="module")
def generator(name):
    return tiny.make(name, GENERATOR_KEY)


def first_indices(generator, count: int) -> list[int]:
    """Indices of training examples, fewer if the generator has fewer."""
    size = generator.spec.size
    return list(range(count if size is None else min(count, size)))


def example(generator, index):
    return generator.example(example_key(TRAIN_KEY, index), index)


@jax.jit
def examples_at(generator, index_B):
    return jax.vmap(example, in_axes=(None, 0))(generator, index_B)


def batch(generator, indices):
    return examples_at(generator, jnp.asarray(indices, jnp.uint32))


def first(examples):
    return jax.tree.map(operator.itemgetter(0), examples)


def stack(examples):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *examples)


def assert_same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for leaf, other in zip(jax.tree.leaves(left), jax.tree.leaves(right)):
        assert leaf.dtype == other.dtype
        np.testing.assert_array_equal(leaf, other)


def assert_legal(generator, examples):
    """Examples with a leading axis keep to the spec."""
    spec = generator.spec
    assert examples.tokens_T.dtype == jnp.int32 and examples.coded_T.dtype == jnp.bool_
    assert examples.tokens_T.shape[1:] == examples.coded_T.shape[1:] == (spec.length,)
    assert examples.tokens_T.min() >= 0 and examples.tokens_T.max() < spec.vocab
    assert examples.coded_T.any(axis=1).all()
    assert not examples.coded_T[:, : spec.given].any()
    if spec.size is None:  # a finite generator may not know, and then says 0
        assert examples.coded_T[:, spec.given].any()


def test_the_contract_covers_the_generators():
    assert {"cipher", "eca", "iid", "life", "tokens"} <= set(tiny.NAMES)


def test_every_argument_is_a_config_key_with_a_plain_default(name):
    module = tiny.module_of(name)
    parameters = inspect.signature(module.make).parameters
    assert next(iter(parameters)) == "key" and parameters["key"].default is inspect.Parameter.empty
    arguments = [p for p in parameters.values() if p.name not in components.SUPPLIED["generator"]]
    for argument in arguments:
        assert type(argument.default) in (int, float, str, bool), argument
        assert argument.name in module.make.__doc__
    assert set(module.TINY) <= {argument.name for argument in arguments}


def test_examples_keep_to_the_spec(generator):
    assert_legal(generator, batch(generator, first_indices(generator, 8)))


def test_finite_generators_hold_examples_out(generator):
    spec = generator.spec
    if spec.size is None:
        assert spec.held_out == 0
        return
    assert spec.size > 0 and spec.held_out > 0
    held_out = np.unique(np.linspace(spec.size, spec.size + spec.held_out - 1, 8).astype(int))
    assert_legal(generator, batch(generator, held_out))


def test_examples_are_pure(generator):
    for index in first_indices(generator, 2):
        assert_same(example(generator, index), example(generator, index))


def test_make_is_a_function_of_its_arguments(name, generator):
    assert_same(generator, tiny.make(name, GENERATOR_KEY))


def test_eager_equals_jit_with_the_generator_as_an_argument(generator):
    compiled = jax.jit(lambda generator, index: example(generator, index))
    for index in first_indices(generator, 2):
        assert_same(compiled(generator, jnp.uint32(index)), example(generator, jnp.uint32(index)))


def test_vmap_equals_a_loop(generator):
    indices = first_indices(generator, 8)
    assert_same(batch(generator, indices), stack([example(generator, index) for index in indices]))


def test_batch_size_does_not_change_examples(generator):
    indices = first_indices(generator, 24)

    def in_batches_of(size):
        parts = [batch(generator, indices[n : n + size]) for n in range(0, len(indices), size)]
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)

    assert_same(in_batches_of(3), in_batches_of(8))


@parametrize("parallel", ["jit", "pmap"], gate=["jit"])
def test_device_count_does_not_change_examples(generator, parallel):
    """Four devices that share a batch see the tokens of one, in order and to the bit."""
    count = 8 if generator.spec.size is None else generator.spec.size // 8 * 8
    devices = make_layout(parallel, 4, members=1, batch=count, length=1)
    shared = Batch(count, 2, AXIS, 4)

    def draw(generator, step):
        index = shared.indices(generator.spec.size, step).reshape(-1)
        return shared.gather(batch(generator, index))

    member = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (generator, jnp.int32(0)))
    together = compile_over(devices, draw, *member)(*member)
    assert_same(jax.tree.map(lambda leaf: leaf[0], together), batch(generator, range(count)))


def test_no_exact_counter_pays_less_than_the_oracle(generator):
    """Fewer nats, by more than 5 standard errors, would be a leak."""
    count, spec = 64, generator.spec
    examples = batch(generator, range(count))
    if generator.oracle_nats(first(examples)) is None:
        pytest.skip("the law of this generator is not known")
    single = (jax.tree.map(operator.itemgetter(n), examples) for n in range(count))
    oracle_BxT = np.stack([generator.oracle_nats(example) for example in single])
    observer = counts.make(spec.vocab, spec.length, order=2)
    params = observer.init(GENERATOR_KEY)
    _, nats_BxT = jax.jit(observer.update)(params, examples.tokens_T, examples.coded_T)
    excess_B = np.where(examples.coded_T, nats_BxT - oracle_BxT, 0.0).sum(1)
    assert excess_B.mean() > -5 * excess_B.std(ddof=1) / np.sqrt(count)


def test_example_can_be_traced_with_an_abstract_key_and_index(generator):
    index = jax.ShapeDtypeStruct((), jnp.uint32)
    abstract = jax.eval_shape(generator.example, jax.eval_shape(lambda: TRAIN_KEY), index)
    spec = generator.spec
    assert (abstract.tokens_T.shape, abstract.tokens_T.dtype) == ((spec.length,), jnp.int32)
    assert (abstract.coded_T.shape, abstract.coded_T.dtype) == ((spec.length,), jnp.bool_)


def test_a_generator_is_a_pytree_of_arrays(generator):
    leaves, structure = jax.tree.flatten(generator)
    assert leaves and all(isinstance(leaf, jax.Array) for leaf in leaves)
    again = jax.tree.unflatten(structure, leaves)
    assert again.spec == generator.spec
    assert_same(example(again, 0), example(generator, 0))


def test_generators_of_members_can_be_stacked(name, generator):
    generators = [generator, tiny.make(name, stream(1, "world"))]
    stacked = stack(generators)
    assert stacked.spec == generator.spec
    together = jax.vmap(lambda generator: example(generator, 0))(stacked)
    assert_same(together, stack([example(member, 0) for member in generators]))


def test_examples_differ(generator):
    tokens = np.asarray(batch(generator, first_indices(generator, 8)).tokens_T)
    assert len(np.unique(tokens, axis=0)) > 1


def test_the_oracle_prices_every_token(generator):
    one = first(batch(generator, range(8)))
    nats_T = generator.oracle_nats(one)
    if nats_T is None:
        return
    assert nats_T.shape == (generator.spec.length,) and nats_T.dtype == jnp.float32
    assert jnp.isfinite(nats_T).all() and (nats_T >= 0).all()
    # The baselines of a run are computed from examples that have left the device.
    assert_same(generator.oracle_nats(jax.device_get(one)), nats_T)


def golden_of(generator):
    examples = jax.device_get(batch(generator, first_indices(generator, 8)))
    assert examples.tokens_T.dtype == np.int32 and examples.coded_T.dtype == bool
    content = examples.tokens_T.astype("<i4").tobytes() + examples.coded_T.tobytes()
    return {"version": generator.spec.version, "sha256": hashlib.sha256(content).hexdigest()}


def test_64_bit_mode_does_not_change_the_stream_or_the_oracle(name, generator):
    """With JAX_ENABLE_X64=1: the same generator, the same golden, the same law."""
    indices = first_indices(generator, 8)
    nats_T = generator.oracle_nats(first(batch(generator, indices)))
    with jax.enable_x64(True):
        wide = tiny.make(name, GENERATOR_KEY)
        assert_same(wide, generator)
        golden, wide_nats_T = golden_of(wide), wide.oracle_nats(first(batch(wide, indices)))
    assert golden == json.loads(GOLDENS.read_text())[name]
    if nats_T is not None:
        assert wide_nats_T.dtype == jnp.float32
        np.testing.assert_allclose(wide_nats_T, nats_T, rtol=1e-6)


def test_whole_numbers_beyond_any_machine_are_refused_with_a_bound(name):
    """Before anything is allocated; those of corpora have tests of their own."""
    if name in ("chess", "positions", "text"):
        pytest.skip("see test_chess.py, test_positions.py and test_text.py")
    module = tiny.module_of(name)
    for argument in inspect.signature(module.make).parameters.values():
        if type(argument.default) is int:
            for value in (-1, 2**140, 2.5):
                arguments = tiny.arguments(name) | {argument.name: value}
                with pytest.raises(ValueError, match=rf"^generator\.\w+={value}: accepted .*\d"):
                    module.make(GENERATOR_KEY, **tiny.supplied(name), **arguments)


def test_the_stream_is_that_of_its_version(name, generator):
    golden = golden_of(generator)
    goldens = json.loads(GOLDENS.read_text()) if GOLDENS.exists() else {}
    if os.environ.get("EPX_WRITE_GOLDENS") == "1":
        GOLDENS.parent.mkdir(exist_ok=True)
        GOLDENS.write_text(json.dumps(goldens | {name: golden}, indent=2, sort_keys=True) + "\n")
        return
    assert goldens.get(name) == golden, (
        f"the first examples of {name} are not those of {GOLDENS.name}. Unless it is new, its "
        "stream changed: that is a bug, or `version` of its Spec must rise. For a new generator or "
        "a new version write the golden with EPX_WRITE_GOLDENS=1 python -m pytest "
        f"tests/generators/{Path(__file__).name} -k 'version and {name}'"
    )
