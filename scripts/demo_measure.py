"""How the demo's model does on photographs that it has never seen, on the device's own path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from demo_photo import CLASSES, Photo, take_photo

from edge_app.inference.bundle import read_bundle
from edge_app.inference.decode import decode_image
from edge_app.inference.engine import Engine
from edge_app.inference.judge import Decision, Verdict, judge
from edge_app.inference.tasks import Prediction


@dataclass(frozen=True, slots=True)
class Judged:
    """One photograph with what the model made of it."""

    label: str
    prediction: Prediction
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Measured:
    """Many of them, counted.

    Args:
        judged: All photographs.
        spent_ms: Milliseconds of one invoke, warm.
    """

    judged: tuple[Judged, ...]
    spent_ms: float

    @property
    def right(self) -> int:
        """How many were given their own class."""
        return sum(one.label == one.prediction.label for one in self.judged)

    @property
    def escapes(self) -> int:
        """How many flawed parts were called OK."""
        return self.count("flawed", Decision.OK)

    @property
    def overkill(self) -> int:
        """How many good parts were called NG."""
        return self.count("good", Decision.NG)

    def count(self, kind: str, decision: Decision) -> int:
        """How many `good` or `flawed` parts got a decision."""
        return sum(
            one.verdict.decision is decision and (one.label == "good") == (kind == "good")
            for one in self.judged
        )

    def report(self) -> str:
        """The confusion matrix and the decisions, as a table for people."""
        pairs = Counter((one.label, one.prediction.label) for one in self.judged)
        width = max(map(len, CLASSES)) + 2
        lines = ["true \\ said".ljust(width) + "".join(f"{said:>{width}}" for said in CLASSES)]
        lines += [
            true.ljust(width) + "".join(f"{pairs[true, said]:>{width}}" for said in CLASSES)
            for true in CLASSES
        ]
        share = self.right / len(self.judged)
        lines.append(f"right: {self.right} of {len(self.judged)} = {share:.1%}")
        for kind in ("good", "flawed"):
            decided = (f"{d.value} {self.count(kind, d)}" for d in Decision)
            lines.append(f"{kind} parts: {', '.join(decided)}")
        lines.append(f"escapes: {self.escapes}, overkill: {self.overkill}")
        lines.append(f"one invoke on this machine: {self.spent_ms:.2f} ms")
        return "\n".join(lines)


class Judge:
    """A model file with its own limits, ready to judge photographs."""

    def __init__(self, path: Path) -> None:
        self._engine = Engine(read_bundle(path))
        self.spent_ms = self._engine.warm(20)

    def look(self, photo: Photo) -> Judged:
        """Judge the file that the camera would send of a photograph."""
        prediction = self._engine.predict(decode_image(photo.jpeg()))
        return Judged(photo.label, prediction, judge(prediction, self._engine.spec.limits))


def in_turn(seed: int, numbers: Iterable[int]) -> Iterable[Photo]:
    """Photographs of a series, the classes in turn."""
    return (take_photo(CLASSES[number % len(CLASSES)], seed, number) for number in numbers)


def measure(path: Path, photos: Iterable[Photo]) -> Measured:
    """Judge photographs with a model file."""
    judge_of_parts = Judge(path)
    judged = tuple(judge_of_parts.look(photo) for photo in photos)
    return Measured(judged, judge_of_parts.spent_ms)
