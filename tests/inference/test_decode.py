"""Bytes to pictures: everything a camera, a phone or an enemy may send."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageOps

from edge_app.inference.decode import BadImage, decode_image, decode_reduced
from edge_app.inference.jpeg import read_jpeg_header

SCENE = cv2.resize(np.random.default_rng(5).integers(0, 256, (6, 8, 3), dtype=np.uint8), (160, 120))
"""A picture with large shapes, so that compression leaves it much as it is."""


def encoded(kind: str, picture: Pillow.Image | None = None, **options: object) -> bytes:
    """The scene, or another picture, as a file."""
    buffer = io.BytesIO()
    picture = picture or Pillow.fromarray(SCENE[:, :, ::-1])
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def differs(image: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of a pixel."""
    return float(np.abs(image.astype(int) - other).mean())


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("GIF", {}, 12),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 90}, 4),
        ("JPEG", {"quality": 90}, 4),
        ("JPEG", {"quality": 90, "progressive": True}, 4),
        ("JPEG", {"quality": 90, "subsampling": 0, "restart_marker_rows": 1}, 4),
    ],
)
def test_every_kind_gives_the_picture(
    kind: str, options: dict[str, object], tolerance: float
) -> None:
    """Blue-green-red, upright, the right way round."""
    image = decode_image(encoded(kind, **options))

    assert image.shape == SCENE.shape
    assert image.dtype == np.uint8
    assert differs(image, SCENE) <= tolerance


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_mark_says(kind: str, orientation: int) -> None:
    """All eight EXIF orientations, in every format that carries one."""
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    content = encoded(kind, exif=exif, **options)

    image = decode_image(content)

    with Pillow.open(io.BytesIO(content)) as stored:
        upright = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))[:, :, ::-1]
    assert image.shape == upright.shape
    assert differs(image, upright) == 0


