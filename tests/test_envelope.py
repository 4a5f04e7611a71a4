"""Files that are cut, damaged, foreign or of another config are refused, each for its reason."""

import pytest

from epx import envelope

CONFIG = {"observer": {"name": "transformer", "width": 8}, "eval": {"examples": 8}}
HERE = {"jax": "1", "device": "cpu"}
OF = envelope.identity(CONFIG, HERE)
FILE = envelope.pack(b"what was there", b"payload", OF)


def test_what_was_packed_is_found_again():
    sent = envelope.unpack(FILE, OF)
    assert sent.payload == b"payload" and sent.size == 14
    assert envelope.verified(b"what was there", sent) == b"what was there"
    assert len(FILE) == 108 + len(b"payload")
    empty = envelope.unpack(envelope.pack(b"", b"", OF), OF)
    assert empty.payload == b"" and empty.size == 0


def test_every_beginning_of_a_file_is_refused():
    for length in range(len(FILE)):
        with pytest.raises(envelope.EnvelopeError, match=r"no file of|cut short or damaged"):
            envelope.unpack(FILE[:length], OF)


def test_every_damaged_bit_is_noticed():
    for bit in range(8 * len(FILE)):
        damaged = bytearray(FILE)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(envelope.EnvelopeError):
            envelope.unpack(bytes(damaged), OF)


@pytest.mark.parametrize(
    "config, here, part",
    [
        (CONFIG | {"observer": {"name": "transformer", "width": 16}}, HERE, "another config"),
        (CONFIG, HERE | {"jax": "2"}, "another version of"),
        (CONFIG, HERE | {"device": "gpu"}, "another version of"),
    ],
)
def test_another_config_or_environment_is_refused(config, here, part):
    with pytest.raises(envelope.EnvelopeError, match=part):
        envelope.unpack(FILE, envelope.identity(config, here))


def test_what_does_not_change_the_model_does_not_matter():
    assert envelope.identity(CONFIG | {"eval": {"examples": 9}}, HERE) == OF


def test_a_content_that_is_not_the_one_that_was_packed_is_refused():
    with pytest.raises(envelope.EnvelopeError, match="something else here"):
        envelope.verified(b"what was theme", envelope.unpack(FILE, OF))
