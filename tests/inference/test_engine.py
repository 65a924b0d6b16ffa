"""One interpreter, one caller at a time, and nobody waits for longer than they have."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_app.inference.adopt import adopt
from edge_app.inference.budget import Deadline, Stopwatch, TooLate
from edge_app.inference.bundle import ModelBundle
from edge_app.inference.decode import decode_image
from edge_app.inference.engine import Engine
from edge_app.inference.interpreter import (
    RUNTIMES,
    Interpreter,
    ModelFailed,
    default_runtime,
    installed_runtimes,
    loaded_runtime,
)
from edge_app.inference.preprocess import Contract, Roi
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import Array, TensorInfo


class Stalling:
    """An interpreter that takes as long as it is told, and notices company."""

    runtime, threads, tensor_bytes = "stalling", 1, 0
    inputs = (TensorInfo("image", (1, 8, 8, 3), "uint8", 1 / 255, 0),)
    outputs = (TensorInfo("scores", (1, 2), "uint8", 1 / 256, 0),)

    def __init__(self, *_: object) -> None:
        self.may_end = threading.Event()
        self.may_end.set()
        self.began = threading.Event()
        self.inside = 0
        self.most_inside = 0
        self.fails = ""
        self.buffer = np.array([[200, 56]], np.uint8)

    def invoke(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Wait, fail or answer."""
        assert tensors
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.began.set()
        try:
            assert self.may_end.wait(10)
            if self.fails:
                raise ModelFailed(self.fails)
            return {"scores": self.buffer.copy()}
        finally:
            self.inside -= 1

    def invoke_rows(self, rows: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
        """One after the other."""
        return [self.invoke(row) for row in rows]


@pytest.fixture
def stalling() -> Stalling:
    """Ends at once until told otherwise."""
    return Stalling()


@pytest.fixture
def engine(stalling: Stalling, make_bundle: Callable[..., ModelBundle]) -> Engine:
    """An engine around it."""
    return Engine(make_bundle(), "litert", 1, load=lambda *_: stalling)


def test_a_picture_becomes_a_prediction_with_laps(engine: Engine, picture: np.ndarray) -> None:
    """Every stage is on the stopwatch, in order."""
    stopwatch = Stopwatch()

    prediction = engine.predict(picture, stopwatch=stopwatch)

    assert prediction.label == "good"
    assert prediction.score == pytest.approx(200 / 256)
    assert list(stopwatch.laps_ms) == ["preprocess", "wait", "invoke", "postprocess"]


def test_a_busy_model_is_waited_for_until_the_deadline_only(
    engine: Engine, stalling: Stalling, picture: np.ndarray
) -> None:
    """The second caller leaves when its time is up, while the first is still inside."""
    stalling.may_end.clear()
    first = threading.Thread(target=engine.predict, args=(picture,))
    first.start()
    assert stalling.began.wait(10)
    began = time.monotonic()

    with pytest.raises(TooLate, match="still busy"):
        engine.predict(picture, deadline=Deadline.start(50))

    waited_ms = (time.monotonic() - began) * 1000
    stalling.may_end.set()
    first.join(10)
    assert 45 <= waited_ms < 2000
    assert engine.predict(picture).label == "good"


def test_a_passed_deadline_does_not_begin(engine: Engine, stalling: Stalling) -> None:
    """What comes too late is not run at all."""
    deadline = Deadline.start(1, started_at=time.monotonic() - 1)

    with pytest.raises(TooLate, match="before the model began"):
        engine.run({"image": np.zeros((1, 8, 8, 3), np.uint8)}, deadline=deadline)

    assert not stalling.began.is_set()


def test_only_one_caller_is_inside_at_a_time(
    engine: Engine, stalling: Stalling, picture: np.ndarray
) -> None:
    """However many there are."""
    threads = [threading.Thread(target=engine.predict, args=(picture,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert stalling.most_inside == 1


def test_the_lock_is_free_again_after_a_failure(
    engine: Engine, stalling: Stalling, picture: np.ndarray
) -> None:
    """One picture that broke the model does not stop the next."""
    stalling.fails = "no luck"
    with pytest.raises(ModelFailed, match="no luck"):
        engine.predict(picture)
    stalling.fails = ""

    assert engine.predict(picture, deadline=Deadline.start(5000)).label == "good"


def test_an_answer_does_not_change_with_the_next_one(
    engine: Engine, stalling: Stalling, picture: np.ndarray
) -> None:
    """Outputs are copies."""
    first = engine.predict(picture)
    stalling.buffer[:] = [[0, 255]]
    engine.predict(picture)

    assert first.outputs["scores"].tolist() == [[200 / 256, 56 / 256]]


def test_a_model_of_tensors_takes_no_pictures(
    stalling: Stalling, make_bundle: Callable[..., ModelBundle], picture: np.ndarray
) -> None:
    """And says so; a region outside the picture is refused too."""
    bundle = make_bundle()
    engine = Engine(bundle, "litert", load=lambda *_: stalling)
    with pytest.raises(ValueError, match="lies outside a picture"):
        engine.predict(picture, roi=Roi(0, 0, 61, 10))
    no_pictures = ModelBundle(
        b"", type(bundle.spec)("t", Task("raw"), bundle.spec.inputs, bundle.spec.outputs, None)
    )
    engine = Engine(no_pictures, "litert", load=lambda *_: stalling)

    with pytest.raises(ValueError, match="takes tensors, not pictures"):
        engine.predict(picture)
    assert engine.predict_tensors({"image": picture[None, :8, :8]}).outputs.keys() == {"scores"}


@pytest.mark.parametrize(
    ("kernel", "size", "roi", "room"),
    [
        ("area", 1080, None, 67.5),
        ("area", 1080, Roi(0, 0, 160, 32), 2.0),
        ("area", 10, None, 1.0),
        ("linear", 1080, None, 1.0),
    ],
)
def test_room_for_a_smaller_picture_is_there_where_pixels_are_averaged(
    make_bundle: Callable[..., ModelBundle], kernel: str, size: int, roi: Roi | None, room: float
) -> None:
    """Any other way of scaling would give the model other pixels than its training did."""
    bundle = make_bundle(contract=Contract(kernel=kernel))  # type: ignore[arg-type]  # parametrized
    engine = Engine(bundle, "litert", load=Stalling)

    assert engine.room(1920, size, roi) == room


def test_this_process_stays_with_one_runtime(data: Path) -> None:
    """The other one needs a process of its own, and the sentence says so."""
    flatbuffer = (data / "models" / "vww_96_int8.tflite").read_bytes()
    Interpreter(flatbuffer, default_runtime())
    other = next((name for name in RUNTIMES if name != loaded_runtime()), "")

    with pytest.raises(ModelFailed, match="needs a process of its own"):
        Interpreter(flatbuffer, other)
    assert default_runtime() == loaded_runtime()


def test_a_runtime_that_does_not_exist_is_named(
    make_bundle: Callable[..., ModelBundle],
) -> None:
    """With those that do; and bytes that are no model are a failure, not a crash."""
    with pytest.raises(ModelFailed):
        Engine(make_bundle(), "abacus")
    with pytest.raises(ModelFailed, match="refuses the model"):
        Engine(make_bundle(flatbuffer=b"TFL3" * 100))


def test_arrays_that_do_not_fit_are_refused(data: Path) -> None:
    """By name, shape and type; the model works on afterwards."""
    content = (data / "models" / "vww_96_int8.tflite").read_bytes()
    engine = Engine(adopt(content, "vww"))
    good = np.zeros((1, 96, 96, 3), np.int8)
    name = engine.inputs[0].name
    for wrong in (
        {},
        {"other": good},
        {name: good[:, :95]},
        {name: good.astype(np.float32)},
        {name: good, "more": good},
    ):
        with pytest.raises(ModelFailed):
            engine.run(wrong)

    assert engine.run({name: good}).keys() == {engine.outputs[0].name}


REAL_SCRIPT = """
import dataclasses, json, sys
from pathlib import Path
from edge_app.inference.adopt import adopt
from edge_app.inference.decode import decode_image, decode_reduced
from edge_app.inference.engine import Engine
from edge_app.inference.preprocess import Roi
data, runtime = Path(sys.argv[1]), sys.argv[2]
expected = json.loads((data / "expected.json").read_text())
found = {}
file = data / expected["classification"]["model"]
engine = Engine(adopt(file.read_bytes(), "v2"), runtime, 1)
engine.warm()
for photo in expected["classification"]["top1"]:
    content = (data / photo).read_bytes()
    decoded = decode_reduced(content, engine.room)
    found[photo] = [
        engine.predict(decode_image(content)).label,
        engine.predict(
            decoded.image, reduction=decoded.reduction, full_size=decoded.full_size
        ).label,
    ]
file = data / expected["detection"]["model"]
cats = (data / "photos/tfls_cats_and_dogs.jpg").read_bytes()
ssd = adopt(file.read_bytes(), "ssd")
for resize in ("stretch", "letterbox"):
    contract = dataclasses.replace(ssd.spec.contract, resize=resize)
    spec = dataclasses.replace(ssd.spec, contract=contract)
    engine = Engine(dataclasses.replace(ssd, spec=spec), runtime, 1)
    image = decode_image(cats)
    boxes = lambda p: [[d.label, d.score, d.x_min, d.y_min, d.x_max, d.y_max] for d in p.detections]
    found[resize] = boxes(engine.predict(image))
    found[resize + " small"] = boxes(
        engine.predict(image[::2, ::2], reduction=2, full_size=(1200, 600))
    )
    padded = __import__("numpy").pad(image, ((50, 0), (100, 0), (0, 0)))
    found[resize + " roi"] = boxes(engine.predict(padded, roi=Roi(100, 50, 1200, 600)))
print(json.dumps({"runtime": engine.runtime, "found": found}))
"""


@pytest.mark.parametrize("runtime", list(RUNTIMES))
def test_known_answers_come_out_in_every_runtime(data: Path, runtime: str) -> None:
    """Top labels as published; boxes over the same cats however the picture was fitted."""
    if runtime not in installed_runtimes():
        pytest.skip(f"{runtime} is not installed here")
    expected = json.loads((data / "expected.json").read_text())
    command = [sys.executable, "-c", REAL_SCRIPT, str(data), runtime]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    found = reply["found"]

    assert reply["runtime"] == runtime
    for photo, label in expected["classification"]["top1"].items():
        assert found[photo] == [label, label]
    published = expected["detection"]["photos/tfls_cats_and_dogs.jpg"]
    assert [box[0] for box in found["stretch"][:3]] == ["cat", "cat", "cat"]
    for (label, score), box in zip(published, found["stretch"], strict=False):
        assert box[0] == label
        assert box[1] == pytest.approx(score, abs=0.1)
    _same_boxes(found["stretch"][:2], found["stretch small"], tolerance=40)
    for resize in ("stretch", "letterbox"):
        moved = [
            [
                box[0],
                box[1],
                *(value + shift for value, shift in zip(box[2:], (100, 50) * 2, strict=True)),
            ]
            for box in found[resize][:2]
        ]
        _same_boxes(moved, found[resize + " roi"], tolerance=1)
    # Squeezed less, the model takes cats for other things; the one on the right lies where it did.
    (cat,) = [["", *box[1:]] for box in found["stretch"] if box[0] == "cat" and box[2] > 800]
    _same_boxes([cat], [["", *box[1:]] for box in found["letterbox"]], tolerance=60)


def _same_boxes(wanted: list[list[float]], found: list[list[float]], tolerance: float) -> None:
    for box in wanted:
        near = [
            other
            for other in found
            if other[0] == box[0]
            and max(abs(a - b) for a, b in zip(box[2:], other[2:], strict=True)) <= tolerance
        ]
        assert near, (box, found)


def test_a_picture_on_its_side_gives_upright_boxes(data: Path) -> None:
    """Positions are told in the picture as a person sees it."""
    import io

    from PIL import Image as Pillow

    content = (data / "photos" / "tfls_cats_and_dogs.jpg").read_bytes()
    with Pillow.open(io.BytesIO(content)) as upright:
        exif = Pillow.Exif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        # Stored turned to the left, with a mark to turn it to the right.
        upright.transpose(Pillow.Transpose.ROTATE_90).save(buffer, "PNG", exif=exif)
    model = data / "models" / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    engine = Engine(adopt(model.read_bytes(), "ssd"))

    straight = engine.predict(decode_image(content)).detections
    turned = engine.predict(decode_image(buffer.getvalue())).detections

    assert straight[0].label == "cat"
    assert [d.label for d in straight] == [d.label for d in turned]
    assert straight[0].x_min == pytest.approx(turned[0].x_min, abs=1)


def test_the_memory_counted_holds_weights_and_layers(data: Path) -> None:
    """A published MobileNet of 1.9 MB counts as that, its weights again, and 5 MB of layers."""
    path = data / "models" / "mobilenet_v1_0.25_224_1_metadata_1.tflite"
    model = Interpreter(path.read_bytes(), default_runtime())

    assert 7_000_000 < model.tensor_bytes < 8_000_000
