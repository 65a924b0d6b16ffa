"""Output tensors to predictions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.inference.detection import Candidates, ssd_order, suppressed
from edge_app.inference.preprocess import Contract, Preprocessor, Resize, Roi
from edge_app.inference.tasks import Task, activate, check_labels, interpret
from edge_app.inference.tensor import TensorInfo
from edge_app.inference.view import View

LABELS = ("cap", "scratch", "dent")


def real(*values: float, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Outputs as an engine gives them."""
    array = np.array(values, np.float32)
    return array.reshape(shape) if shape else array[None]


def ssd(boxes: list[list[float]], classes: list[int], scores: list[float]) -> dict[str, np.ndarray]:
    """The four outputs of an SSD, with room for ten boxes."""
    outputs = {
        "boxes": np.zeros((1, 10, 4), np.float32),
        "classes": np.zeros((1, 10), np.float32),
        "scores": np.zeros((1, 10), np.float32),
        "count": real(len(boxes), shape=(1,)),
    }
    for place, (box, label, score) in enumerate(zip(boxes, classes, scores, strict=True)):
        outputs["boxes"][0, place] = box
        outputs["classes"][0, place] = label
        outputs["scores"][0, place] = score
    return outputs


def view_of(width: int, height: int, resize: Resize, roi: Roi | None = None) -> View:
    """How a 100 x 50 model sees a picture."""
    tensor = TensorInfo("image", (1, 50, 100, 3), "uint8")
    region = roi or Roi(0, 0, width, height)
    image = np.zeros((region.height, region.width, 3), np.uint8)
    _, geometry = Preprocessor(Contract(resize=resize), tensor).fit(image)
    return View(geometry.moved(roi), 100, 50, region)


def test_a_classification_names_the_likeliest() -> None:
    """With its place, its score and everyone else's."""
    prediction = interpret(Task("classification", LABELS), {"out": real(0.2, 0.7, 0.1)})

    assert (prediction.label, prediction.label_index) == ("scratch", 1)
    assert prediction.score == pytest.approx(0.7)
    assert prediction.scores == pytest.approx({"cap": 0.2, "scratch": 0.7, "dent": 0.1})
    assert prediction.sound


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_make_a_prediction_unsound(nonsense: float) -> None:
    """Whatever the task, wherever they stand."""
    scores = {"out": real(0.2, nonsense, 0.1)}
    boxes = ssd([[0, 0, nonsense, 1]], [0], [0.9])
    heat = {"out": np.full((1, 4, 4, 1), nonsense, np.float32)}

    assert not interpret(Task("classification", LABELS), scores).sound
    assert not interpret(Task("classification", LABELS, "softmax"), scores).sound
    assert not interpret(Task("detection", LABELS, layout="ssd"), boxes).sound
    assert not interpret(Task("anomaly"), heat).sound
    assert not interpret(Task("raw"), heat).sound


def test_softmax_and_sigmoid_make_scores_of_any_numbers() -> None:
    """Without overflow."""
    assert activate(np.array([1000.0, 0.0, -1000.0]), "softmax").tolist() == [1, 0, 0]
    assert activate(np.array([[0.0, 0.0], [1.0, 1.0]]), "softmax").sum(axis=1).tolist() == [1, 1]
    assert activate(np.array([-1e9, 0.0, 1e9]), "sigmoid") == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize(
    ("task", "outputs"),
    [
        (Task("classification", LABELS), {"a": real(1, 2)}),
        (Task("classification", LABELS), {"a": real(1, 2, 3), "b": real(1)}),
        (Task("detection", LABELS, layout="ssd"), {"a": real(1, 2)}),
        (Task("detection", LABELS, layout="yolo"), {"a": real(1, 2)}),
        (Task("detection", LABELS, layout="yolo"), {"a": np.zeros((1, 6, 9), np.float32)}),
        (Task("segmentation", LABELS), {"a": np.zeros((1, 4, 4, 2), np.float32)}),
        (Task("anomaly"), {"a": real(1), "b": real(2)}),
        (Task("anomaly"), {}),
        (Task("autoencoder"), {"a": real(1, 2, 3)}),
    ],
)
def test_outputs_of_another_task_are_refused(task: Task, outputs: dict[str, np.ndarray]) -> None:
    """The sentence tells what is needed and what the model gives."""
    with pytest.raises(ValueError, match=r"needs|gives|has one|has its"):
        interpret(task, outputs, inputs={"x": real(1, 2)})


def test_an_ssd_s_boxes_are_named_and_sorted() -> None:
    """Those below the least score and those beyond the count are left out."""
    outputs = ssd([[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1], [0, 0, 1, 1]], [1, 2, 0], [0.5, 0.9, 0.1])

    prediction = interpret(Task("detection", LABELS, layout="ssd"), outputs, View.whole(100, 50))

    first, second = prediction.detections
    assert (first.label, second.label) == ("dent", "scratch")
    assert (second.x_min, second.y_min, second.x_max, second.y_max) == pytest.approx(
        (20, 5, 60, 25)
    )
    assert second.area_px2 == pytest.approx(800)
    assert prediction.label == "dent"
    assert prediction.scores == pytest.approx({"cap": 0, "scratch": 0.5, "dent": 0.9})


