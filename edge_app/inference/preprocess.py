"""Image to input tensor: the one implementation that calibrates, compares and inspects."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.inference.tensor import Array, TensorInfo

Image = NDArray[np.uint8]
"""Height x width x 3, uint8, in OpenCV's blue-green-red order."""

Color = Literal["RGB", "BGR", "GREY"]
Resize = Literal["stretch", "crop", "letterbox"]
Kernel = Literal["nearest", "linear", "area", "cubic"]

KERNELS: dict[str, int] = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "cubic": cv2.INTER_CUBIC,
}

_LOOKED_UP = tuple(map(np.dtype, ("uint8", "int8", "uint16", "int16", "int32", "float32")))
"""What OpenCV's tables can hold."""


@dataclass(frozen=True, slots=True)
class Roi:
    """A region of interest in source pixels; `x`, `y` is its top left corner."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, image: Image) -> Image:
        """The region as a view of the image.

        Raises:
            ValueError: The region does not lie inside the picture.
        """
        height, width = image.shape[:2]
        if self.x < 0 or self.y < 0 or self.x + self.width > width or self.y + self.height > height:
            raise ValueError(
                f"region of interest {self.width}x{self.height} at {self.x},{self.y} "
                f"lies outside a picture of {width}x{height} pixels"
            )
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True, slots=True)
class Geometry:
    """How model pixels map back to source pixels: `source = model / scale + offset`.

    Args:
        scale_x: Model pixels for one source pixel, across.
        scale_y: The same, down.
        offset_x: Source pixel under the model's left edge (negative with letterbox bars).
        offset_y: The same for the top edge.
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_source(self, x: float, y: float) -> tuple[float, float]:
        """Source-pixel position of a model-pixel position."""
        return x / self.scale_x + self.offset_x, y / self.scale_y + self.offset_y

    def moved(self, roi: Roi | None) -> Geometry:
        """The same mapping for a picture of which only `roi` was given to the model."""
        if roi is None:
            return self
        return Geometry(self.scale_x, self.scale_y, self.offset_x + roi.x, self.offset_y + roi.y)

    def enlarged(self, factor: int) -> Geometry:
        """The same mapping for a picture that was made `factor` times smaller beforehand."""
        return Geometry(
            self.scale_x / factor,
            self.scale_y / factor,
            self.offset_x * factor,
            self.offset_y * factor,
        )


