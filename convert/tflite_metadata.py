"""Writing TFLite metadata: other TFLite tools then show our labels and normalise as we do.

The convention is a flatbuffer of its own, kept in a buffer of the model's and named
`TFLITE_METADATA`; label files lie in a zip behind the model, which a model file of ours
has anyway. The tables here are written by their field numbers in `metadata_schema.fbs`.
"""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from edge_app.inference.bundle import LABELS_NAME
from edge_app.inference.metadata import read_facts
from edge_app.inference.preprocess import Contract
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import TensorInfo

NAME = b"TFLITE_METADATA"
IDENTIFIER = b"M001"
MIN_PARSER_VERSION = "1.0.0"

_NORMALIZATION, _FEATURE, _IMAGE = 1, 1, 2
_RGB, _GREY = 1, 2
_AXIS_LABELS, _VALUE_LABELS = 2, 3

Offset = int


def with_metadata(flatbuffer: bytes, name: str, task: Task, contract: Contract | None) -> bytes:
    """The same model with metadata in it; metadata that was there is replaced.

    Args:
        flatbuffer: The model, nothing behind it.
        name: The model's name.
        task: Tells the labels.
        contract: Tells colour order and normalisation; None for a model of tensors.
    """
    facts = read_facts(flatbuffer)
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    content = schema.BufferT()
    content.data = list(_metadata(name, task, contract, facts.inputs, facts.outputs))
    model.metadata = [entry for entry in model.metadata or () if entry.name != NAME]
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME.decode(), len(model.buffers)
    model.metadata.append(entry)
    model.buffers.append(content)
    builder = flatbuffers.Builder(len(flatbuffer))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _metadata(
    name: str,
    task: Task,
    contract: Contract | None,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
) -> bytes:
    builder = flatbuffers.Builder(1024)
    told_inputs = [_input(builder, tensor, contract) for tensor in inputs]
    told_outputs = [_output(builder, tensor, task, place) for place, tensor in enumerate(outputs)]
    graph = _table(
        builder,
        {2: _list(builder, told_inputs), 3: _list(builder, told_outputs)},
    )
    fields = {
        0: builder.CreateString(name),
        3: _list(builder, [graph]),
        7: builder.CreateString(MIN_PARSER_VERSION),
    }
    builder.Finish(_table(builder, fields), IDENTIFIER)
    return bytes(builder.Output())


def _input(builder: flatbuffers.Builder, tensor: TensorInfo, contract: Contract | None) -> Offset:
    fields = {0: builder.CreateString(tensor.name)}
    if contract is None:
        fields[3] = _content(builder, _FEATURE, _table(builder, {}))
        return _table(builder, fields)
    # The convention has no name for blue-green-red; 0 says that it is none of those it knows.
    space = {"RGB": _RGB, "GREY": _GREY}.get(contract.color, 0)
    builder.StartObject(2)
    builder.PrependInt8Slot(0, space, 0)
    fields[3] = _content(builder, _IMAGE, builder.EndObject())
    options = _table(
        builder, {0: _floats(builder, contract.mean), 1: _floats(builder, contract.std)}
    )
    builder.StartObject(2)
    builder.PrependUint8Slot(0, _NORMALIZATION, 0)
    builder.PrependUOffsetTRelativeSlot(1, options, 0)
    fields[4] = _list(builder, [builder.EndObject()])
    return _table(builder, fields)


def _output(builder: flatbuffers.Builder, tensor: TensorInfo, task: Task, place: int) -> Offset:
    fields = {
        0: builder.CreateString(tensor.name),
        3: _content(builder, _FEATURE, _table(builder, {})),
    }
    kind = _AXIS_LABELS if task.layout != "ssd" else _VALUE_LABELS
    # A detector's classes are values of its second output, a classifier's the axis of its only.
    if task.labels and place == (1 if task.layout == "ssd" else 0):
        file = builder.CreateString(LABELS_NAME)
        about = builder.CreateString("The classes, in the model's order.")
        builder.StartObject(5)
        builder.PrependUOffsetTRelativeSlot(0, file, 0)
        builder.PrependUOffsetTRelativeSlot(1, about, 0)
        builder.PrependInt8Slot(2, kind, 0)
        fields[6] = _list(builder, [builder.EndObject()])
    return _table(builder, fields)


def _content(builder: flatbuffers.Builder, kind: int, properties: Offset) -> Offset:
    builder.StartObject(3)
    builder.PrependUint8Slot(0, kind, 0)
    builder.PrependUOffsetTRelativeSlot(1, properties, 0)
    return int(builder.EndObject())


def _table(builder: flatbuffers.Builder, fields: dict[int, Offset]) -> Offset:
    builder.StartObject(max(fields, default=-1) + 1)
    for number, offset in fields.items():
        builder.PrependUOffsetTRelativeSlot(number, offset, 0)
    return int(builder.EndObject())


def _list(builder: flatbuffers.Builder, offsets: Sequence[Offset]) -> Offset:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> Offset:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())
