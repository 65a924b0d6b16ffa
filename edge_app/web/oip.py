"""The wire format of the Open Inference Protocol: tensors as JSON, or as bytes behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_app.inference.tensor import Array
from edge_app.web.errors import ApiError
from edge_app.web.request import decode_base64, parse_json

HEADER = "Inference-Header-Content-Length"
DATATYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
MAX_TENSORS = 32


@dataclass(frozen=True, slots=True)
class Asked:
    """One inference request.

    Args:
        id: To be told again in the answer.
        parameters: Of the whole request.
        inputs: By name.
        datatypes: Of the inputs.
        outputs: The outputs that are wanted, as asked; empty for all.
    """

    id: str | None
    parameters: Mapping[str, Any]
    inputs: Mapping[str, Array | list[bytes]]
    datatypes: Mapping[str, str]
    outputs: tuple[Mapping[str, Any], ...]

    @property
    def pictures(self) -> list[bytes] | None:
        """Picture files, if that is what came."""
        (first, *others) = self.inputs.values()
        return first if isinstance(first, list) and not others else None


def read_request(body: bytes, header_bytes: str | None) -> Asked:
    """Take a request apart.

    Args:
        body: JSON, followed by binary tensors where a header says so.
        header_bytes: That header: how much of the body is JSON.

    Raises:
        ApiError: It is none.
    """
    size = len(body)
    if header_bytes is not None:
        if not (header_bytes.isascii() and header_bytes.isdecimal()) or int(header_bytes) > size:
            raise bad(f"{HEADER}: expected at most {size}, got {header_bytes[:20]!r}")
        size = int(header_bytes)
    document = parse_json(body[:size])
    entries, outputs = document.get("inputs"), document.get("outputs") or []
    if not _is_list_of_objects(entries) or not entries or not _is_list_of_objects(outputs):
        raise bad("expected inputs, a list of tensors, and outputs, a list, if any")
    parameters = parameters_of(document)
    inputs: dict[str, Array | list[bytes]] = {}
    datatypes: dict[str, str] = {}
    place = size
    for entry in entries:
        name = entry.get("name")
        if not isinstance(name, str) or name in inputs:
            raise bad("each input needs a name of its own")
        blob, place = _blob(entry, body, place)
        inputs[name] = _tensor(name, entry, blob)
        datatypes[name] = entry["datatype"]
    if place != len(body):
        raise bad(f"{len(body) - place} bytes are left behind the last tensor")
    known_id = document.get("id")
    return Asked(
        known_id if isinstance(known_id, str) else None,
        parameters,
        inputs,
        datatypes,
        tuple(outputs),
    )


def _is_list_of_objects(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= MAX_TENSORS
        and all(isinstance(entry, dict) for entry in value)
    )


def parameters_of(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry's parameters, none by default.

    Raises:
        ApiError: They are no object.
    """
    parameters = entry.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad("parameters: expected an object")
    return parameters


def _blob(entry: Mapping[str, Any], body: bytes, place: int) -> tuple[bytes | None, int]:
    """A tensor's bytes behind the JSON, and where the next one's begin."""
    count = parameters_of(entry).get("binary_data_size")
    if count is None:
        return None, place
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= len(body) - place:
        raise bad(f"binary_data_size: {len(body) - place} bytes are left, got {count!r}"[:200])
    return body[place : place + count], place + count


def _tensor(name: str, entry: Mapping[str, Any], blob: bytes | None) -> Array | list[bytes]:
    shape, datatype = entry.get("shape"), entry.get("datatype")
    if not isinstance(shape, list) or not all(
        isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= 2**31
        for size in shape
    ):
        raise bad(f"input {name}: shape: expected a list of whole numbers")
    if datatype == "BYTES":
        return _files(name, entry, blob, math.prod(shape))
    if datatype not in DATATYPES:
        known = ", ".join([*DATATYPES, "BYTES"])
        raise bad(f"input {name}: datatype: expected one of {known}")
    try:
        values = (
            np.frombuffer(blob, DATATYPES[datatype])
            if blob is not None
            else _listed(entry.get("data"), DATATYPES[datatype])
        )
        return values.reshape(shape)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise bad(
            f"input {name}: expected {datatype} of shape {shape}: {str(error)[:120]}"
        ) from error


def _listed(data: Any, dtype: str) -> Array:
    """A JSON list as an array; what does not fit the type is refused, not wrapped around."""
    values = np.asarray(data)
    if values.dtype.kind not in "biuf":
        raise ValueError("expected numbers")
    kept = values.astype(dtype)
    if np.dtype(dtype).kind != "f" and not np.array_equal(kept, values):
        raise ValueError("a number is out of range or not whole")
    return kept


def _files(name: str, entry: Mapping[str, Any], blob: bytes | None, count: int) -> list[bytes]:
    if blob is None:
        data = entry.get("data")
        if not isinstance(data, list) or len(data) != count:
            raise bad(f"input {name}: expected {count} base64 texts")
        return [decode_base64(text, name) for text in data]
    files: list[bytes] = []
    place = 0
    while place + 4 <= len(blob) and len(files) < count:
        size = int.from_bytes(blob[place : place + 4], "little")
        files.append(blob[place + 4 : place + 4 + size])
        place += 4 + size
    if len(files) != count or place != len(blob):
        raise bad(f"input {name}: expected {count} files, each with its length in front")
    return files


def output_entry(
    labels: tuple[str, ...], name: str, values: Array, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], bytes]:
    """One output as JSON and as bytes."""
    best = parameters.get("classification")
    if isinstance(best, int) and not isinstance(best, bool) and best > 0:
        rows = [_best(row, labels, best) for row in values.reshape(len(values), -1)]
        flat = [text for row in rows for text in row]
        shape = [len(rows), len(rows[0])]
        blob = b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in flat)
        return {"name": name, "datatype": "BYTES", "shape": shape, "data": flat}, blob
    real = np.ascontiguousarray(values, dtype=np.float32)
    shape = list(real.shape)
    entry = {"name": name, "datatype": "FP32", "shape": shape, "data": real.reshape(-1).tolist()}
    return entry, real.tobytes()


def _best(scores: Array, labels: tuple[str, ...], best: int) -> list[str]:
    """Triton's form of the best classes: `score:place:label`."""
    places = np.argsort(-scores, kind="stable")[:best]
    return [
        f"{scores[place]:.6f}:{place}" + (f":{labels[place]}" if place < len(labels) else "")
        for place in places.tolist()
    ]


def bad(message: str) -> ApiError:
    """A request that is none."""
    return ApiError(400, "bad_request", message)
