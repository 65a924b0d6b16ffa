"""A model proves itself before it may run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_app.inference.acceptance import prove
from edge_app.inference.adopt import adopt
from edge_app.inference.bundle import Golden, ModelBundle, pack_bundle, write_bundle
from edge_app.inference.closeness import difference
from edge_app.inference.interpreter import installed_runtimes
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import TensorInfo

Change = Callable[[ModelBundle], ModelBundle]


@pytest.fixture(scope="module")
def good(data: Path) -> ModelBundle:
    """A small real classifier."""
    content = (data / "models" / "vww_96_int8.tflite").read_bytes()
    return adopt(content, "vww")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the model file is written."""
    return tmp_path / "model.tflite"


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("runtime", ["", *installed_runtimes()])
def test_a_good_model_passes_everywhere(
    good: ModelBundle, path: Path, runtime: str, quick: bool
) -> None:
    """In every runtime, in the long form and the quick one."""
    write_bundle(path, good)

    proof = prove(path, runtime=runtime, quick=quick, budget_ms=5000)

    assert proof.refusal == ""
    assert proof.runtime in installed_runtimes()
    assert proof.samples == 3
    assert proof.invoke_ms > 0


def with_golden(bundle: ModelBundle, **parts: dict[str, np.ndarray]) -> ModelBundle:
    """Another golden set."""
    assert bundle.golden is not None
    return replace(bundle, golden=replace(bundle.golden, **parts))


def other_answers(bundle: ModelBundle) -> ModelBundle:
    """The converter saw the opposite."""
    assert bundle.golden is not None
    answers = {k: v[..., ::-1].copy() for k, v in bundle.golden.quantized_outputs.items()}
    return with_golden(bundle, quantized_outputs=answers)


def nan_weights(bundle: ModelBundle) -> ModelBundle:
    """A model whose weights are half overwritten."""
    half = len(bundle.flatbuffer) // 2
    return replace(bundle, flatbuffer=bundle.flatbuffer[:half] + b"\xff" * 20_000)


def other_border(bundle: ModelBundle) -> ModelBundle:
    """It says that its input has another scale."""
    inputs = (replace(bundle.spec.inputs[0], scale=0.5),)
    return replace(bundle, spec=replace(bundle.spec, inputs=inputs))


def too_tolerant(bundle: ModelBundle) -> ModelBundle:
    """It asks not to be looked at too closely, and answers otherwise."""
    return replace(other_answers(bundle), spec=replace(bundle.spec, comparison={"tolerance": 99.0}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (other_answers, "golden sample 1 comes out differently"),
        (too_tolerant, "golden sample 1 comes out differently"),
        (other_border, "inputs are not those it describes"),
        (lambda b: with_golden(b, quantized_outputs={}), "no answer for output"),
        (lambda b: with_golden(b, inputs={"x": np.zeros((1, 2))}), "golden set has inputs x"),
        (
            lambda b: with_golden(b, inputs={b.spec.inputs[0].name: np.zeros((1, 5, 5, 3), "u1")}),
            "golden input for",
        ),
        (
            lambda b: replace(b, spec=replace(b.spec, task=Task("classification", ("a",)))),
            "a classification of 1 labels needs",
        ),
        (lambda b: replace(b, flatbuffer=b"TFL3" * 10), "refuses the model"),
    ],
)
def test_a_bad_model_is_refused_with_a_sentence(
    good: ModelBundle, path: Path, change: Change, sentence: str
) -> None:
    """The checksum is right in all of them: they were made wrong, not damaged."""
    write_bundle(path, change(good))

    assert sentence in prove(path, budget_ms=5000).refusal


def test_a_model_that_crashes_its_runtime_is_refused(good: ModelBundle, path: Path) -> None:
    """Weights that lead outside the file: the child may die of them, this process does not."""
    write_bundle(path, nan_weights(good))

    assert prove(path, budget_ms=5000).refusal


def test_a_model_that_is_too_slow_is_refused_unless_everything_is_just_starting(
    good: ModelBundle, path: Path
) -> None:
    """Its fastest run counts; at a start no time is measured that would mean anything."""
    write_bundle(path, good)

    assert "the budget is 0 ms" in prove(path, budget_ms=0.0001).refusal
    assert prove(path, budget_ms=0.0001, quick=True).refusal == ""


