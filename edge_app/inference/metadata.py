"""What a `.tflite` file says of itself, read without any runtime.

The flatbuffer's border and operators, the TFLite metadata convention (a buffer called
`TFLITE_METADATA`, label files in a zip behind the flatbuffer) and the note that YOLO's
exporter leaves in such a zip.
"""

from __future__ import annotations

import ast
import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edge_app.inference.flatbuffer import Table
from edge_app.inference.operators import OPERATORS, TENSOR_TYPES
from edge_app.inference.tensor import TensorInfo, distinct_names

MAX_SIDE_FILE_BYTES = 4 * 1024 * 1024
"""Largest file in the zip that is read: a label list has a few kilobytes."""

_IMAGE, _NORMALIZATION, _THRESHOLD = 2, 1, 3
_AXIS_LABELS, _VALUE_LABELS = 2, 3


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What was found in a file; whatever it does not say is empty.

    Args:
        flatbuffer_version: The schema's version, 3 for all of today.
        description: Whoever made the file wrote this in it.
        inputs: Tensors that go in, in the graph's order.
        outputs: Tensors that come out.
        operators: How often each is used: `CONV_2D v3`, custom ones by their name.
        custom: Names of operators that are not part of TFLite itself.
        least_runtime: Oldest runtime that knows all operators, by the maker's word.
        name: The model's name in its metadata.
        author: From the metadata.
        license: From the metadata.
        labels: Class names, in the model's order, as they stand in the file.
        color: `RGB` or `GREY` if the metadata says so.
        mean: Normalisation: `(pixel - mean) / std`.
        std: See `mean`.
        score_threshold: Below this the maker calls a score nothing.
        note: What a YOLO exporter wrote: `task`, `imgsz`, `names` and so on.
        files: Names in the zip.
    """

    flatbuffer_version: int
    description: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: Mapping[str, int]
    custom: tuple[str, ...]
    least_runtime: str = ""
    name: str = ""
    author: str = ""
    license: str = ""
    labels: tuple[str, ...] = ()
    color: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    score_threshold: float | None = None
    note: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()


def read_facts(content: bytes) -> FileFacts:
    """Read a `.tflite` file.

    Raises:
        ValueError: The bytes are no TFLite model, or its structure is damaged.
    """
    if content[4:8] != b"TFL3":
        raise ValueError(
            f"expected a TFLite model ('TFL3' at byte 4), got {len(content)} bytes "
            f"that begin with {content[:8].hex(' ') or 'nothing'}"
        )
    model = Table.root(content)
    graph = next(model.tables(2), None)
    if graph is None:
        raise ValueError("the TFLite model holds no graph")
    tensors = [_tensor(table) for table in graph.tables(0)]
    inputs, outputs = _border(model, graph, tensors)
    operators = _operators(model, graph)
    side_files = _side_files(content)
    return FileFacts(
        flatbuffer_version=model.integer(0, "I"),
        description=model.text(3),
        inputs=inputs,
        outputs=outputs,
        operators=dict(sorted(operators.items())),
        custom=tuple(sorted(_custom(model))),
        least_runtime=_buffer(model, "min_runtime_version")
        .rstrip(b"\0")
        .decode("ascii", "replace"),
        files=tuple(side_files),
        note=_yolo_note(side_files),
        **_from_metadata(_buffer(model, "TFLITE_METADATA"), side_files),
    )


def _tensor(table: Table) -> TensorInfo:
    quantization = table.table(4)
    scales = quantization.numbers(2, "f") if quantization else ()
    zeros = quantization.numbers(3, "q") if quantization else ()
    number = table.integer(1, "b")
    # Several scales belong to the weights' channels; the border has one or none.
    single = len(scales) == 1
    return TensorInfo(
        name=table.text(3),
        shape=tuple(int(size) for size in table.numbers(7, "i") or table.numbers(0, "i")),
        dtype=TENSOR_TYPES[number] if 0 <= number < len(TENSOR_TYPES) else f"type {number}",
        scale=float(scales[0]) if single else 0.0,
        zero_point=int(zeros[0]) if single and zeros else 0,
    )


def _border(
    model: Table, graph: Table, tensors: list[TensorInfo]
) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Inputs and outputs, under the signature's names where the model has exactly one."""
    inputs, outputs = graph.numbers(1, "i"), graph.numbers(2, "i")
    signatures = list(model.tables(7))
    if len(signatures) == 1:
        goes_in, comes_out = _signature(signatures[0], 0), _signature(signatures[0], 1)
        # A signature may leave out an input that the graph still has; then the graph decides.
        if set(goes_in.values()) == set(inputs) and comes_out:
            return _picked(tensors, goes_in), _picked(tensors, comes_out)
    named_in = distinct_names([_at(tensors, place).name for place in inputs])
    named_out = distinct_names([_at(tensors, place).name for place in outputs])
    return (
        _picked(tensors, dict(zip(named_in, map(int, inputs), strict=True))),
        _picked(tensors, dict(zip(named_out, map(int, outputs), strict=True))),
    )


