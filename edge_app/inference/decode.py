"""Bytes to image, bounded before a single pixel is decoded."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from edge_app.inference.containers import TooMuch, check_container
from edge_app.inference.jpeg import MAX_EXIF_BYTES, JpegHeader, read_jpeg_header
from edge_app.inference.preprocess import Image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")
"""What is read; first frames of those that hold several. Everything else is refused."""

MAX_BYTES = 16 * 1024 * 1024
MAX_PIXELS = 40_000_000

MAX_MEMORY_BYTES = 320_000_000
"""What decoding one picture may take, by estimate; measured, it stays below 360 MB."""

MAX_SCAN_PIXELS = 480_000_000
"""Pixels times scans of a progressive JPEG: a few hundred scans in a small file take minutes."""

STRIP_ROWS = 256
"""Rows that are converted at once: whole copies of large pictures would take too much memory."""

REDUCTIONS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}

_SEQUENTIAL, _PROGRESSIVE = (0xC0, 0xC1), 0xC2

_STORED_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Bytes that Pillow keeps for a pixel of a mode; 4 for all others."""

_STORED_BYTES_JPEG = 4
_WEBP_BYTES = 12
"""Bytes for a pixel that WebP's decoder takes besides the picture: three canvases."""


class BadImage(Exception):  # noqa: N818 - the glossary's name, read as a sentence where it is raised
    """The bytes are not a picture that can be judged; the message says what came.

    Args:
        message: What was expected and what came.
        status: The HTTP status that says it: 400 damaged, 413 too large, 415 not a known kind.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture that may have been decoded smaller than it is.

    Args:
        image: Height x width x 3, uint8, blue-green-red.
        reduction: Source pixels for one of the image's, across and down.
        full_size: Width and height of the source.
    """

    image: Image
    reduction: int
    full_size: tuple[int, int]


