"""The container of compressed bytes: a file that is damaged, foreign or of another config is
refused before anything is decoded, and a wrong decoding before anything is written.

Its checksum finds damage. It is no signature: whoever changes a file can also write a checksum
that agrees with it.

    magic 4, identity of config and environment 16 + 16, size of the content 8, its sha256 32,
    the payload, sha256 of all that 32                                            bytes, 108 in all
"""

import hashlib
import json
import struct
from typing import Any, NamedTuple

MAGIC = b"epx\x01"
_HEAD = struct.Struct("<4s16s16sQ32s")
_CHECKSUM_BYTES = 32
# Bytes of a file without its payload.
SIZE = _HEAD.size + _CHECKSUM_BYTES
# Sections of a config that cannot change the model or the order in which it learns.
_FREE = ("checkpoint", "eval", "label", "members")


class ContainerError(Exception):
    """A file that cannot be read back; the message is for the user."""


class Identity(NamedTuple):
    """Digests of what both sides must share."""

    config: bytes
    environment: bytes


class Payload(NamedTuple):
    """What a file holds: the payload, and the size and sha256 of what it decodes to."""

    payload: bytes
    size: int
    sha256: bytes


def identity(config: dict[str, Any], environment: dict[str, Any]) -> Identity:
    """The identity of a resolved config and of what else the bits of a probability depend on."""
    kept = {name: section for name, section in config.items() if name not in _FREE}
    return Identity(*(_digest(value) for value in (kept, environment)))


def pack(content: bytes, payload: bytes, of: Identity) -> bytes:
    """The file for a content and its payload."""
    sha256 = hashlib.sha256(content).digest()
    body = _HEAD.pack(MAGIC, *of, len(content), sha256) + payload
    return body + hashlib.sha256(body).digest()


def unpack(file: bytes, of: Identity) -> Payload:
    """What a file holds.

    Raises:
      ContainerError: it is no such file, is cut short or damaged, or was written with another
        config or in another environment.
    """
    if file[:4] != MAGIC:
        raise ContainerError("is no compressed file of this program")
    body, checksum = file[:-_CHECKSUM_BYTES], file[-_CHECKSUM_BYTES:]
    if len(body) < _HEAD.size or hashlib.sha256(body).digest() != checksum:
        raise ContainerError(
            "is cut short or damaged: its checksum does not agree with its content"
        )
    _, config, environment, size, sha256 = _HEAD.unpack_from(body)
    if environment != of.environment:
        raise ContainerError(
            "was written by another version of this program, Python or JAX, or on another kind of "
            "machine; only the same ones give the same bits"
        )
    if config != of.config:
        raise ContainerError("was written with another config; give the one that it was made with")
    return Payload(body[_HEAD.size :], size, sha256)


def verified(content: bytes, sent: Payload) -> bytes:
    """The content, if it is the one that was packed.

    Raises:
      ContainerError: it is not: this machine computes other bits.
    """
    if hashlib.sha256(content).digest() != sent.sha256:
        raise ContainerError(
            "decodes to something else here: this machine does not compute the same bits"
        )
    return content


def _digest(value: dict[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()[:16]
