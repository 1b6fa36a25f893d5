"""Colors: one ramp of hues, and how a color looks on what is below it.

Pictures stand on pages of any color. So ink is the page's own (`currentColor`), and the hues, all
of one lightness, are translucent: on a light page they are pastels, on a dark one shades.
"""

from __future__ import annotations

from math import cos, pi, sin

# What a picture that stands alone is drawn on, and its ink, in a light and in a dark surrounding.
LIGHT_PAPER, LIGHT_INK = "#ffffff", "#1b1d22"
DARK_PAPER, DARK_INK = "#15171c", "#e7e9ee"
# How much of a hue shows, and of ink that stays in the background.
TINT = 0.42
FAINT = 0.7

_FIRST_HUE, _LAST_HUE = 265.0, 15.0
_LIGHTNESS, _CHROMA = 0.70, 0.135


def ramp(position: float) -> str:
    """The color at `position` of the way, 0 to 1, from blue by green and yellow to red.

    >>> ramp(0.0), ramp(0.5), ramp(1.0)
    ('#759bf2', '#6eb35f', '#e57883')
    """
    return _color(_LIGHTNESS, _CHROMA, _FIRST_HUE + position * (_LAST_HUE - _FIRST_HUE))


def _color(lightness, chroma, degrees) -> str:
    """An Oklch color in sRGB (B. Ottosson, 2020); in Oklab, equal steps look equal."""
    a, b = chroma * cos(degrees * pi / 180), chroma * sin(degrees * pi / 180)
    long, medium, short = (
        (lightness + x * a + y * b) ** 3
        for x, y in ((0.3963377774, 0.2158037573), (-0.1055613458, -0.0638541728),
                     (-0.0894841775, -1.2914855480))
    )
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{round(255 * _companded(c)):02x}" for c in linear)


def _companded(c):
    c = min(max(c, 0.0), 1.0)
    return 12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055


def over(color: str, opacity: float, below: str) -> str:
    """What is seen of a color of some opacity over another.

    >>> over("#000000", 0.5, "#ffffff")
    '#808080'
    """
    mixed = (opacity * a + (1 - opacity) * b for a, b in zip(_parts(color), _parts(below)))
    return "#" + "".join(f"{round(c):02x}" for c in mixed)


def contrast(a: str, b: str) -> float:
    """The contrast of two colors, 1 to 21, as WCAG 2 defines it; text needs 4.5.

    >>> contrast("#ffffff", "#000000")
    21.0
    """
    low, high = sorted((_luminance(a), _luminance(b)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color):
    parts = (c / 255 for c in _parts(color))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parts(color):
    return [int(color[k : k + 2], 16) for k in (1, 3, 5)]
