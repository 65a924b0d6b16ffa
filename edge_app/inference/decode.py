"""Bytes to image, bounded before a single pixel is decoded."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, UnidentifiedImageError

from edge_app.inference.preprocess import Image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF")
"""What is read; first frames of those that hold several. Everything else is refused."""

MAX_BYTES = 16 * 1024 * 1024
MAX_PIXELS = 40_000_000


class BadImage(Exception):  # noqa: N818 - the glossary's name, read as a sentence where it is raised
    """The bytes are not a picture that can be judged; the message says what came.

    Args:
        message: What was expected and what came.
        status: The HTTP status that says it: 400 damaged, 413 too large, 415 not a known kind.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def decode_image(
    content: bytes, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> Image:
    """Decode a picture as a person would see it.

    The camera's orientation mark (EXIF) is applied, transparent parts are shown on
    white, 16-bit grey keeps its upper 8 bits, CMYK and palettes become colours.

    Args:
        content: The whole file.
        max_bytes: Largest file that is looked at.
        max_pixels: Largest width x height, read from the header.

    Returns:
        Height x width x 3, uint8, blue-green-red.

    Raises:
        BadImage: Too large, of an unknown kind, truncated or damaged.
    """
    if len(content) > max_bytes:
        raise BadImage(f"picture has {len(content)} bytes; at most {max_bytes} are taken", 413)
    if not content:
        raise BadImage("expected a picture, got no bytes")
    try:
        with warnings.catch_warnings():
            # Pillow's own warnings about large pictures and odd EXIF; our limit is below its.
            warnings.simplefilter("ignore")
            with Pillow.open(io.BytesIO(content), formats=FORMATS) as picture:
                width, height = picture.size
                if width * height > max_pixels:
                    raise BadImage(
                        f"picture is {width}x{height} = {width * height / 1e6:.1f} megapixels; "
                        f"at most {max_pixels / 1e6:.1f} are taken",
                        413,
                    )
                return _to_bgr(picture)
    except UnidentifiedImageError:
        raise BadImage(
            f"expected a picture ({', '.join(FORMATS)}), got {len(content)} bytes "
            f"that begin with {content[:8].hex(' ')}",
            415,
        ) from None
    except BadImage:
        raise
    # Pillow's decoders raise whatever their format's code happens to: SyntaxError, struct.error,
    # IndexError, zlib.error and more have been seen on damaged files. All mean the same here.
    except Exception as error:
        raise BadImage(f"picture is damaged or truncated: {error}") from error


def _to_bgr(picture: Pillow.Image) -> Image:
    # Read before any conversion: exif_transpose looks at the file's own mark.
    picture.load()
    flat: Pillow.Image = picture
    if flat.mode in ("I;16", "I;16B", "I;16L", "I"):
        flat = Pillow.fromarray((np.asarray(flat) >> 8).clip(0, 255).astype(np.uint8))
        flat.info["exif"] = picture.info.get("exif")
    elif flat.mode == "F":
        raise BadImage("expected 8 or 16 bits for each channel, got floating point", 415)
    elif flat.has_transparency_data:
        layer = flat.convert("RGBA")
        flat = Pillow.new("RGB", layer.size, "white")
        flat.paste(layer, mask=layer)
    orientation = picture.getexif().get(0x0112, 1)
    flat = flat.convert("RGB")
    if orientation != 1:
        flat.getexif()[0x0112] = orientation
        flat = ImageOps.exif_transpose(flat)
    return np.ascontiguousarray(np.asarray(flat)[:, :, ::-1])