def test_transparent_parts_are_shown_on_white() -> None:
    """In palettes, in grey and in colours."""
    clear = Pillow.new("RGBA", (8, 8), (200, 0, 0, 0))
    half = Pillow.new("LA", (8, 8), (0, 128))
    palette = Pillow.new("P", (8, 8), 3)
    palette.putpalette([10, 20, 30] * 4)

    assert (decode_image(encoded("PNG", clear)) == 255).all()
    assert abs(int(decode_image(encoded("PNG", half))[0, 0, 0]) - 127) <= 1
    assert (decode_image(encoded("PNG", palette, transparency=3)) == 255).all()
    assert (decode_image(encoded("GIF", palette, transparency=3)) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_keep_the_upper_eight(kind: str) -> None:
    """A 16-bit grey picture becomes the 8-bit one that it looks like."""
    grey = (np.arange(256, dtype=np.uint16) * 256 + 77).reshape(16, 16)

    image = decode_image(encoded(kind, Pillow.fromarray(grey)))

    assert (image == (np.arange(256).reshape(16, 16, 1))).all()


def test_more_than_sixteen_bits_are_refused() -> None:
    """Nobody knows which of them are meant to be seen."""
    for pixels in (np.ones((4, 4), np.float32), np.ones((4, 4), np.int32)):
        with pytest.raises(BadImage, match="8 or 16 bits") as refusal:
            decode_image(encoded("TIFF", Pillow.fromarray(pixels)))
        assert refusal.value.status == 415


def test_cmyk_becomes_colours() -> None:
    """Printers' files are shown, if not with a printer's exactness."""
    image = decode_image(encoded("JPEG", Pillow.new("CMYK", (16, 16), (0, 255, 255, 0))))

    assert differs(image, np.full((16, 16, 3), (0, 0, 255))) < 3


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_that_was_cut_off_is_refused(data: st.DataObject) -> None:
    """Wherever the cut is, in every format; a half picture is never judged."""
    kind, options = data.draw(
        st.sampled_from(
            [
                ("JPEG", {"quality": 90}),
                ("JPEG", {"quality": 90, "progressive": True}),
                ("JPEG", {"restart_marker_rows": 1}),
                ("PNG", {}),
                ("BMP", {}),
                ("WEBP", {}),
            ]
        )
    )
    content = encoded(kind, **options)
    # Behind the last pixel stand checksums and an end mark: without those, nothing is missing.
    cut = data.draw(st.integers(1, len(content) - 24))

    with pytest.raises(BadImage):
        decode_image(content[:cut])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_give_a_picture_or_a_refusal(data: st.DataObject) -> None:
    """Nothing but `BadImage` ever comes out, and a picture has the size its header says."""
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF"]))
    content = bytearray(encoded(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    try:
        height, width, channels = decode_image(bytes(content), max_pixels=1_000_000).shape
    except BadImage as error:
        height, width, channels, status = 0, 0, 3, error.status
    else:
        status = 400

    assert status in (400, 413, 415)
    assert channels == 3
    assert height * width <= 1_000_000


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_may_be_a_jpeg_header(content: bytes, begins_right: bool) -> None:
    """The walk over the segments ends, and never reads outside."""
    with contextlib.suppress(ValueError):
        read_jpeg_header(b"\xff\xd8" * begins_right + content)


def test_a_header_is_read_past_thumbnails_and_other_pictures() -> None:
    """Only the primary picture counts: not what lies inside a segment or behind the end."""
    thumbnail = encoded("JPEG", Pillow.new("RGB", (8, 8)))
    exif = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    content = encoded("JPEG", quality=90)
    content = content[:2] + exif + content[2:] + thumbnail

    header = read_jpeg_header(content)

    assert header is not None
    assert (header.width_px, header.height_px, header.scans) == (160, 120, 1)
    assert header.complete
    assert differs(decode_image(content), SCENE) < 4


def test_a_picture_of_several_is_the_primary_one() -> None:
    """A phone's MPO file, with a second picture behind the first."""
    buffer = io.BytesIO()
    first, second = Pillow.fromarray(SCENE[:, :, ::-1]), Pillow.new("RGB", (160, 120))
    first.save(buffer, "MPO", save_all=True, append_images=[second], quality=95)

    assert differs(decode_image(buffer.getvalue()), SCENE) < 4


def test_size_is_checked_before_a_pixel_is_decoded() -> None:
    """A few bytes that promise gigapixels cost nothing."""
    header = cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes()
    bomb = header[:16] + (30_000).to_bytes(4, "big") * 2 + header[24:]
    many_scans = encoded("JPEG", progressive=True)

    with pytest.raises(BadImage, match=r"far too large|megapixels") as refusal:
        decode_image(_with_checksum(bomb))
    assert refusal.value.status == 413
    for limit in ({"max_pixels": 100}, {"max_bytes": 100}):
        with pytest.raises(BadImage) as refusal:
            decode_image(many_scans, **limit)
        assert refusal.value.status == 413


def _with_checksum(png: bytes) -> bytes:
    return png[:29] + zlib.crc32(png[12:29]).to_bytes(4, "big") + png[33:]


def test_a_jpeg_of_several_scans_may_take_less_memory_the_more_it_stores() -> None:
    """All of it is kept until the last scan: full colour takes twice as much as halved ones."""
    picture = Pillow.new("RGB", (6400, 6000))

    halved = encoded("JPEG", picture, progressive=True, subsampling="4:2:0")
    full = encoded("JPEG", picture, progressive=True, subsampling="4:4:4")

    assert decode_reduced(halved, lambda _w, _h: 8.0).full_size == (6400, 6000)
    with pytest.raises(BadImage, match="takes 346 MB to decode") as refusal:
        decode_reduced(full, lambda _w, _h: 8.0)
    assert refusal.value.status == 413


def test_a_jpeg_of_many_scans_is_refused() -> None:
    """Each scan is a pass over the whole picture, and a file may hold thousands."""
    content = encoded("JPEG", Pillow.new("L", (4000, 4000)), progressive=True)
    start = content.rindex(b"\xff\xda")
    scan = content[start:-2]

    with pytest.raises(BadImage, match="scans takes too long") as refusal:
        decode_image(content[:-2] + scan * 100 + content[-2:])

    assert refusal.value.status == 413


EXIF_SEGMENT = b"\xff\xe1\x00\x10Exif\x00\x00II*\x00\x08\x00\x00\x00"
COMMENT = b"\xff\xfe\x00\x02"
LARGE_EXIF = b"\xff\xe1\xff\xffExif\x00\x00" + bytes(65_527)


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        (EXIF_SEGMENT * 1_001, "at most 1000 segments"),
        (COMMENT * 1_001, "at most 1000 segments"),
        (LARGE_EXIF * 17, "at most 1048576 bytes of EXIF"),
        (COMMENT + b"\x00" * 65_537, "got 65537 bytes between them"),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_jpeg_of_too_many_parts_is_refused(before: bytes, sentence: str, mode: str) -> None:
    """Whichever library would have decoded it."""
    content = encoded("JPEG", Pillow.new(mode, (16, 16)))

    with pytest.raises(BadImage, match=sentence) as refusal:
        decode_image(content[:2] + before + content[2:])

    assert refusal.value.status == 413


@pytest.mark.parametrize("marker", [b"\xff\xd9", b"\xff\xf0\xff\xff", b"\xff\xe4\x00\x00"])
def test_a_jpeg_whose_parts_cannot_be_walked_is_refused(marker: bytes) -> None:
    """An end before the picture, an unknown marker, an impossible length: no way past the count."""
    content = encoded("JPEG")

    with pytest.raises(BadImage, match="without a frame and a scan") as refusal:
        decode_image(content[:2] + marker + EXIF_SEGMENT * 5_000 + content[2:])

    assert refusal.value.status == 400


def test_scans_cannot_hide_behind_comments() -> None:
    """A walk that did not get to the scans does not count as one that found few."""
    content = encoded("JPEG", Pillow.new("L", (64, 64)), progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]

    with pytest.raises(BadImage, match="at most 1000 segments"):
        decode_image(content[:2] + COMMENT * 1_000 + content[2:-2] + scan * 600 + content[-2:])


def _chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        (_chunk(b"iCCP", b"icc\x00\x00" + zlib.compress(bytes(900))) * 2, "at most one colour"),
        (_chunk(b"aaAa") * 200, "at most 200 PNG chunks besides pixels"),
        (_chunk(b"IDAT") * 20_000, "at most 20000 PNG chunks"),
        (_chunk(b"eXIf", bytes(1_048_577)), "bytes of EXIF"),
    ],
)
def test_a_png_of_too_many_parts_is_refused(before: bytes, sentence: str) -> None:
    """Profiles, unknown chunks, pixels in crumbs, an EXIF of megabytes."""
    content = encoded("PNG")

    with pytest.raises(BadImage, match=sentence) as refusal:
        decode_image(content[:33] + before + content[33:])

    assert refusal.value.status == 413


@pytest.mark.parametrize("mark", [b"II*\x00", b"II\x00*", b"MM\x00*", b"II+\x00", b"MM\x00+"])
def test_a_tiff_of_too_many_numbers_is_refused(mark: bytes) -> None:
    """In one tag or in many tags, in either byte order, classic and large."""
    order, big = "<" if mark[:1] == b"I" else ">", b"+" in mark
    start = struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)

    def content(tags: int, kind: int, count: int) -> bytes:
        tag = struct.pack(order + ("HHQQ" if big else "HHII"), 700, kind, count, 8)
        return mark + start + struct.pack(order + ("Q" if big else "H"), tags) + tag

    for tags, kind, count, sentence in (
        (1, 5, 200_001, "at most 200000 values"),
        (1, 6, 200_001, "at most 200000 values"),
        (1_001, 5, 1, "at most 1000 tags"),
    ):
        with pytest.raises(BadImage, match=sentence) as refusal:
            decode_image(content(tags, kind, count))
        assert refusal.value.status == 413


