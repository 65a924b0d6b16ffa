"""The TensorFlow side of `source`: any model to a SavedModel of one signature, batch of one."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from convert.child import Progress
from convert.errors import CannotConvert, Refused, one_line
from convert.source import Kind, Source, Wish, hash_of
from edge_app.inference.tensor import TensorInfo

SIGNATURE = "serving_default"
VARIABLES_OF_TF1 = frozenset(("Variable", "VariableV2"))


def prepare(progress: Progress, path: Path, kind: Kind, wish: Wish, scratch: Path) -> Source:
    """Bring a Keras file or SavedModel into the one form. Runs in the TensorFlow child.

    Raises:
        Refused: The model's border is not usable; the sentence names the tensor.
        CannotConvert: Keras or TensorFlow can't read it.
    """
    progress(0, 1)
    origin = path
    notes: tuple[str, ...] = ()
    if kind == "keras":
        path, notes = scratch / "exported", _export(path, scratch / "exported")
    document, graph, chosen = _read(path, wish.tags)
    notes += chosen
    name = _choose_signature(graph, wish.signature)
    if any(node.op in VARIABLES_OF_TF1 for node in graph.graph_def.node):
        path = _freeze(path, graph, name, scratch / "frozen")
        document, graph, _ = _read(path, wish.tags)
        notes += ("froze the variables of a TensorFlow 1 graph",)
    elif lost := unrestored(graph, name):
        path = _save_anew(path, graph, name, lost, scratch / "anew")
        document, graph, _ = _read(path, ())
        notes += (f"saved anew: {len(lost)} variables would not have been restored",)
    signature = graph.signature_def[name]
    inputs = _fix_inputs(graph, signature, wish.shapes)
    if wish.binary:
        _both_classes(graph, signature, wish.activation)
        notes += ("the single output was widened to the scores of both classes",)
    _write(path, document, graph, scratch / "prepared")
    return Source(
        path=origin,
        kind=kind,
        sha256=hash_of(origin),
        prepared=scratch / "prepared",
        signature=name,
        tags=tuple(graph.meta_info_def.tags),
        inputs=inputs,
        outputs=tuple(_outputs(signature)),
        notes=notes,
    )


def _export(path: Path, target: Path) -> tuple[str, ...]:
    """Save a Keras file as a SavedModel; what Keras 3 can't read is given to Keras 2."""
    try:
        _load_keras(path).export(str(target), format="tf_saved_model", verbose=False)
    # Keras raises whatever its layers do.
    except Exception as error:
        if "No model config found" in str(error):
            raise Refused(
                f"{path.name} holds weights only, not the layers they belong to; "
                "save the whole model with model.save()"
            ) from error
        shutil.rmtree(target, ignore_errors=True)
        if _export_by_keras_2(path, target):
            return ("read by Keras 2, for Keras 3 can't",)
        raise Refused(f"Keras can't read {path.name}: {one_line(error)}") from error
    return ()


def _load_keras(path: Path) -> Any:
    import keras  # noqa: PLC0415 - only the TensorFlow child may load it

    class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc] # untyped base
        """Reads files of Keras 2, which said `groups=1` to no effect."""

        def __init__(self, *args: Any, groups: int = 1, **kwargs: Any) -> None:
            if groups != 1:
                raise ValueError(f"DepthwiseConv2D with groups={groups} is not known")
            super().__init__(*args, **kwargs)

    known = {"DepthwiseConv2D": DepthwiseConv2D}
    return keras.models.load_model(path, compile=False, custom_objects=known)


def _export_by_keras_2(path: Path, target: Path) -> bool:
    """Whether the Keras of old could; files of Teachable Machine need it."""
    try:
        import tf_keras  # noqa: PLC0415 - only the TensorFlow child may load it
        from tf_keras.src.saving.serialization_lib import SafeModeScope  # noqa: PLC0415

        # Its own `safe_mode` does not reach HDF5, where a Lambda layer would run foreign code.
        with SafeModeScope(safe_mode=True):
            tf_keras.models.load_model(path, compile=False).export(str(target))
    # A file of Keras 3 is foreign to it in as many ways; Keras 3's own words are the clear ones.
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        return False
    return True


