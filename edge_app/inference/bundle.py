"""The model file: a TFLite model that any tool opens, with a zip of ours behind it.

`lineside.json` in the zip says what the model is, `labels.txt` names its classes for
other TFLite tools, `golden.npz` holds inputs with the answers that the converter saw.
The zip's comment is the SHA-256 of every byte before the zip's end record, so that no
damage anywhere in the file goes unseen.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_app.inference.durable import write_durably
from edge_app.inference.judge import Limits
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task, check_labels
from edge_app.inference.tensor import Array, TensorInfo

FORMAT = 1
SPEC_NAME, LABELS_NAME, GOLDEN_NAME = "lineside.json", "labels.txt", "golden.npz"
MAX_FILE_BYTES = 200 * 1024 * 1024
END_RECORD_BYTES = 22
_COMMENT = b"lineside sha256 "


class BundleError(Exception):
    """The file is not a model file of ours, or it is damaged; the message says which."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Inputs that prove a device computes what the converter saw.

    Args:
        inputs: By input name. For pictures uint8 [n, height, width, channels], fitted
            to the model but not normalised; otherwise [n, *shape], the tensors themselves.
        float_outputs: What the float model gave, by output name, real values.
        quantized_outputs: What this file's model gave, by output name, as it gave it
            (raw integers). Both are [n, *shape], batch included: entry i is what
            one invoke answers to input i.
    """

    inputs: Mapping[str, Array]
    float_outputs: Mapping[str, Array]
    quantized_outputs: Mapping[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values()))) if self.inputs else 0


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What `lineside.json` says.

    Args:
        name: The model's name for people and paths.
        task: What the outputs mean.
        inputs: The model's inputs.
        outputs: The model's outputs.
        contract: How a picture becomes the input; None for a model of raw tensors.
        limits: What the maker recommends to judge by; a job may set others.
        mode: How it was quantized, e.g. `int8`.
        made: Provenance: `created_at`, `converter`, `source`, hashes.
        calibration: What the quantization was calibrated with.
        comparison: Float against quantized, and the runtimes it was proved on.
    """

    name: str
    task: Task
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    contract: Contract | None
    limits: Limits = field(default_factory=Limits)
    mode: str = "unknown"
    made: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    comparison: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The document kept in the file."""
        return {
            "format": FORMAT,
            "name": self.name,
            "task": self.task.to_json(),
            "inputs": [tensor.to_json() for tensor in self.inputs],
            "outputs": [tensor.to_json() for tensor in self.outputs],
            "contract": self.contract.to_json() if self.contract else None,
            "limits": self.limits.to_json(),
            "mode": self.mode,
            "made": dict(self.made),
            "calibration": dict(self.calibration),
            "comparison": dict(self.comparison),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ModelSpec:
        """Read what `to_json` wrote.

        Raises:
            BundleError: Made by a newer Lineside, or an entry is missing or wrong.
        """
        if document.get("format") != FORMAT:
            raise BundleError(
                f"expected model file format {FORMAT}, got {document.get('format')!r}; "
                "it was made by another version of Lineside"
            )
        try:
            contract = document["contract"]
            spec = cls(
                name=str(document["name"]),
                task=Task.from_json(document["task"]),
                inputs=tuple(map(TensorInfo.from_json, document["inputs"])),
                outputs=tuple(map(TensorInfo.from_json, document["outputs"])),
                contract=Contract.from_json(contract) if contract else None,
                limits=Limits.from_json(document["limits"]),
                mode=str(document["mode"]),
                made=document["made"],
                calibration=document["calibration"],
                comparison=document["comparison"],
            )
            check_labels(spec.task.labels)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(f"{SPEC_NAME} is not valid: {error!r}") from error
        return spec


@dataclass(frozen=True, slots=True)
class ModelBundle:
    """A model with everything that is known of it.

    Args:
        flatbuffer: The TFLite model.
        spec: What it is.
        golden: Its proof; None for a third-party file.
    """

    flatbuffer: bytes
    spec: ModelSpec
    golden: Golden | None = None

    @property
    def sha256(self) -> str:
        """The flatbuffer's hash: the model's identity in records."""
        return hashlib.sha256(self.flatbuffer).hexdigest()


def write_bundle(path: Path, bundle: ModelBundle) -> None:
    """Write a model file so that at any moment the old or the whole new one is there."""
    write_durably(path, pack_bundle(bundle))


def pack_bundle(bundle: ModelBundle) -> bytes:
    """The bytes of a model file."""
    document = bundle.spec.to_json() | {
        "flatbuffer": {"bytes": len(bundle.flatbuffer), "sha256": bundle.sha256}
    }
    buffer = io.BytesIO(bundle.flatbuffer)
    # Mode "a" behind bytes that are no zip keeps offsets from the file's start, as
    # the TFLite metadata convention has it: unzip finds nothing to complain about.
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, SPEC_NAME, json.dumps(document, indent=1, ensure_ascii=False).encode())
        _add(archive, LABELS_NAME, "".join(f"{x}\n" for x in bundle.spec.task.labels).encode())
        if bundle.golden is not None:
            _add(archive, GOLDEN_NAME, _pack_golden(bundle.golden))
    body = buffer.getvalue()
    # The comment's length in the end record is part of what is hashed.
    comment_bytes = len(_COMMENT) + 64
    body = body[:-2] + comment_bytes.to_bytes(2, "little")
    return body + _COMMENT + hashlib.sha256(body).hexdigest().encode()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A fixed date: the same model packed twice is the same file.
    entry = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


def _pack_golden(golden: Golden) -> bytes:
    buffer = io.BytesIO()
    arrays = {f"in:{k}": v for k, v in golden.inputs.items()}
    arrays |= {f"float:{k}": v for k, v in golden.float_outputs.items()}
    arrays |= {f"quantized:{k}": v for k, v in golden.quantized_outputs.items()}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def is_bundle(content: bytes) -> bool:
    """Whether the bytes claim to be a model file of ours, damaged or not."""
    return SPEC_NAME.encode() in content or _COMMENT in content[-len(_COMMENT) - 64 :]


def read_bundle(path: Path) -> ModelBundle:
    """Read and verify a model file.

    Raises:
        BundleError: Too large, unreadable, damaged, or not a model file of ours.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise BundleError(f"{path.name} has {size} bytes; at most {MAX_FILE_BYTES} are taken")
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"can't read {path}: {error.strerror}") from error
    return unpack_bundle(content)