def test_a_model_without_a_golden_set_must_answer_grey_and_noise(
    good: ModelBundle, path: Path
) -> None:
    """With numbers that are some."""
    write_bundle(path, replace(good, golden=None))

    proof = prove(path, budget_ms=5000)

    assert proof.refusal == ""
    assert proof.samples == 2


def test_a_model_that_needs_too_much_memory_is_refused(good: ModelBundle, path: Path) -> None:
    """Its address space is bounded."""
    write_bundle(path, good)

    assert prove(path, memory_bytes=100_000_000).refusal


def test_a_missing_or_damaged_file_is_refused(good: ModelBundle, path: Path) -> None:
    """Before any runtime sees it."""
    assert "can't read" in prove(path).refusal
    content = bytearray(pack_bundle(good))
    content[len(content) // 2] ^= 4
    path.write_bytes(content)

    assert "damaged" in prove(path).refusal


SCORES = TensorInfo("out", (1, 3), "float32")
CLASSES = Task("classification", ("a", "b", "c"))


@pytest.mark.parametrize(
    ("expected", "given", "same"),
    [
        ([0.8, 0.1, 0.1], [0.8, 0.1, 0.1], True),
        ([0.8, 0.1, 0.1], [0.72, 0.18, 0.1], True),
        ([0.8, 0.1, 0.1], [0.6, 0.3, 0.1], False),
        ([0.46, 0.44, 0.1], [0.44, 0.46, 0.1], True),
        ([0.55, 0.44, 0.01], [0.45, 0.54, 0.01], False),
        ([0.8, 0.1, 0.1], [np.nan, 0.1, 0.1], False),
    ],
)
def test_scores_may_differ_a_little_and_clear_labels_not_at_all(
    expected: list[float], given: list[float], same: bool
) -> None:
    """Two runtimes never agree to the last bit."""
    was, now = ({"out": np.array([x], np.float32)} for x in (expected, given))

    assert (difference(CLASSES, was, now, {}) == "") is same


@pytest.mark.parametrize(
    ("score", "shift", "label", "same"),
    [
        (0.9, 0.0, 0, True),
        (0.8, 0.02, 0, True),
        (0.9, 0.3, 0, False),
        (0.9, 0.0, 1, False),
        (0.4, 0.0, 0, False),
    ],
)
def test_clear_boxes_must_be_on_both_sides(
    score: float, shift: float, label: int, same: bool
) -> None:
    """Of the same thing, in the same place, about as sure."""

    def found(value: float, moved: float, place: int) -> dict[str, np.ndarray]:
        box = [0.2 + moved, 0.2, 0.6 + moved, 0.6]
        return {
            "boxes": np.array([[box, box]], np.float32),
            "classes": np.array([[place, 2]], np.float32),
            # The second one is unsure: it may come and go.
            "scores": np.array([[value, 0.3 if value == 0.9 else 0.0]], np.float32),
            "count": np.array([2], np.float32),
        }

    task = Task("detection", ("a", "b", "c"), layout="ssd")

    answer = difference(task, found(0.9, 0, 0), found(score, shift, label), {})

    assert (answer == "") is same


@pytest.mark.parametrize(("noise", "same"), [(0.0, True), (0.01, True), (0.2, False)])
def test_other_numbers_are_held_against_their_spread(noise: float, same: bool) -> None:
    """An anomaly model's map may be off by a share of how much it varies."""
    random = np.random.default_rng(2)
    was = random.random((1, 8, 8, 1), dtype=np.float32) * 1000
    now = was + random.normal(size=was.shape).astype(np.float32) * noise * 1000

    assert (difference(Task("anomaly"), {"m": was}, {"m": now}, {}) == "") is same
    assert difference(Task("raw"), {"m": was}, {"m": was[:, :4]}, {})


def test_an_empty_golden_set_is_as_good_as_none(good: ModelBundle, path: Path) -> None:
    """Grey and noise stand in."""
    write_bundle(path, replace(good, golden=Golden({}, {}, {})))

    assert prove(path, budget_ms=5000).samples == 2