def _read(path: Path, tags: tuple[str, ...]) -> tuple[Any, Any, tuple[str, ...]]:
    """The SavedModel's protobuf and the graph in it that serves."""
    from google.protobuf.message import (  # type: ignore[import-untyped] # noqa: PLC0415 - no stubs
        DecodeError,
    )
    from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415

    document = saved_model_pb2.SavedModel()
    try:
        document.ParseFromString((path / "saved_model.pb").read_bytes())
    except (DecodeError, OSError) as error:
        raise Refused(f"{path.name}/saved_model.pb can't be read: {one_line(error)}") from error
    graphs = {tuple(sorted(g.meta_info_def.tags)): g for g in document.meta_graphs}
    known = "; ".join(",".join(found) or "(none)" for found in graphs)
    if tags:
        if tuple(sorted(tags)) not in graphs:
            raise Refused(f"no graph is tagged {','.join(tags)}; there are: {known}")
        return document, graphs[tuple(sorted(tags))], ()
    for choice in (("serve",), *sorted(k for k in graphs if "serve" in k), *graphs):
        if choice in graphs:
            note = (f"took the graph tagged {','.join(choice)} of: {known}",)
            return document, graphs[choice], note if len(graphs) > 1 else ()
    raise Refused(f"{path.name} holds no graph")


def _choose_signature(graph: Any, wanted: str) -> str:
    usable = sorted(k for k, s in graph.signature_def.items() if s.inputs and s.outputs)
    listed = "; ".join(f"{k} ({_border(graph.signature_def[k])})" for k in usable)
    if not usable:
        raise Refused("the SavedModel has no signature with inputs and outputs; export it with one")
    if wanted:
        if wanted not in usable:
            raise Refused(f"there is no signature {wanted!r}; choose with --signature: {listed}")
        return wanted
    if SIGNATURE in usable:
        return SIGNATURE
    if len(usable) == 1:
        return str(usable[0])
    raise Refused(f"several signatures, choose with --signature: {listed}")


def _border(signature: Any) -> str:
    return f"{', '.join(sorted(signature.inputs))} -> {', '.join(sorted(signature.outputs))}"


def _dtype(number: int, name: str) -> str:
    import tensorflow as tf  # noqa: PLC0415

    dtype = str(tf.dtypes.as_dtype(number).name)
    if dtype == "string":
        raise Refused(
            f"tensor {name!r} carries strings; a device needs numbers "
            "(choose a signature that takes the picture itself with --signature)"
        )
    return dtype


