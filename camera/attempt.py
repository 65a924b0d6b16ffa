"""`lineside-camera NAME --try`: can this camera give a picture?"""

from __future__ import annotations

from camera.sources import make_source
from edge_app.config import CameraSettings


def one_picture(camera: CameraSettings) -> str:
    """Open the camera, take one picture, let go; says what came.

    Raises:
        SourceLost: It gave none.
        BadImage: What it gave is no picture.
    """
    source = make_source(camera)
    try:
        source.open()
        height, width = source.read().pixels().shape[:2]
    finally:
        source.close()
    return f"gave a picture of {width}x{height}"
