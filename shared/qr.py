"""QR codes as pictures: PNG for screens, SVG for print."""

from enum import StrEnum
from io import BytesIO

import segno

USUAL_WIDTH_PX = 430
_BORDER = 4
"""Modules of white around a code: the quiet zone that ISO/IEC 18004 asks for."""


class PictureForm(StrEnum):
    """Their media types."""

    PNG = "image/png"
    SVG = "image/svg+xml"

    @classmethod
    def wanted(cls, accept: str | None) -> "PictureForm":
        """SVG where the header Accept prefers it by name, else PNG."""
        weights = _weights(accept or "")
        svg = weights.get(cls.SVG, 0.0)
        return cls.SVG if svg > weights.get(cls.PNG, 0.0) else cls.PNG


def draw_qr(text: str, form: PictureForm, width_px: int = USUAL_WIDTH_PX) -> bytes:
    """A QR code with error correction M; a PNG is at least ``width_px`` wide."""
    code = segno.make_qr(text, error="m")
    picture = BytesIO()
    if form is PictureForm.SVG:
        code.save(
            picture, kind="svg", scale=8, border=_BORDER, xmldecl=False, omitsize=True, nl=False
        )
    else:
        scale = -(-width_px // code.symbol_size(border=_BORDER)[0])
        code.save(picture, kind="png", scale=scale, border=_BORDER)
    return picture.getvalue()


def _weights(accept: str) -> dict[str, float]:
    """The ``q`` of each media type (RFC 9110, section 12.5.1); what cannot be read weighs 1."""
    weights: dict[str, float] = {}
    for entry in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in entry.split(";"))
        weights[kind] = next((_number(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
    return weights


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 1.0