def _fix_inputs(
    graph: Any, signature: Any, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[TensorInfo, ...]:
    """Give every input its full shape, in the signature and in the graph."""
    strangers = set(shapes) - set(signature.inputs) - {""}
    if strangers:
        raise Refused(f"no input is named {', '.join(sorted(strangers))}; there are: "
                      f"{', '.join(sorted(signature.inputs))}")  # fmt: skip
    nodes = {node.name: node for node in graph.graph_def.node}
    inputs = []
    for name, tensor in sorted(signature.inputs.items()):
        dtype = _dtype(tensor.dtype, name)
        wanted = shapes.get(name) or (shapes.get("") if len(signature.inputs) == 1 else None)
        shape = _full_shape(name, tensor.tensor_shape, wanted)
        del tensor.tensor_shape.dim[:]
        tensor.tensor_shape.unknown_rank = False
        for size in shape:
            tensor.tensor_shape.dim.add().size = size
        node = nodes.get(tensor.name.partition(":")[0])
        if node is not None and "shape" in node.attr:
            node.attr["shape"].shape.CopyFrom(tensor.tensor_shape)
        if node is not None and "_output_shapes" in node.attr:
            node.attr["_output_shapes"].list.shape[0].CopyFrom(tensor.tensor_shape)
        inputs.append(TensorInfo(name, shape, dtype))
    return tuple(inputs)


def _full_shape(name: str, stated: Any, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
    sizes = None if stated.unknown_rank else [dim.size for dim in stated.dim]
    if wanted is not None:
        fits = sizes is None or (
            len(sizes) == len(wanted)
            and all(a in (-1, b) for a, b in zip(sizes, wanted, strict=True))
        )
        if not fits:
            raise Refused(f"input {name!r} has shape {sizes}; it can't be {list(wanted)}")
        return wanted
    if sizes is None:
        raise Refused(f"input {name!r} has an unknown rank; give it with --input-shape")
    if sizes and sizes[0] == -1:
        sizes[0] = 1
    if any(size < 1 for size in sizes):
        raise Refused(
            f"input {name!r} has open sizes {sizes}; give them with --input-shape, "
            "e.g. --input-shape 1,224,224,3"
        )
    return tuple(sizes)


def _outputs(signature: Any) -> Iterable[TensorInfo]:
    for name, tensor in sorted(signature.outputs.items()):
        shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
        yield TensorInfo(name, shape, _dtype(tensor.dtype, name))


def _both_classes(graph: Any, signature: Any, activation: str) -> None:
    """Append `[1 - p, p]` to a model that gives only the second class's score `p`."""
    import tensorflow as tf  # noqa: PLC0415

    (name,) = signature.outputs
    score = signature.outputs[name].name
    add = tf.Graph()
    with add.as_default():
        p = tf.compat.v1.placeholder(tf.float32, name="lineside/p")
        flat = tf.reshape(p, [1, 1], name="lineside/flat")
        if activation == "sigmoid":
            flat = tf.sigmoid(flat, name="lineside/score")
        tf.concat([1.0 - flat, flat], axis=1, name="lineside/both")
    for node in add.as_graph_def().node:
        if node.name == "lineside/p":
            node.op = "Identity"
            node.input.append(score)
            del node.attr["shape"]
            node.attr["T"].CopyFrom(node.attr["dtype"])
            del node.attr["dtype"]
        graph.graph_def.node.append(node)
    signature.outputs[name].name = "lineside/both:0"
    del signature.outputs[name].tensor_shape.dim[:]
    for size in (1, 2):
        signature.outputs[name].tensor_shape.dim.add().size = size


def _freeze(path: Path, graph: Any, name: str, target: Path) -> Path:
    """A TensorFlow 1 graph with its variables as constants; the converter can't lift those."""
    import tensorflow as tf  # noqa: PLC0415

    signature = graph.signature_def[name]
    nodes = sorted({t.name.partition(":")[0] for t in signature.outputs.values()})
    v1 = tf.compat.v1
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            v1.saved_model.load(session, list(graph.meta_info_def.tags), str(path))
            frozen = v1.graph_util.convert_variables_to_constants(session, session.graph_def, nodes)
        with tf.Graph().as_default(), v1.Session() as session:
            tf.import_graph_def(frozen, name="")
            builder = v1.saved_model.Builder(str(target))
            builder.add_meta_graph_and_variables(
                session, list(graph.meta_info_def.tags), signature_def_map={name: signature}
            )
            builder.save()
    # TensorFlow raises what it likes.
    except Exception as error:
        raise CannotConvert(f"the TensorFlow 1 graph can't be frozen: {one_line(error)}") from error
    return target


def unrestored(graph: Any, name: str) -> set[str]:
    """Variables that a signature reads and the graph's own restore leaves without a value.

    A `tf.Module` around a Keras 3 model is saved so. TensorFlow in Python restores by objects
    and knows them; the converter, and everything else in C++, would read stale memory.
    """
    nodes = {node.name: node for node in graph.graph_def.node}
    outputs = [tensor.name for tensor in graph.signature_def[name].outputs.values()]
    return _variables(nodes, outputs) - _variables(nodes, [graph.saver_def.restore_op_name])


def _variables(nodes: Mapping[str, Any], ends: Iterable[str]) -> set[str]:
    """Names of the variables among all that these nodes depend on."""
    seen: set[str] = set()
    open_ = list(ends)
    while open_:
        name = open_.pop().removeprefix("^").partition(":")[0]
        if name in nodes and name not in seen:
            seen.add(name)
            open_ += nodes[name].input
    return {name for name in seen if nodes[name].op == "VarHandleOp"}


def _save_anew(path: Path, graph: Any, name: str, lost: set[str], target: Path) -> Path:
    """The SavedModel of this signature with its variables where the converter finds them."""
    import tensorflow as tf  # noqa: PLC0415

    try:
        loaded = tf.saved_model.load(str(path), tags=list(graph.meta_info_def.tags))
        signature = loaded.signatures[name]
        holder = tf.Module()
        holder.variables_ = list(signature.graph.variables)
        tf.saved_model.save(holder, str(target), signatures={name: signature})
    # TensorFlow raises what it likes.
    except Exception as error:
        some = ", ".join(sorted(lost)[:3])
        raise Refused(
            f"{path.name} would not restore {len(lost)} variables ({some}): export a Keras 3 "
            f"model with model.export(), not inside a tf.Module ({one_line(error)})"
        ) from error
    return target


def _write(path: Path, document: Any, graph: Any, target: Path) -> None:
    """The SavedModel again, of this graph only, with its variables beside it."""
    kept = type(document)()
    kept.CopyFrom(document)
    del kept.meta_graphs[:]
    kept.meta_graphs.append(graph)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for entry in path.iterdir():
        if entry.name not in ("saved_model.pb", "fingerprint.pb"):
            (target / entry.name).symlink_to(entry.resolve())
    (target / "saved_model.pb").write_bytes(kept.SerializeToString())
