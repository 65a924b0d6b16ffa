"""What a model found in a picture, bounded, as it is kept beside the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edge_app.inference.detection import Detection
from edge_app.inference.scores import highest
from edge_app.inference.tasks import Prediction
from edge_app.records.small_map import SmallMap

MAX_BOXES = 50
"""Boxes kept of one picture, the surest: about 4 kB."""

TOP_SCORES = 10
MAX_JUDGED = 40
"""Scores kept besides, of labels that have a limit: a thousand would be 30 kB a record."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Boxes, the anomaly and the map of one picture.

    Args:
        detections: The surest, in pixels of the picture that is kept.
        left_out: How many more there were.
        anomaly: How unlike the good ones it is; None where the task has no such number.
        heat: Where; None where the task has no map.
    """

    detections: tuple[Detection, ...] = ()
    left_out: int = 0
    anomaly: float | None = None
    heat: SmallMap | None = None

    @classmethod
    def of(cls, prediction: Prediction) -> Findings:
        """What is kept of a prediction."""
        found = prediction.detections
        kept = tuple(_rounded(one) for one in found[:MAX_BOXES])
        anomaly = prediction.anomaly if math.isfinite(prediction.anomaly) else None
        return cls(kept, len(found) - len(kept), anomaly, _heat(prediction))

    def to_json(self) -> dict[str, Any]:
        """The form of the records; only what there is."""
        document: dict[str, Any] = {}
        if self.detections:
            document["detections"] = [
                [one.label, one.score, one.x_min, one.y_min, one.x_max, one.y_max]
                for one in self.detections
            ]
        if self.left_out:
            document["left_out"] = self.left_out
        if self.anomaly is not None:
            document["anomaly"] = self.anomaly
        if self.heat is not None:
            document["map"] = self.heat.to_json()
        return document

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Findings:
        """Read what `to_json` wrote.

        Raises:
            ValueError, KeyError, TypeError: It did not write this.
        """
        return cls(
            detections=tuple(
                Detection(str(label), *map(float, numbers))
                for label, *numbers in entry.get("detections", ())
            ),
            left_out=int(entry.get("left_out", 0)),
            anomaly=float(entry["anomaly"]) if "anomaly" in entry else None,
            heat=SmallMap.from_json(entry["map"]) if "map" in entry else None,
        )


NOTHING = Findings()
"""Of who was not looked at."""


def best_scores(scores: Mapping[str, float], judged: Iterable[str]) -> dict[str, float]:
    """The scores that are kept: the highest, and those of labels that have a limit.

    A model's thousand labels would make a record of 30 kB, and say nothing.
    """
    if len(scores) <= TOP_SCORES:
        return dict(scores)
    limited = {label: scores[label] for label in judged if label in scores}
    if len(limited) > MAX_JUDGED:
        limited = highest(limited, MAX_JUDGED)
    return highest(scores, TOP_SCORES) | limited


def _rounded(one: Detection) -> Detection:
    """A tenth of a pixel is enough; all the digits of a float are half of the record."""
    corners = (round(side, 1) for side in (one.x_min, one.y_min, one.x_max, one.y_max))
    return Detection(one.label, round(one.score, 5), *corners)


def _heat(prediction: Prediction) -> SmallMap | None:
    if prediction.heat is None or prediction.region is None:
        return None
    if prediction.kind == "segmentation":
        return SmallMap.of_classes(prediction.heat, prediction.region, list(prediction.scores))
    return SmallMap.of_anomaly(prediction.heat, prediction.region)