def decode_image(
    content: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> Image:
    """Decode a picture as a person would see it.

    The camera's orientation mark (EXIF) is applied, transparent parts are shown on
    white, 16-bit pictures keep their upper 8 bits, CMYK and palettes become colours.

    Args:
        content: The whole file.
        max_bytes: Largest file that is looked at.
        max_pixels: Largest width x height, read from the header.

    Returns:
        Height x width x 3, uint8, blue-green-red.

    Raises:
        BadImage: Too large, of an unknown kind, truncated or damaged.
    """
    return decode_reduced(content, max_bytes=max_bytes, max_pixels=max_pixels).image


def decode_reduced(
    content: bytes,
    room: Callable[[int, int], float] = lambda _width, _height: 1.0,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> Decoded:
    """The same, where a JPEG need not be decoded at its full size.

    At a half, a quarter or an eighth most of the work falls away: the averages that
    are wanted stand in the file.

    Args:
        content: The whole file.
        room: Given width and height of the picture, how many times smaller it may be.
        max_bytes: Largest file that is looked at.
        max_pixels: Largest width x height, read from the header.

    Raises:
        BadImage: Too large, of an unknown kind, truncated or damaged.
    """
    if len(content) > max_bytes:
        raise BadImage(f"picture has {len(content)} bytes; at most {max_bytes} are taken", 413)
    if not content:
        raise BadImage("expected a picture, got no bytes")
    header = _header(content)
    if header is not None:
        _check_size(header.width_px, header.height_px, max_pixels)
        if header.width_px * header.height_px * header.scans > MAX_SCAN_PIXELS:
            raise BadImage(f"a JPEG of this size in {header.scans} scans takes too long", 413)
        decoded = _decode_jpeg(content, header, room)
        if decoded is not None:
            return decoded
        held = _STORED_BYTES_JPEG + 3 + _coefficient_bytes(header)
        _check_size(header.width_px, header.height_px, max_pixels, held)
    image = _decode_any(content, max_pixels)
    return Decoded(image, 1, (image.shape[1], image.shape[0]))


def _header(content: bytes) -> JpegHeader | None:
    """A JPEG's header, of others None; refuses what would keep a decoder busy with its parts."""
    try:
        check_container(content)
        return read_jpeg_header(content)
    except TooMuch as error:
        raise BadImage(str(error), 413) from None
    except ValueError as error:
        raise BadImage(str(error)) from None


def _check_size(width: int, height: int, max_pixels: int, bytes_per_pixel: float = 0) -> None:
    if width * height > max_pixels:
        raise BadImage(
            f"picture is {width}x{height} = {width * height / 1e6:.1f} megapixels; "
            f"at most {max_pixels / 1e6:.1f} are taken",
            413,
        )
    needed = width * height * bytes_per_pixel
    if needed > MAX_MEMORY_BYTES:
        raise BadImage(
            f"picture is {width}x{height}; of this kind that takes {needed / 1e6:.0f} MB to "
            f"decode, and at most {MAX_MEMORY_BYTES / 1e6:.0f} are given",
            413,
        )


def _decode_jpeg(
    content: bytes, header: JpegHeader, room: Callable[[int, int], float]
) -> Decoded | None:
    """OpenCV's way, several times faster than Pillow's; None if the file is not plain enough.

    OpenCV fills what is missing of a truncated file with grey and says nothing, so only
    files that are all there come here. Both libraries give the same pixels.
    """
    progressive = header.process == _PROGRESSIVE
    plain = header.complete and header.bits == 8 and header.components in (1, 3)
    if not plain or not (progressive or header.process in _SEQUENTIAL):
        return None
    width, height = header.width_px, header.height_px
    _check_size(width, height, width * height, 3 + _coefficient_bytes(header))
    # Whether the picture lies on its side is known only afterwards.
    most = min(room(width, height), room(height, width))
    reduction = next((factor for factor in REDUCTIONS if factor <= most), 1)
    flags = REDUCTIONS.get(reduction, cv2.IMREAD_COLOR)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None
    if image is None:
        return None
    upright = (-(-height // reduction), -(-width // reduction))
    if image.shape[:2] not in (upright, upright[::-1]):
        return None
    turned = image.shape[:2] != upright
    full_size = (height, width) if turned else (width, height)
    return Decoded(np.asarray(image, dtype=np.uint8), reduction, full_size)


def _coefficient_bytes(header: JpegHeader) -> float:
    """What is kept of a pixel until the last scan; of one scan, nothing."""
    several = header.process == _PROGRESSIVE or header.scans > 1
    return 2 * header.samples * several


def _decode_any(content: bytes, max_pixels: int) -> Image:
    try:
        with Pillow.open(io.BytesIO(content), formats=FORMATS) as picture:
            _check_size(*picture.size, max_pixels, _bytes_per_pixel(picture))
            image = _to_bgr(picture)
            orientation = _orientation(picture)
    except UnidentifiedImageError:
        raise BadImage(
            f"expected a picture ({', '.join(FORMATS)}), got {len(content)} bytes "
            f"that begin with {content[:8].hex(' ')}",
            415,
        ) from None
    except (Pillow.DecompressionBombError, Pillow.DecompressionBombWarning) as error:
        raise BadImage(f"picture is far too large: {error}", 413) from None
    except BadImage:
        raise
    # Pillow's decoders raise whatever their format's code happens to: SyntaxError, struct.error,
    # IndexError, zlib.error and more have been seen on damaged files. All mean the same here.
    except Exception as error:
        raise BadImage(f"picture is damaged or truncated: {error}") from error
    # Only now is Pillow's own copy gone, and there is memory for another.
    del picture
    return _turned(image, orientation)


def _orientation(picture: Pillow.Image) -> int:
    """EXIF's number, once every part of the file that may hold it is known."""
    for name in ("exif", "Raw profile type exif"):
        size = len(picture.info.get(name, b""))
        if size > MAX_EXIF_BYTES:
            raise BadImage(
                f"picture has {size} bytes of EXIF; at most {MAX_EXIF_BYTES} are taken", 413
            )
    return int(picture.getexif().get(0x0112, 1))


def _bytes_per_pixel(picture: Pillow.Image) -> float:
    """What a pixel takes while it is decoded: the decoder's own, Pillow's, and ours."""
    stored = _STORED_BYTES.get(picture.mode, 4) + 3
    if picture.format == "WEBP":
        return stored + _WEBP_BYTES
    if picture.format == "TIFF":
        bits = picture.tag_v2.get(258, (8,))  # type: ignore[attr-defined]  # TIFF pictures have it
        return float(stored + sum(bits) / 8)
    if picture.format == "PNG" and "16" in str(picture.tile):  # type: ignore[attr-defined]  # as above
        # Not kept, but unpacked all the same: this bounds the time.
        return stored + 2 * len(picture.getbands())
    return stored


def _to_bgr(picture: Pillow.Image) -> Image:
    if picture.mode == "F" or (picture.mode == "I" and picture.format != "PNG"):
        raise BadImage("expected 8 or 16 bits for each channel, got 32", 415)
    picture.load()
    width, height = picture.size
    image = np.empty((height, width, 3), dtype=np.uint8)
    for top in range(0, height, STRIP_ROWS):
        bottom = min(height, top + STRIP_ROWS)
        image[top:bottom] = _strip(picture.crop((0, top, width, bottom)))
    return image


def _strip(strip: Pillow.Image) -> Image:
    if strip.mode in ("I;16", "I;16B", "I;16L", "I"):
        grey = (np.asarray(strip) >> 8).clip(0, 255).astype(np.uint8)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), dtype=np.uint8)
    if strip.has_transparency_data:
        layer = strip.convert("RGBA")
        strip = Pillow.new("RGB", layer.size, "white")
        strip.paste(layer, mask=layer)
    # Ten times as fast as turning the last axis round with numpy.
    colors = np.asarray(strip.convert("RGB"))
    return np.asarray(cv2.cvtColor(colors, cv2.COLOR_RGB2BGR), dtype=np.uint8)


def _turned(image: Image, orientation: int) -> Image:
    """The picture upright, by EXIF's number: 2 to 4 mirrored or upside down, 5 to 8 on its side."""
    if orientation in (5, 6, 7, 8):
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
