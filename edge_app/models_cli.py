"""`lineside models`: what is on the device's shelf, from the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from edge_app.inference.bundle import (
    MAX_FILE_BYTES,
    BundleError,
    ModelBundle,
    is_bundle,
    unpack_bundle,
)
from edge_app.inference.guess import Told
from edge_app.inference.metadata import FileFacts, read_facts
from edge_app.inference.preprocess import Color, Kernel, Resize
from edge_app.inference.tasks import Activation, TaskKind
from edge_app.inference.tensor import TensorInfo
from edge_app.inference.tune import Tuning
from edge_app.models import ModelStore, ModelVersion, StoreError
from edge_app.settings_file import load_settings

Say = Callable[[str], None]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Mount `models` on the `lineside` command; its parsers set `run`."""
    models = commands.add_parser("models", help="add, prove, activate and measure models")
    actions = models.add_subparsers(required=True, metavar="ACTION")
    _add_add(actions)
    listing = actions.add_parser("list", help="all models and their versions")
    inspect = actions.add_parser("inspect", help="everything a model file says of itself")
    inspect.add_argument("file", type=Path, help="any .tflite file, or a version's as list shows")
    activate = actions.add_parser("activate", help="let a version run, after it proved itself")
    rollback = actions.add_parser("rollback", help="go back to the version before")
    tune = actions.add_parser("tune", help="measure anew which runtime and threads are fastest")
    remove = actions.add_parser("remove", help="delete a version that does not run")
    for parser, version in ((activate, None), (rollback, ""), (tune, "?"), (remove, None)):
        parser.add_argument("name", help="the model")
        if version != "":
            parser.add_argument("version", nargs=version, help="its version")
    for parser, run in (
        (listing, _list),
        (inspect, _inspect),
        (activate, _activate),
        (rollback, _rollback),
        (tune, _tune),
        (remove, _remove),
    ):
        _finish(parser, run)


def _finish(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace, Say], None]
) -> None:
    parser.add_argument("--config", type=Path, help="the settings file (TOML)")
    parser.add_argument("--data", type=Path, help="the data folder, in place of the settings'")
    parser.set_defaults(run=lambda arguments: _run(run, arguments))


def _run(run: Callable[[argparse.Namespace, Say], None], arguments: argparse.Namespace) -> int:
    run(arguments, _print)
    return 0


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _store(arguments: argparse.Namespace) -> ModelStore:
    if arguments.data:
        return ModelStore(arguments.data / "models")
    settings = load_settings(arguments.config)
    return ModelStore.of_device(settings.data_dir, settings.inference)


