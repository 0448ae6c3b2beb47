"""Ways to damage an EXR file: blindly, and where it hurts."""

import random
import struct
from collections.abc import Callable
from typing import NamedTuple

HEADER = 1500  # bytes at the beginning, where blind changes do the most harm
NUMBERS = (0, 1, -1, 2, 255, 65_535, 2**20, 2**24, 2**31 - 1, -(2**31))
KINDS = (b"scanlineimage", b"tiledimage", b"deepscanline", b"deeptile", b"nonsense")


class Attribute(NamedTuple):
    """Where an attribute of a header lies."""

    name: bytes
    start: int  # of its value; the four bytes before it are its size
    size: int


def mutated(content: bytes, generator: random.Random) -> bytes:
    """One to eight blind changes, or one or two of what a reader relies on, or both."""
    data = bytearray(content)
    which = generator.choice(("blind", "aimed", "aimed", "both"))
    if which != "blind":
        for _ in range(generator.randint(1, 2)):
            generator.choice(AIMED)(data, generator)
    if which != "aimed":
        for _ in range(generator.randint(1, 8)):
            _blind(data, generator)
    return bytes(data) or b"\0"


def attributes(data: bytes | bytearray) -> tuple[list[Attribute], int]:
    """The attributes of all parts, and where the headers end; as far as they can be followed."""
    found: list[Attribute] = []
    position = 8
    several = len(data) > 8 and bool(data[5] & 0x10)
    try:
        while True:
            while data[position]:
                name_end = data.index(0, position)
                kind_end = data.index(0, name_end + 1)
                (size,) = struct.unpack_from("<i", data, kind_end + 1)
                found.append(Attribute(bytes(data[position:name_end]), kind_end + 5, size))
                if not 0 <= size <= len(data):
                    return found, position
                position = kind_end + 5 + size
            position += 1
            if not several or not data[position]:
                return found, position + several
    except (IndexError, ValueError, struct.error):
        return found, min(position, len(data))


def _blind(data: bytearray, generator: random.Random) -> None:
    """A byte, a bit, a number, a cut, a repetition or a hole, anywhere."""
    end = min(generator.choice((HEADER, len(data))), len(data))
    place = generator.randrange(max(end, 1))
    kind = generator.choice(("byte", "bit", "number", "cut", "repeat", "hole"))
    if kind == "byte":
        data[place : place + 1] = bytes([generator.randrange(256)])
    elif kind == "bit" and data:
        data[min(place, len(data) - 1)] ^= 1 << generator.randrange(8)
    elif kind == "number":
        data[place : place + 4] = _number(generator)
    elif kind == "cut" and generator.random() < 0.3:
        del data[place:]
    elif kind == "repeat":
        data[place:place] = data[place : place + generator.randrange(64)]
    elif kind == "hole":
        del data[place : place + generator.randrange(64)]


def _number(generator: random.Random) -> bytes:
    return struct.pack("<i", generator.choice(NUMBERS))


def _value(data: bytearray, generator: random.Random) -> None:
    """Some attribute's value: windows, channels, compression, tiles, chunk count and all others."""
    found, _ = attributes(data)
    if not found:
        return
    one = generator.choice(found)
    if one.name == b"type" and generator.random() < 0.5:
        kind = generator.choice(KINDS)
        data[one.start - 4 : one.start + one.size] = struct.pack("<i", len(kind)) + kind
    elif one.name == b"compression":
        data[one.start : one.start + 1] = bytes([generator.randrange(16)])
    elif one.size >= 4:
        place = one.start + 4 * generator.randrange(one.size // 4)
        data[place : place + 4] = _number(generator)
    elif one.size:
        data[one.start : one.start + 1] = bytes([generator.randrange(256)])


def _window(data: bytearray, generator: random.Random) -> None:
    """The windows grow, shrink, or turn around."""
    for one in attributes(data)[0]:
        if one.name in (b"dataWindow", b"displayWindow") and one.size == 16:
            place = one.start + 4 * generator.randrange(4)
            small = struct.pack("<i", generator.randint(-3, 40))
            new = small if generator.random() < 0.5 else _number(generator)
            data[place : place + 4] = new


def _length(data: bytearray, generator: random.Random) -> None:
    """An attribute claims another size than it has."""
    found, _ = attributes(data)
    if found:
        one = generator.choice(found)
        data[one.start - 4 : one.start] = _number(generator)


def _removed(data: bytearray, generator: random.Random) -> None:
    """An attribute is not there."""
    found, _ = attributes(data)
    if found:
        one = generator.choice(found)
        name = data.rfind(one.name, 0, one.start)
        del data[name : one.start + max(one.size, 0)]


def _flags(data: bytearray, generator: random.Random) -> None:
    """A file of another kind: tiled, deep, of several parts, with long names."""
    if len(data) > 5:
        data[5] ^= 1 << generator.randrange(8)


def _offset(data: bytearray, generator: random.Random) -> None:
    """An entry of the table of blocks leads elsewhere."""
    _, table = attributes(data)
    first = struct.unpack_from("<Q", data, table)[0] if table + 8 <= len(data) else 0
    entries = max(1, min(first - table, 1 << 12) // 8)
    place = table + 8 * generator.randrange(entries)
    elsewhere = generator.choice((0, 1, table, first, len(data) - 1, len(data), 2**40, 2**63 + 9))
    data[place : place + 8] = struct.pack("<Q", elsewhere)


def _block(data: bytearray, generator: random.Random) -> None:
    """A block of pixels claims another place, another size, or is damaged inside."""
    _, table = attributes(data)
    if table + 8 > len(data):
        return
    start = struct.unpack_from("<Q", data, table)[0] + 4 * generator.randrange(12)
    if start < len(data):
        data[start : start + 4] = _number(generator)


AIMED: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_value, _window, _length, _removed, _flags, _offset, _block),
)
