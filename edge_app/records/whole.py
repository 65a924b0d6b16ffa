"""Whether a picture file is all there: the power may have gone while it was written."""

from __future__ import annotations

HOLE = bytes(512)
"""What was not on the disk when the power went reads as zeros; coded pixels have no such run."""

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n"
SCAN, END = b"\xff\xda", b"\xff\xd9"
PNG_END = b"IEND\xaeB`\x82"


def is_whole(content: bytes) -> bool:
    """Whether nothing is missing; of kinds other than JPEG and PNG only the beginning is known."""
    if content.startswith(JPEG):
        # The last scan, for there may be a small picture before it; cameras add to the end.
        scan = content.rfind(SCAN)
        end = content.rfind(END)
        return 0 < scan < end and HOLE not in content[scan:end]
    if content.startswith(PNG):
        return PNG_END in content[-1024:]
    return any(content[: len(HOLE)])
