"""Pictures made from a number: a sky, a sun or moon, and hills, a sea or a town below."""

from __future__ import annotations

import colorsys
import math
import random
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

# There are as many pictures as scenes; higher numbers share them.
SCENES = 48
WIDTH, HEIGHT = 216, 384

# The palette: the sky's gradient, the sun, then the shades of each layer of land.
_SKY, _LAYERS, _SHADES = 160, 3, 24
_SUN = _SKY
_LAND = _SKY + 1
_STARS = 70

Palette = list[tuple[int, int, int]]
# The height of the land's edge, in pixels from the top, for every column.
Outline = Callable[[random.Random, int], list[int]]


@lru_cache(maxsize=SCENES)
def picture(number: int) -> bytes:
    """The PNG of scene `number`: 216 x 384, indexed colours, a few kilobytes."""
    dice = random.Random(number % SCENES)
    night = dice.random() < 0.3
    palette = _palette(dice, night=night)
    return _png(_paint(dice, night=night), palette)


def _palette(dice: random.Random, *, night: bool) -> Palette:
    top = dice.random()
    bottom = top + dice.choice((-0.12, 0.1, 0.16, 0.45))
    dark, light = (0.12, 0.36) if night else (0.5, 0.86)
    shares = [step / (_SKY - 1) for step in range(_SKY)]
    sky = [_rgb(_mix(top, bottom, s), _mix(dark, light, s), _mix(0.62, 0.5, s)) for s in shares]
    sun = _rgb(0.14, 0.9, 0.2 if night else 0.9)
    ground = 0.3 if night else 0.52
    land = [
        _rgb(bottom + 0.04 * layer, max(0.04, ground - 0.15 * layer - 0.1 * shade / _SHADES), 0.42)
        for layer in range(_LAYERS)
        for shade in range(_SHADES)
    ]
    return [*sky, sun, *land]


def _paint(dice: random.Random, *, night: bool) -> list[bytes]:
    """The rows of palette indices. Painted column by column, because land is a run down a column."""
    sky = bytes(min(_SKY - 1, y * _SKY // (HEIGHT * 7 // 10)) for y in range(HEIGHT))
    columns = [bytearray(sky) for _ in range(WIDTH)]
    for _ in range(_STARS if night else 0):
        columns[dice.randrange(WIDTH)][dice.randrange(HEIGHT // 2)] = _SUN
    _draw_sun(columns, dice)
    outline: Outline = dice.choice((_hills, _hills, _sea, _town))
    for layer in range(_LAYERS):
        first = _LAND + layer * _SHADES
        ground = bytes(first + min(_SHADES - 1, depth // 6) for depth in range(HEIGHT))
        for column, edge in zip(columns, outline(dice, layer), strict=True):
            column[edge:] = ground[: HEIGHT - edge]
    return [bytes(row) for row in zip(*columns, strict=True)]


def _draw_sun(columns: list[bytearray], dice: random.Random) -> None:
    radius = dice.randrange(17, 36)
    x, y = dice.randrange(radius, WIDTH - radius), dice.randrange(75, 210)
    for offset in range(-radius, radius + 1):
        half = round(math.sqrt((radius + 0.5) ** 2 - offset * offset))
        columns[(x + offset) % WIDTH][y - half : y + half] = bytes([_SUN]) * (2 * half)


def _hills(dice: random.Random, layer: int) -> list[int]:
    base, phase = 225 + 51 * layer, dice.uniform(0, 6)
    wide, tall = dice.uniform(24, 51), dice.uniform(12, 30)
    return [
        base + int(tall * math.sin(x / wide + phase) + tall / 3 * math.sin(x / 10 + phase))
        for x in range(WIDTH)
    ]


def _sea(dice: random.Random, layer: int) -> list[int]:
    base, phase = 246 + 39 * layer, dice.uniform(0, 6)
    return [base + int(layer * 3.5 * math.sin(x / 9 + phase)) for x in range(WIDTH)]


def _town(dice: random.Random, layer: int) -> list[int]:
    edges: list[int] = []
    while len(edges) < WIDTH:
        edges += [195 + 60 * layer + dice.randrange(-39, 39)] * dice.randrange(12, 33)
    return edges[:WIDTH]


def _mix(start: float, end: float, share: float) -> float:
    return start + (end - start) * share


def _rgb(hue: float, lightness: float, saturation: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _png(rows: list[bytes], palette: Palette) -> bytes:
    """An indexed PNG: the PNG specification's sections 11.2.1 to 11.2.4."""
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)
    colours = b"".join(bytes(colour) for colour in palette)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in ((b"IHDR", header), (b"PLTE", colours), (b"IDAT", pixels), (b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
