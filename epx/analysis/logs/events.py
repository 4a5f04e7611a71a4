"""Scalars of TensorBoard event files, read without TensorBoard.

A file is a sequence of records: the length as 8 bytes, a checksum of 4, the data and a checksum of
4, all little-endian. The data of a record are an `Event` in the wire format of protocol buffers,
with the fields step (2) and summary (5); a summary has values (1), each with a tag (1) and a
simple_value (2) or, from TensorFlow 2 on, a tensor (8). Checksums are not verified; an unfinished
record at the end is left out.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
# Numbers of TensorProto's DataType that loggers use, and their forms.
_DTYPES = {1: "<f", 2: "<d"}


class EventError(Exception):
    """A file that is no event file."""


class Scalar(NamedTuple):
    """A logged number."""

    step: int
    tag: str
    value: float


def scalars(path: Path) -> Iterator[Scalar]:
    """The scalars of a file in their order.

    Raises:
      EventError: the file is no event file.
    """
    with path.open("rb") as file:
        first = True
        while len(head := file.read(12)) == 12:
            (length,) = struct.unpack("<Q", head[:8])
            if length > 2**31:
                raise EventError("a record of more than 2 GiB")
            data = file.read(length + 4)
            if len(data) < length + 4:
                if first:
                    raise EventError("its first record is longer than the file")
                return  # still being written
            first = False
            yield from _event(data[:-4])


def _event(data: bytes) -> Iterator[Scalar]:
    step, summaries = 0, []
    for number, kind, value in _fields(data):
        if number == 2 and kind == VARINT:
            step = value
        elif number == 5 and kind == BYTES:
            summaries.append(value)
    for summary in summaries:
        for number, kind, value in _fields(summary):
            if number == 1 and kind == BYTES:
                yield from _scalar(step, value)


def _scalar(step: int, data: bytes) -> Iterator[Scalar]:
    tag, found = "", None
    for number, kind, value in _fields(data):
        if number == 1 and kind == BYTES:
            tag = value.decode("utf-8", errors="replace")
        elif number == 2 and kind == FOUR_BYTES:
            (found,) = struct.unpack("<f", value)
        elif number == 8 and kind == BYTES:
            found = _single(value)
    if found is not None:
        yield Scalar(step, tag, found)


def _single(tensor: bytes) -> float | None:
    """The number of a tensor that has one."""
    form, content, listed = None, b"", b""
    for number, kind, value in _fields(tensor):
        if number == 1 and kind == VARINT:
            form = _DTYPES.get(value)
        elif number == 4 and kind == BYTES:
            content = value
        elif number in (5, 6):  # float_val, double_val
            listed = value
    raw = content or listed
    if form is None or len(raw) != struct.calcsize(form):
        return None
    return struct.unpack(form, raw)[0]


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, wire type and value of each field of a message.

    Raises:
      EventError: the bytes are no message.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(data, at)
        elif kind in (EIGHT_BYTES, FOUR_BYTES, BYTES):
            if kind == BYTES:
                size, at = _varint(data, at)
            else:
                size = 8 if kind == EIGHT_BYTES else 4
            value, at = data[at : at + size], at + size
            if at > len(data):
                raise EventError("a field is longer than its record")
        else:
            raise EventError(f"a field of the unknown wire type {kind}")
        yield key >> 3, kind, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte from `at` on, and where it ends."""
    number = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise EventError("a number without an end")
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