def test_a_detector_that_finds_nothing_says_so() -> None:
    """No label, no score, and a zero for each class."""
    prediction = interpret(Task("detection", LABELS, layout="ssd"), ssd([], [], []))

    assert prediction.detections == ()
    assert prediction.label_index == -1
    assert set(prediction.scores.values()) == {0.0}


@pytest.mark.parametrize(
    "names",
    [
        ("boxes", "classes", "scores", "count"),
        ("boxes", "scores", "classes", "count"),
        ("count", "scores", "classes", "boxes"),
        ("count", "classes", "scores", "boxes"),
    ],
)
def test_an_ssd_s_outputs_are_told_apart_by_their_values(names: tuple[str, ...]) -> None:
    """Exporters disagree about the order."""
    outputs = ssd([[0, 0, 1, 1]] * 2, [1, 2], [0.5, 0.25])

    order = ssd_order({name: outputs[name] for name in names})

    assert order == ("boxes", "classes", "scores", "count")


@settings(max_examples=60)
@given(
    st.sampled_from(["stretch", "letterbox", "crop"]),
    st.booleans(),
    st.integers(30, 500),
    st.integers(30, 500),
    st.tuples(st.floats(0.3, 0.45), st.floats(0.3, 0.45), st.floats(0.55, 0.7)),
)
def test_boxes_come_back_in_source_pixels(
    resize: Resize, cut: bool, width: int, height: int, corners: tuple[float, float, float]
) -> None:
    """A box drawn in the source, seen through any way of fitting, is told where it was drawn."""
    roi = Roi(7, 5, width - 12, height - 9) if cut else None
    view = view_of(width, height, resize, roi)
    region = view.region
    left, top = region.x + corners[0] * region.width, region.y + corners[1] * region.height
    right, bottom = region.x + corners[2] * region.width, region.y + corners[2] * region.height
    shares = [
        (top - view.geometry.offset_y) * view.geometry.scale_y / 50,
        (left - view.geometry.offset_x) * view.geometry.scale_x / 100,
        (bottom - view.geometry.offset_y) * view.geometry.scale_y / 50,
        (right - view.geometry.offset_x) * view.geometry.scale_x / 100,
    ]

    prediction = interpret(Task("detection", LABELS, layout="ssd"), ssd([shares], [0], [0.9]), view)

    (box,) = prediction.detections
    found = (box.x_min, box.y_min, box.x_max, box.y_max)
    if resize == "crop":
        # What lies outside the part that was seen is cut off; the rest is in place.
        assert region.x <= box.x_min <= box.x_max <= region.x + region.width
    assert found == pytest.approx((left, top, right, bottom), abs=0.01 * max(width, height))


def test_boxes_are_clipped_to_what_was_looked_at() -> None:
    """A box that a model draws over the edge ends at the edge, and one outside is none."""
    view = view_of(200, 100, "letterbox", Roi(20, 10, 100, 50))
    outputs = ssd([[-1, -1, 2, 2], [1.5, 1.5, 1.6, 1.6]], [0, 1], [0.9, 0.9])

    (box,) = interpret(Task("detection", LABELS, layout="ssd"), outputs, view).detections

    assert (box.x_min, box.y_min, box.x_max, box.y_max) == (20, 10, 120, 60)


@pytest.mark.parametrize("objectness", [False, True])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("unit", ["normalised", "pixels"])
def test_a_yolo_s_tensor_is_read_in_every_form(objectness: bool, turned: bool, unit: str) -> None:
    """Channels first or last, with or without an objectness, in shares or pixels."""
    rows = np.zeros((200, 4 + objectness + 3), np.float32)
    scale = np.array([100, 50, 100, 50]) if unit == "pixels" else np.ones(4)
    rows[3, :4] = np.array([0.5, 0.4, 0.2, 0.1]) * scale
    rows[4, :4] = np.array([0.505, 0.4, 0.2, 0.1]) * scale
    rows[9, :4] = np.array([0.2, 0.2, 0.1, 0.1]) * scale
    if objectness:
        rows[:, 4] = 0.5
    rows[3, -2], rows[4, -2], rows[9, -1] = 0.8, 0.9, 0.7
    values = rows.T[None] if turned else rows[None]
    task = Task(
        "detection",
        LABELS,
        layout="yolo",
        box_unit=unit,  # type: ignore[arg-type]  # parametrized
        least_score=0.3,
    )

    prediction = interpret(task, {"out": values}, View.whole(100, 50))

    scratch, dent = prediction.detections
    assert (scratch.label, dent.label) == ("scratch", "dent")
    assert scratch.score == pytest.approx(0.9 * (0.5 if objectness else 1))
    assert (scratch.x_min, scratch.y_min) == pytest.approx((40.5, 17.5), abs=1e-3)
    assert (scratch.x_max, scratch.y_max) == pytest.approx((60.5, 22.5), abs=1e-3)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.floats(0.1, 0.9))
