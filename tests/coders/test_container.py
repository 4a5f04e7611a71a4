"""Files that are cut, damaged, foreign or of another config are refused, each for its reason."""

import pytest

from epx.coders import container

CONFIG = {"observer": {"name": "transformer", "width": 8}, "eval": {"examples": 8}}
HERE = {"jax": "1", "device": "cpu"}
OF = container.identity(CONFIG, HERE)
FILE = container.pack(b"what was there", b"payload", OF)


def test_payload_round_trips():
    sent = container.unpack(FILE, OF)
    assert sent.payload == b"payload" and sent.size == 14
    assert container.verified(b"what was there", sent) == b"what was there"
    assert len(FILE) == 108 + len(b"payload")
    empty = container.unpack(container.pack(b"", b"", OF), OF)
    assert empty.payload == b"" and empty.size == 0


def test_truncated_file_is_refused():
    for length in range(len(FILE)):
        with pytest.raises(
            container.ContainerError, match=r"not a compressed file of|truncated or damaged"
        ):
            container.unpack(FILE[:length], OF)


def test_every_flipped_bit_is_refused():
    for bit in range(8 * len(FILE)):
        damaged = bytearray(FILE)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(container.ContainerError):
            container.unpack(bytes(damaged), OF)


@pytest.mark.parametrize(
    "config, here, part",
    [
        (CONFIG | {"observer": {"name": "transformer", "width": 16}}, HERE, "another config"),
        (CONFIG, HERE | {"jax": "2"}, "another version of"),
        (CONFIG, HERE | {"device": "gpu"}, "another version of"),
    ],
)
def test_another_config_or_environment_is_refused(config, here, part):
    with pytest.raises(container.ContainerError, match=part):
        container.unpack(FILE, container.identity(config, here))


def test_keys_that_do_not_change_the_model_are_ignored():
    assert container.identity(CONFIG | {"eval": {"examples": 9}}, HERE) == OF


def test_content_with_another_checksum_is_refused():
    with pytest.raises(container.ContainerError, match="something else here"):
        container.verified(b"what was theme", container.unpack(FILE, OF))
