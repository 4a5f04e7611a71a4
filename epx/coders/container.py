"""The container of compressed bytes.

A file that is damaged, foreign or of another config is refused before decoding, and a wrong result
before writing. The checksum detects damage only; it is no signature.

    magic 4, identity of config and environment 16 + 16, size of the content 8, its sha256 32,
    the payload, sha256 of everything before it 32            bytes, 108 without the payload
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
# Sections of a config that change neither the model nor its training.
_FREE = ("checkpoint", "eval", "label", "members")


class ContainerError(Exception):
    """A file that cannot be read back; the message is for the user."""


class Identity(NamedTuple):
    """Digests of the config and the environment, which both sides must share."""

    config: bytes
    environment: bytes


class Payload(NamedTuple):
    """The payload of a file, and the size and sha256 of the decoded content."""

    payload: bytes
    size: int
    sha256: bytes


def identity(config: dict[str, Any], environment: dict[str, Any]) -> Identity:
    """The identity of a resolved config and of the environment that fixes its bits."""
    sections = {name: section for name, section in config.items() if name not in _FREE}
    return Identity(*(_digest(value) for value in (sections, environment)))


def pack(content: bytes, payload: bytes, of: Identity) -> bytes:
    """The bytes of the file for a content and its payload."""
    sha256 = hashlib.sha256(content).digest()
    body = _HEAD.pack(MAGIC, *of, len(content), sha256) + payload
    return body + hashlib.sha256(body).digest()


def unpack(file: bytes, of: Identity) -> Payload:
    """Check a file and return its payload.

    Raises:
      ContainerError: the file has another format, is truncated or damaged, or was written with
        another config or in another environment.
    """
    if file[:4] != MAGIC:
        raise ContainerError("is not a compressed file of this program")
    body, checksum = file[:-_CHECKSUM_BYTES], file[-_CHECKSUM_BYTES:]
    if len(body) < _HEAD.size or hashlib.sha256(body).digest() != checksum:
        raise ContainerError(
            "is truncated or damaged: its checksum does not agree with its content"
        )
    _, config, environment, size, sha256 = _HEAD.unpack_from(body)
    if environment != of.environment:
        raise ContainerError(
            "was written by another version of this program, Python or JAX, or on another kind of "
            "machine; only the same versions and machine compute the same bits"
        )
    if config != of.config:
        raise ContainerError("was written with another config; use the config of the compression")
    return Payload(body[_HEAD.size :], size, sha256)


def verified(content: bytes, sent: Payload) -> bytes:
    """The decoded content, checked against the sha256 of the packed one.

    Raises:
      ContainerError: they differ, because this machine computes other bits.
    """
    if hashlib.sha256(content).digest() != sent.sha256:
        raise ContainerError(
            "decodes to something else here: this machine does not compute the same bits"
        )
    return content


def _digest(value: dict[str, Any]) -> bytes:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()[:16]