def _add_add(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = actions.add_parser(
        "add",
        help="keep a verified copy of a model file",
        description="Keep a verified copy of a model file. A .tflite file from elsewhere is run "
        "once and made a model file of ours; the options below are for such a file.",
    )
    add.add_argument("file", type=Path)
    add.add_argument("--name", help="what to call it; by default as the file")
    add.add_argument("--activate", action="store_true", help="and let it run")
    add.add_argument("--sha256", default="", help="its checksum, as `sha256sum` tells it")
    add.add_argument("--task", choices=get_args(TaskKind), help="what its outputs mean")
    add.add_argument("--labels", type=Path, help="its classes, one a line")
    add.add_argument("--good", action="append", default=[], help="a label that means a good part")
    add.add_argument("--color", choices=get_args(Color), help="what its input expects")
    add.add_argument("--resize", choices=get_args(Resize), help="how pictures are fitted to it")
    add.add_argument("--kernel", choices=get_args(Kernel), help="how they are scaled")
    add.add_argument(
        "--mean", type=_numbers, default=(), help="one number, or one a channel: 0,0,0"
    )
    add.add_argument("--std", type=_numbers, default=(), help="it gets (pixel - mean) / std")
    add.add_argument("--activation", choices=get_args(Activation), help="what makes scores of it")
    _finish(add, _add)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


def _add(arguments: argparse.Namespace, say: Say) -> None:
    told = Told(
        task=arguments.task,
        labels=_labels(arguments.labels),
        good=tuple(arguments.good),
        color=arguments.color,
        resize=arguments.resize,
        kernel=arguments.kernel,
        mean=arguments.mean,
        std=arguments.std,
        activation=arguments.activation,
    )
    store = _store(arguments)
    version = store.add(arguments.file, arguments.name, told, sha256=arguments.sha256)
    spec = store.load(version).spec
    say(
        f"{version.name} version {version.version}: {spec.task.kind}, {_labelled(spec.task.labels)}"
    )
    for sentence in spec.made.get("assumed", ()):
        say(f"assumed: {sentence}")
    if arguments.activate:
        _run_from_now(store, version, say)


def _labels(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"can't read the labels in {path}: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


def _labelled(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:4]) + (", ..." if len(labels) > 4 else "")
    return f"{len(labels)} labels: {shown}" if labels else "no labels"


def _list(arguments: argparse.Namespace, say: Say) -> None:
    store = _store(arguments)
    if not store.names():
        say(f"no models in {store.folder}")
    for name in store.names():
        active = store.active(name)
        for version in store.versions(name):
            mark = "*" if version == active else " "
            say(f"{mark} {name:24} {version.version:4}  {_how(store, version):26} {version.path}")


def _how(store: ModelStore, version: ModelVersion) -> str:
    try:
        choice = store.choice(version)
    except StoreError:
        return "can't run as it is set"
    return f"{choice.runtime}, {choice.threads} threads" if choice.runtime else "not measured"


def _activate(arguments: argparse.Namespace, say: Say) -> None:
    store = _store(arguments)
    _run_from_now(store, store.version(arguments.name, arguments.version), say)


def _run_from_now(store: ModelStore, version: ModelVersion, say: Say) -> None:
    store.activate(version.name, version.version)
    tuning = store.tuning(version)
    for line in table(tuning) if tuning else ():
        say(line)
    say(f"{version.name} version {version.version} runs from now on")


def _rollback(arguments: argparse.Namespace, say: Say) -> None:
    version = _store(arguments).rollback(arguments.name)
    say(f"{version.name} went back to version {version.version}")


def _tune(arguments: argparse.Namespace, say: Say) -> None:
    store = _store(arguments)
    version = arguments.version
    if version is None:
        active = store.active(arguments.name)
        if active is None:
            raise StoreError(f"model {arguments.name!r} has no active version; name one")
        version = active.version
    for line in table(store.measure(arguments.name, version)):
        say(line)


def table(tuning: Tuning) -> list[str]:
    """A table of measurements as lines of text."""
    best = tuning.best()
    lines = [f"  {'runtime':16}{'threads':>8}{'p50 ms':>10}{'p90 ms':>10}  {'XNNPACK':8}problem"]
    for row in tuning.rows:
        mark = "*" if row.choice == best else " "
        times = f"{row.p50_ms:10.2f}{row.p90_ms:10.2f}" if row.runs else f"{'-':>10}{'-':>10}"
        used = "yes" if row.accelerated else "no"
        lines.append(
            f"{mark} {row.runtime:16}{row.threads:8}{times}  {used:8}{row.problem}".rstrip()
        )
    return lines


def _remove(arguments: argparse.Namespace, say: Say) -> None:
    _store(arguments).remove(arguments.name, arguments.version)
    say(f"{arguments.name} version {arguments.version} is deleted")


def _inspect(arguments: argparse.Namespace, say: Say) -> None:
    try:
        if arguments.file.stat().st_size > MAX_FILE_BYTES:
            raise StoreError(f"{arguments.file} is larger than any model that is taken")
        content = arguments.file.read_bytes()
    except OSError as error:
        raise StoreError(f"can't read {arguments.file}: {error.strerror}") from error
    try:
        bundle = unpack_bundle(content) if is_bundle(content) else None
        facts = read_facts(content)
    except (BundleError, ValueError) as error:
        raise StoreError(f"{arguments.file}: {error}") from error
    for line in (*_bundle_lines(bundle), *_fact_lines(facts)):
        say(line)


def _bundle_lines(bundle: ModelBundle | None) -> list[str]:
    if bundle is None:
        return ["a TFLite model without a Lineside description; `lineside models add` takes it"]
    spec = bundle.spec
    lines = [
        f"name          {spec.name}",
        f"task          {spec.task.kind} {spec.task.layout}".rstrip(),
        f"labels        {_labelled(spec.task.labels)}",
        f"contract      {spec.contract.to_json() if spec.contract else 'tensors, no pictures'}",
        f"limits        {spec.limits.to_json()}",
        f"mode          {spec.mode}",
        f"golden set    {len(bundle.golden) if bundle.golden else 0} samples",
        f"sha256        {bundle.sha256}",
    ]
    for title, entries in (
        ("made", spec.made),
        ("calibration", spec.calibration),
        ("comparison", spec.comparison),
    ):
        lines += [f"{title:14}{key}: {value}" for key, value in entries.items()]
    return lines


def _fact_lines(facts: FileFacts) -> list[str]:
    lines = [f"TFLite        schema {facts.flatbuffer_version}, {facts.description}".rstrip(" ,")]
    lines += [f"input         {_tensor(tensor)}" for tensor in facts.inputs]
    lines += [f"output        {_tensor(tensor)}" for tensor in facts.outputs]
    lines += [f"operator      {name} x {count}" for name, count in facts.operators.items()]
    told: list[tuple[str, object]] = [
        ("custom", ", ".join(facts.custom)),
        ("least runtime", facts.least_runtime),
        ("its name", facts.name),
        ("author", facts.author),
        ("license", facts.license),
        ("its labels", _labelled(facts.labels) if facts.labels else ""),
        ("color", facts.color),
        ("mean, std", f"{facts.mean}, {facts.std}" if facts.std else ""),
        ("least score", "" if facts.score_threshold is None else facts.score_threshold),
        ("YOLO note", ", ".join(facts.note)),
        ("files", ", ".join(facts.files)),
    ]
    return lines + [f"{title:14}{value}" for title, value in told if value != ""]


def _tensor(tensor: TensorInfo) -> str:
    steps = f", scale {tensor.scale:g}, zero point {tensor.zero_point}" if tensor.quantized else ""
    return f"{tensor.name} {list(tensor.shape)} {tensor.dtype}{steps}"