@dataclass(frozen=True, slots=True)
class Contract:
    """What the training did to a picture before the network saw it.

    The network's value of a pixel is `(pixel - mean) / std`, pixels 0..255, with
    one mean and std for each channel in the contract's colour order. Where nothing is
    known of the kernel, `area`: cameras give far more pixels than models take, and the
    others would skip most of them.
    """

    color: Color = "RGB"
    resize: Resize = "stretch"
    kernel: Kernel = "area"
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)

    def __post_init__(self) -> None:
        for value, kinds in ((self.color, Color), (self.resize, Resize), (self.kernel, Kernel)):
            if value not in get_args(kinds):
                raise ValueError(f"expected one of {', '.join(get_args(kinds))}, got {value!r}")
        if len(self.mean) not in (1, self.channels) or len(self.std) not in (1, self.channels):
            raise ValueError(
                f"mean and std need 1 or {self.channels} numbers for {self.color}, "
                f"got {len(self.mean)} and {len(self.std)}"
            )
        if not all(np.isfinite(self.mean)) or not all(np.isfinite(self.std)) or 0.0 in self.std:
            raise ValueError(f"mean and std must be finite and std not 0, got {self.std}")

    @property
    def channels(self) -> int:
        """Channels the network gets: 1 for grey, else 3."""
        return 1 if self.color == "GREY" else 3

    def to_json(self) -> dict[str, Any]:
        """The form kept in a model file."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Contract:
        """Read what `to_json` wrote.

        Raises:
            ValueError: An entry is not one of the known words or numbers.
        """
        return cls(
            color=entry["color"],
            resize=entry["resize"],
            kernel=entry["kernel"],
            mean=tuple(float(value) for value in entry["mean"]),
            std=tuple(float(value) for value in entry["std"]),
        )


class Preprocessor:
    """Fits pictures to one model input and looks up their tensor values.

    A pixel has only 256 values, so normalising and quantizing together are one
    table of 256 entries per channel, made once: no floating point per frame, and
    the int8 value is exactly the one that arithmetic would give.

    Args:
        contract: What the training did.
        tensor: The model's input, `[batch, height, width, channels]`.

    Raises:
        ValueError: The tensor cannot take such pictures.
    """

    def __init__(self, contract: Contract, tensor: TensorInfo) -> None:
        shape = tensor.shape
        if len(shape) != 4 or shape[3] != contract.channels or min(shape[1:]) < 1:
            raise ValueError(
                f"input {tensor.name!r} has shape {list(shape)}; a {contract.color} picture needs "
                f"[1, height, width, {contract.channels}]"
            )
        self.contract = contract
        self.height_px, self.width_px = shape[1], shape[2]
        self._table = _value_table(contract, tensor)
        self._identity = bool(
            tensor.dtype == "uint8" and (self._table == np.arange(256)[:, None]).all()
        )

    def fit(self, image: Image) -> tuple[Image, Geometry]:
        """Resize and reorder a picture for the model.

        Args:
            image: Any size; blue-green-red.

        Returns:
            Pixels (model height x width x channels, uint8, contract's colour
            order) and the way back to source pixels.
        """
        resized, geometry = self._resize(image)
        if self.contract.color == "RGB":
            return _uint8(cv2.cvtColor(resized, cv2.COLOR_BGR2RGB)), geometry
        if self.contract.color == "GREY":
            return _uint8(cv2.cvtColor(resized, cv2.COLOR_BGR2GRAY)[:, :, None]), geometry
        return resized, geometry

    def normalise(self, pixels: Image) -> Array:
        """Tensor values of fitted pixels, batch of one, in the model's type."""
        if self._identity:
            return np.ascontiguousarray(pixels)[None]
        if self._table.dtype not in _LOOKED_UP:
            rows = pixels if self._table.shape[1] > 1 else pixels[..., None]
            wide: Array = self._table[rows, np.arange(self._table.shape[1])]
            return wide.reshape(1, *pixels.shape)
        # Ten times as fast as numpy's.
        tensor: Array = cv2.LUT(pixels, self._table[None])
        return tensor.reshape(1, *pixels.shape)

    def _resize(self, image: Image) -> tuple[Image, Geometry]:
        source_h, source_w = image.shape[:2]
        target_h, target_w = self.height_px, self.width_px
        if self.contract.resize == "crop":
            # The largest centred part of the picture that has the model's proportions.
            scale = max(target_w / source_w, target_h / source_h)
            width, height = round(target_w / scale), round(target_h / scale)
            left, top = (source_w - width) // 2, (source_h - height) // 2
            part = image[top : top + height, left : left + width]
            return self._scaled(part, target_w, target_h), Geometry(
                target_w / width, target_h / height, left, top
            )
        if self.contract.resize == "letterbox":
            scale = min(target_w / source_w, target_h / source_h)
            width, height = max(1, round(source_w * scale)), max(1, round(source_h * scale))
            left, top = (target_w - width) // 2, (target_h - height) // 2
            # 114 is the grey that detectors are commonly trained with.
            canvas = np.full((target_h, target_w, 3), 114, dtype=np.uint8)
            canvas[top : top + height, left : left + width] = self._scaled(image, width, height)
            scale_x, scale_y = width / source_w, height / source_h
            return canvas, Geometry(scale_x, scale_y, -left / scale_x, -top / scale_y)
        return self._scaled(image, target_w, target_h), Geometry(
            target_w / source_w, target_h / source_h, 0, 0
        )

    def _scaled(self, image: Image, width: int, height: int) -> Image:
        if image.shape[:2] == (height, width):
            return image
        kernel = KERNELS[self.contract.kernel]
        return _uint8(cv2.resize(image, (width, height), interpolation=kernel))


def _uint8(pixels: Array) -> Image:
    """OpenCV's type information does not say that uint8 in is uint8 out."""
    return np.asarray(pixels, dtype=np.uint8)


def _value_table(contract: Contract, tensor: TensorInfo) -> Array:
    """Tensor value of each pixel value: 256 rows, one column per channel (one if all agree)."""
    pixels = np.arange(256, dtype=np.float64)[:, None]
    mean, std = np.asarray(contract.mean), np.asarray(contract.std)
    values = (pixels - mean) / std
    if not tensor.quantized and np.issubdtype(np.dtype(tensor.dtype), np.integer):
        # An integer input without quantization takes the pixels as they are.
        values = pixels
    table = tensor.quantize(values)
    return table[:, :1] if (table == table[:, :1]).all() else table