def test_doubles_are_removed_as_the_definition_has_it(
    seed: int, count: int, overlap: float
) -> None:
    """Held against the plain, slow form: no kept pair overlaps, no dropped box lacks a better."""
    random = np.random.default_rng(seed)
    corners = random.random((count, 2)) * 0.7
    boxes = np.concatenate([corners, corners + random.random((count, 2)) * 0.3], axis=1)
    scores = np.sort(random.random(count))[::-1]
    classes = random.integers(0, 2, count)

    kept = suppressed(Candidates(boxes, scores, classes), overlap)

    def doubled(a: int, b: int) -> bool:
        low, high = np.maximum(boxes[a, :2], boxes[b, :2]), np.minimum(boxes[a, 2:], boxes[b, 2:])
        common = float(np.prod(np.clip(high - low, 0, None)))
        union = sum(float(np.prod(boxes[i, 2:] - boxes[i, :2])) for i in (a, b)) - common
        return bool(classes[a] == classes[b]) and common > overlap * union

    expected: list[int] = []
    for place in range(count):
        if not any(doubled(place, other) for other in expected):
            expected.append(place)
    assert kept.scores.tolist() == scores[expected].tolist()


def test_a_segmentation_tells_the_share_of_every_label() -> None:
    """Letterbox bars are no part of the picture and do not count."""
    view = view_of(50, 50, "letterbox")
    values = np.zeros((1, 10, 20, 3), np.float32)
    values[..., 2] = 0.5
    values[0, :, 5:10, 0] = 1.0
    values[0, :5, 10:15, 1] = 1.0

    prediction = interpret(Task("segmentation", LABELS), {"out": values}, view)

    assert prediction.scores == pytest.approx({"cap": 0.5, "scratch": 0.25, "dent": 0.25})
    assert prediction.label == "cap"
    assert prediction.heat is not None
    assert prediction.heat.shape == (10, 10)


def test_a_mask_of_one_label_is_held_against_one_half() -> None:
    """A network with a single output channel tells where its only class is."""
    values = np.zeros((1, 4, 4, 1), np.float32)
    values[0, 0] = 0.8

    prediction = interpret(Task("segmentation", ("scratch",)), {"out": values})

    assert prediction.scores == {"scratch": 0.25}


@pytest.mark.parametrize("shape", [(1, 4, 4, 1), (1, 4, 4), (1, 1, 4, 4)])
def test_an_anomaly_map_s_score_is_its_maximum(shape: tuple[int, ...]) -> None:
    """Unless the model gives a score of its own."""
    values = np.arange(16, dtype=np.float32).reshape(shape)

    alone = interpret(Task("anomaly"), {"map": values})
    both = interpret(Task("anomaly"), {"map": values, "score": real(3)})

    assert alone.anomaly == 15
    assert both.anomaly == 3
    assert both.heat is not None
    assert both.heat.shape == (4, 4)


def test_bars_of_a_letterbox_hold_no_anomaly() -> None:
    """What a model makes of the grey bars is not the part's fault."""
    values = np.zeros((1, 10, 20, 1), np.float32)
    values[0, :, :5] = 9
    values[0, 5, 10] = 2

    prediction = interpret(Task("anomaly"), {"map": values}, view_of(50, 50, "letterbox"))

    assert prediction.anomaly == 2


def test_an_autoencoder_is_held_against_its_input() -> None:
    """The mean square of what it could not draw again; for pictures also where."""
    came = np.zeros((1, 4, 4, 3), np.float32)
    made = came.copy()
    made[0, 1, 2] = 2
    picture = interpret(Task("autoencoder"), {"out": made}, inputs={"in": came})
    signal = interpret(Task("autoencoder"), {"out": real(1, 2, 3)}, inputs={"in": real(1, 2, 6)})

    assert picture.anomaly == pytest.approx(4 / 16)
    assert picture.heat is not None
    assert picture.heat[1, 2] == 4
    assert signal.anomaly == pytest.approx(3)
    assert signal.heat is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "astrology"},
        {"kind": "classification", "activation": "magic"},
        {"kind": "detection"},
        {"kind": "classification", "layout": "yolo"},
        {"kind": "detection", "layout": "ssd", "least_score": 2},
        {"kind": "detection", "layout": "ssd", "order": ("a",)},
    ],
)
def test_a_task_that_means_nothing_is_refused(wrong: dict[str, object]) -> None:
    """Words and numbers are checked where the task is made."""
    with pytest.raises(ValueError, match=r"expected|needs|must|names"):
        Task(**wrong)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("labels", [["a", "b", "a"], ["a", " "]])
def test_labels_that_can_t_be_told_apart_are_refused(labels: list[str]) -> None:
    """Scores are told by label."""
    with pytest.raises(ValueError, match=r"twice|empty"):
        check_labels(labels)
