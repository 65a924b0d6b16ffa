"""`bench decode`: a photo decoded no larger than the model needs, against all of it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from benchmarks.figures import SPREAD_HEADER, Part, Table, ms, percentile, ratio, spread_row
from benchmarks.place import DEMO_MODEL, Place, draw_photo
from edge_app.inference.bundle import ModelBundle, read_bundle
from edge_app.inference.decode import decode_image, decode_reduced
from edge_app.inference.engine import REDUCTION_MARGIN, Engine
from edge_app.inference.preprocess import Contract, Image, Preprocessor
from edge_app.inference.tensor import TensorInfo
from edge_app.models import ModelStore

SIDE_PX = 224
ENLARGED = (5, 10)
"""Times the model's input that a photo's shorter side is made: such pictures are decoded at 1/2
and 1/4."""


def run(place: Place) -> Part:
    """Time the ways to get a model's input out of a JPEG, and see what they change."""
    rounds, runs = (2, 10) if place.quick else (6, 30)
    part = Part(
        "decode",
        "Decoding",
        "A JPEG of 1920 x 1080 pixels becomes an input of 224 x 224: decoded in full and resized, "
        "or decoded as the app and the line do it, at the smallest of 1/2, 1/4 and 1/8 that leaves "
        f"{REDUCTION_MARGIN} decoded pixels for one of the model's each way, and resized. Pillow's "
        "plain way is the tutorials'. Rounds take turns.",
    )
    photo = draw_photo(5, 1920, 1080, quality=90)
    fit = Preprocessor(Contract(kernel="area"), _input(SIDE_PX)).fit

    def room(width: int, height: int) -> float:
        return min(width, height) / SIDE_PX / REDUCTION_MARGIN

    ways: dict[str, Callable[[], object]] = {
        "Pillow, full": lambda: Pillow.open(io.BytesIO(photo)).convert("RGB").resize((224, 224)),
        "ours, full": lambda: fit(decode_image(photo)),
        "ours, reduced": lambda: fit(decode_reduced(photo, room).image),
    }
    for name, way in ways.items():
        way()
        part.series[name] = []
    for _ in range(rounds):
        for name, way in ways.items():
            for _ in range(runs):
                began = time.perf_counter()
                way()
                part.series[name].append((time.perf_counter() - began) * 1000)
    full = part.series["ours, full"]
    table = Table("1920 x 1080 JPEG to 224 x 224", [*SPREAD_HEADER, "p50 / ours, full"])
    table.rows = [spread_row(name, times, full) for name, times in part.series.items()]
    part.tables.append(table)
    part.plots.append(("1920 x 1080 JPEG to 224 x 224", list(ways)))
    _effect(part, place)
    p50, base = percentile(part.series["ours, reduced"], 50), percentile(full, 50)
    part.check("reduced is quicker than full", f"{ratio(p50, base)} of {ms(base)} ms", p50 < base)
    return part


def _effect(part: Part, place: Place) -> None:
    """Whether the smaller decoding changes what a model says, over real photos."""
    table = Table(
        "What it changes", ["model", "pictures", "reduced", "other top label", "score moves"]
    )
    for name, bundle, photos in _judges(place):
        engine = Engine(bundle)
        moved, changed, reduced = [], 0, 0
        for path, times in product(photos, ENLARGED):
            content = _enlarged(path, times)
            small = decode_reduced(content, engine.room)
            if small.reduction == 1:
                continue
            reduced += 1
            whole = _scores(engine, decode_image(content))
            part_ = _scores(engine, small.image)
            changed += int(whole.argmax() != part_.argmax())
            moved.append(float(np.abs(whole - part_).max()))
        worst = f"{max(moved):.3f} at most" if moved else "-"
        table.rows.append([name, len(photos) * len(ENLARGED), reduced, changed, worst])
    if table.rows:
        sizes = " and ".join(str(times * SIDE_PX) for times in ENLARGED)
        table.note = f"Each photo at two sizes: its shorter side enlarged to {sizes} pixels."
        part.tables.append(table)


def _scores(engine: Engine, image: Image) -> NDArray[np.float64]:
    prediction = engine.predict(image)
    return np.array([prediction.scores.get(label, 0.0) for label in engine.spec.task.labels])


def _judges(place: Place) -> list[tuple[str, ModelBundle, list[Path]]]:
    found: list[tuple[str, ModelBundle, list[Path]]] = []
    if DEMO_MODEL.exists():
        photos = sorted((DEMO_MODEL.parent / "parts").glob("*.jpg"))
        found.append(("demo", read_bundle(DEMO_MODEL), photos))
    real = place.shared / "models" / "mobilenet_v2_1.0_224_quant.tflite"
    if real.exists():
        version = ModelStore(place.fresh("decode") / "models").add(real)
        photos = sorted((place.shared / "photos").glob("*.jpg"))
        found.append(("MobileNetV2 ImageNet", read_bundle(version.path), photos))
    return found


def _enlarged(path: Path, times: int) -> bytes:
    picture = Pillow.open(path).convert("RGB")
    factor = times * SIDE_PX / min(picture.size)
    size = (round(picture.width * factor), round(picture.height * factor))
    picture = picture.resize(size, Pillow.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _input(side: int) -> TensorInfo:
    return TensorInfo("image", (1, side, side, 3), "uint8", 1.0, 0)