@pytest.mark.parametrize("content", [b"", b"GIF", b"%PDF-1.7 ...", b"<svg></svg>", b"\x00" * 99])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    """The sentence tells the formats that are taken."""
    with pytest.raises(BadImage, match="expected a picture"):
        decode_image(content)


@pytest.mark.parametrize(
    ("room", "reduction"), [(1.0, 1), (1.9, 1), (2.0, 2), (4.5, 4), (8.0, 8), (100.0, 8)]
)
def test_a_jpeg_is_decoded_as_small_as_there_is_room_for(room: float, reduction: int) -> None:
    """By halves; the size of the source is told beside it."""
    decoded = decode_reduced(encoded("JPEG", quality=95), lambda _w, _h: room)

    assert decoded.reduction == reduction
    assert decoded.full_size == (160, 120)
    assert decoded.image.shape == (120 // reduction, 160 // reduction, 3)
    smaller = cv2.resize(SCENE, decoded.image.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert differs(decoded.image, smaller) < 6


def test_a_reduced_picture_is_upright_too() -> None:
    """A picture that lies on its side is told with the sides it has when it stands."""
    exif = Pillow.Exif()
    exif[0x0112] = 6
    decoded = decode_reduced(encoded("JPEG", exif=exif), lambda w, h: 2.0 if w > h else 4.0)

    assert decoded.full_size == (120, 160)
    assert decoded.image.shape == (80, 60, 3)


def test_other_formats_are_never_reduced() -> None:
    """Only a JPEG holds its averages."""
    decoded = decode_reduced(encoded("PNG"), lambda _w, _h: 8.0)

    assert decoded.reduction == 1
    assert decoded.full_size == (160, 120)


ODD_REFUSED = {
    "1bit_30000x30000_900Mpx.png": 413,
    "1bit_65000x2700_175Mpx_warn_only.png": 413,
    "gray8_9000x9000_81Mpx_nowarn.png": 413,
    "rgb8_13000x13000_169Mpx_warn_only.png": 413,
    "png_decompression_dos.png": 400,
    "truncated_end_chunk.png": 400,
    "truncated_jpeg.jpg": 400,
    "bmp_b_badbitcount.bmp": 400,
    "bmp_q_rgb24jpeg.bmp": 400,
    # Its primary picture ends where its pixels should begin.
    "ultrahdr.jpg": 400,
}
OTHER_KINDS = {".j2k", ".avif", ".fli", ".sgi", ".ico", ".eps", ".qoi", ".pgm", ".psd", ".blp"}

ODD_SCRIPT = """
import sys, warnings
from edge_app.inference.decode import BadImage, decode_image
from pathlib import Path
warnings.simplefilter("ignore")
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        outcome = "x".join(map(str, decode_image(path.read_bytes()).shape))
    except BadImage as error:
        outcome = str(error.status)
    print(path.name, outcome)
# Not getrusage: its maximum is inherited from whoever started us.
status = Path("/proc/self/status").read_text()
print("peak", int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def test_odd_pictures_are_answered_or_refused(data: Path) -> None:
    """Every odd, broken or hostile file of the collection, in one process that stays small."""
    script = [sys.executable, "-c", ODD_SCRIPT, str(data / "photos" / "odd")]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=True)

    outcomes = dict(line.split() for line in done.stdout.splitlines())
    assert int(outcomes.pop("peak")) < 400
    assert len(outcomes) > 60
    for name, outcome in outcomes.items():
        if Path(name).suffix in OTHER_KINDS | {".dds"}:
            assert outcome == "415", name
        elif name in ODD_REFUSED:
            assert outcome == str(ODD_REFUSED[name]), name
        elif not name.startswith("crash-"):
            assert outcome.endswith("x3"), name


def test_real_photos_have_the_same_pixels_in_both_libraries(data: Path) -> None:
    """The fast way and Pillow's agree to the last bit, so no photo depends on which one it took."""
    photos = sorted((data / "photos").glob("*.jpg"))
    assert photos
    for path in photos:
        with Pillow.open(path) as stored:
            slow = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))[:, :, ::-1]
        assert (decode_image(path.read_bytes()) == slow).all(), path.name