def unpack_bundle(content: bytes) -> ModelBundle:
    """Verify the bytes of a model file and take it apart.

    Raises:
        BundleError: Damaged, or not a model file of ours.
    """
    if not is_bundle(content):
        raise BundleError("this is no Lineside model file: it holds no lineside.json")
    trailer = len(_COMMENT) + 64
    body, comment = memoryview(content)[:-trailer], content[-trailer:]
    if comment != _COMMENT + hashlib.sha256(body).hexdigest().encode():
        raise BundleError("the model file is damaged or cut short: its checksum does not match")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > MAX_FILE_BYTES:
                raise BundleError(f"the model file unpacks to {unpacked} bytes; that is no model")
            document = json.loads(archive.read(SPEC_NAME))
            names = archive.namelist()
            golden = _unpack_golden(archive.read(GOLDEN_NAME)) if GOLDEN_NAME in names else None
        flatbuffer = content[: int(document["flatbuffer"]["bytes"])]
        expected = document["flatbuffer"]["sha256"]
    # What zip and numpy raise on a file that was made to break them.
    except (
        *(zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, OSError),
        *(EOFError, NotImplementedError, RuntimeError),
    ) as error:
        raise BundleError(f"the model file can't be taken apart: {error}") from error
    if hashlib.sha256(flatbuffer).hexdigest() != expected:
        raise BundleError("the model inside the file is not the one that lineside.json describes")
    return ModelBundle(flatbuffer, ModelSpec.from_json(document), golden)


def _unpack_golden(content: bytes) -> Golden:
    parts: dict[str, dict[str, Array]] = {"in": {}, "float": {}, "quantized": {}}
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        for key in arrays.files:
            part, _, name = key.partition(":")
            parts[part][name] = arrays[key]
    return Golden(parts["in"], parts["float"], parts["quantized"])