def _signature(signature: Table, field: int) -> dict[str, int]:
    return {entry.text(0): entry.integer(1, "I") for entry in signature.tables(field)}


def _picked(tensors: list[TensorInfo], places: Mapping[str, int]) -> tuple[TensorInfo, ...]:
    return tuple(replace(_at(tensors, place), name=name) for name, place in places.items())


def _at(tensors: list[TensorInfo], place: float) -> TensorInfo:
    if not 0 <= place < len(tensors):
        raise ValueError("the graph's inputs or outputs name tensors that do not exist")
    return tensors[int(place)]


def _codes(model: Table) -> Iterator[tuple[int, str, int]]:
    for code in model.tables(1):
        # Numbers above 127 did not fit the first field and went to a second one.
        yield max(code.integer(0, "b"), code.integer(3, "i")), code.text(1), code.integer(2, "i", 1)


def _custom(model: Table) -> Iterator[str]:
    return (name for _, name, _ in _codes(model) if name)


def _operators(model: Table, graph: Table) -> Counter[str]:
    names = []
    for number, custom, version in _codes(model):
        known = OPERATORS[number] if 0 <= number < len(OPERATORS) else f"operator {number}"
        names.append(custom or f"{known} v{version}")
    used: Counter[str] = Counter()
    for operator in graph.tables(3):
        place = operator.integer(0, "I")
        if place >= len(names):
            raise ValueError("an operator of the graph is not in the model's list")
        used[names[place]] += 1
    return used


def _buffer(model: Table, name: str) -> bytes:
    """The model's metadata buffer of that name; empty where there is none."""
    for entry in model.tables(6):
        if entry.text(0) == name:
            for place, buffer in enumerate(model.tables(4)):
                if place == entry.integer(1, "I"):
                    return buffer.bytes(0)
    return b""


def _side_files(content: bytes) -> dict[str, bytes]:
    """Small files of the zip behind the flatbuffer; a damaged zip is as good as none."""
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist()[:100]:
                if entry.file_size <= MAX_SIDE_FILE_BYTES:
                    found[entry.filename] = archive.read(entry)
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, RuntimeError):
        return {}
    return found


def _from_metadata(buffer: bytes, side_files: dict[str, bytes]) -> dict[str, Any]:
    """What the TFLite metadata says, as keywords of `FileFacts`."""
    # Without metadata that points at it, a single text file is the label list all the same.
    texts = [name for name in side_files if name.endswith(".txt")]
    fallback = _lines(side_files[texts[0]]) if len(texts) == 1 else ()
    if buffer[4:8] != b"M001":
        return {"labels": fallback}
    metadata = Table.root(buffer)
    found: dict[str, Any] = {
        "name": metadata.text(0),
        "author": metadata.text(4),
        "license": metadata.text(5),
        "labels": fallback,
    }
    for graph in metadata.tables(3):
        for tensor in list(graph.tables(2))[:1]:
            found |= _input_facts(tensor)
        for tensor in graph.tables(3):
            found |= _output_facts(tensor, side_files)
        break
    return found


def _input_facts(tensor: Table) -> dict[str, Any]:
    found: dict[str, Any] = {}
    content = tensor.table(3)
    if content is not None and content.integer(0, "B") == _IMAGE:
        image = content.table(1)
        number = image.integer(0, "b") if image else 0
        found["color"] = {1: "RGB", 2: "GREY"}.get(number, "")
    for unit in tensor.tables(4):
        options = unit.table(1)
        if options is not None and unit.integer(0, "B") == _NORMALIZATION:
            found |= {"mean": options.numbers(0, "f"), "std": options.numbers(1, "f")}
    return found


def _output_facts(tensor: Table, side_files: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in tensor.tables(6):
        if file.integer(2, "b") in (_AXIS_LABELS, _VALUE_LABELS) and not file.text(3):
            labels = _lines(side_files.get(file.text(0), b""))
            found |= {"labels": labels} if labels else {}
    for unit in tensor.tables(4):
        options = unit.table(1)
        if options is not None and unit.integer(0, "B") == _THRESHOLD:
            found["score_threshold"] = float(options.number(0, "f"))
    return found


def _lines(content: bytes) -> tuple[str, ...]:
    return tuple(line.strip() for line in content.decode("utf-8", "replace").splitlines())


def _yolo_note(side_files: dict[str, bytes]) -> dict[str, Any]:
    """YOLO's exporter adds a `metadata.json`, or a Python literal in older versions."""
    for name in ("metadata.json", "temp_meta.txt"):
        text = side_files.get(name, b"").decode("utf-8", "replace")
        try:
            note = json.loads(text) if name.endswith(".json") else ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(note, dict) and "names" in note:
            return {str(key): value for key, value in note.items()}
    return {}
