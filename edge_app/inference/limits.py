"""What a person set for one product: numbers that a prediction is held against."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class Band:
    """Two limits with a REVIEW band between them.

    For what should be high (a good label's score) OK begins at `accept` and NG below
    `reject`; for what should be low (a defect, an anomaly, an area) OK ends at `accept`
    and NG begins at `reject`.
    """

    accept: float
    reject: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.accept) and math.isfinite(self.reject)):
            raise ValueError(f"limits must be numbers, got {self.accept} and {self.reject}")

    def to_json(self) -> dict[str, float]:
        """The form kept in a model file, a job and the API."""
        return {"accept": self.accept, "reject": self.reject}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Band:
        """Read what `to_json` wrote."""
        return cls(float(entry["accept"]), float(entry["reject"]))


@dataclass(frozen=True, slots=True)
class CountRule:
    """How many things of one label a good part shows.

    A thing counts for certain when its score reaches the label's `accept` limit, and
    perhaps from its `reject` limit on; where that makes the difference, a person looks.

    Args:
        label: What is counted.
        least: Fewer are NG.
        most: More are NG.
        smallest_px2: Boxes of less area, in source pixels, are not counted.
        largest_px2: Boxes of more area are not counted.
    """

    label: str
    least: int = 0
    most: int = 0
    smallest_px2: float = 0.0
    largest_px2: float = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most:
            raise ValueError(
                f"counts of {self.label} must satisfy 0 <= least <= most, "
                f"got {self.least} and {self.most}"
            )
        if not 0 <= self.smallest_px2 <= self.largest_px2:
            raise ValueError(
                f"areas of {self.label} must satisfy 0 <= smallest_px2 <= largest_px2, "
                f"got {self.smallest_px2} and {self.largest_px2}"
            )

    def to_json(self) -> dict[str, Any]:
        """The form kept in a model file, a job and the API; without an upper area if none is."""
        document: dict[str, Any] = {"label": self.label, "least": self.least, "most": self.most}
        if self.smallest_px2:
            document["smallest_px2"] = self.smallest_px2
        if math.isfinite(self.largest_px2):
            document["largest_px2"] = self.largest_px2
        return document

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> CountRule:
        """Read what `to_json` wrote."""
        return cls(
            label=str(entry["label"]),
            least=int(entry.get("least", 0)),
            most=int(entry.get("most", 0)),
            smallest_px2=float(entry.get("smallest_px2", 0.0)),
            largest_px2=float(entry.get("largest_px2", math.inf)),
        )


@dataclass(frozen=True)
class Limits:
    """What a person set for one product.

    Args:
        good: Labels that mean a good part; without any, no classification is ever OK.
        accept: OK when the good labels' scores reach this together; for detections, a
            thing with this score is there for certain.
        reject: NG when they stay below this; in between a person looks (REVIEW). For
            detections, a thing below this score is not there.
        classes: Limits of their own for some labels. For a good one they take the
            place of `accept` and `reject` when it is the likeliest of the good; for
            any other, a score over its `accept` is REVIEW and from `reject` on NG. For
            detections they tell when a thing of this label is there.
        counts: For detections: how many of what a good part shows. Without a rule, no
            detection is ever OK.
        areas: For segmentation: share of the picture that a label may cover.
        anomaly: For anomaly maps and autoencoders: the score.
        area: For anomaly maps: share of the map that reaches `pixel`.
        pixel: See `area`.
    """

    good: tuple[str, ...] = ()
    accept: float = 0.9
    reject: float = 0.5
    classes: Mapping[str, Band] = field(default_factory=dict)
    counts: tuple[CountRule, ...] = ()
    areas: Mapping[str, Band] = field(default_factory=dict)
    anomaly: Band | None = None
    area: Band | None = None
    pixel: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.reject <= self.accept <= 1:
            raise ValueError(
                f"limits must satisfy 0 <= reject <= accept <= 1, "
                f"got reject {self.reject}, accept {self.accept}"
            )
        counted = {rule.label for rule in self.counts}
        for label, band in self.classes.items():
            _check(band, f"limits of {label}", high=label in self.good or label in counted)
        for label, band in self.areas.items():
            _check(band, f"area limits of {label}", high=False)
        if self.area is not None:
            _check(self.area, "area limits", high=False)
        if self.anomaly is not None and self.anomaly.accept > self.anomaly.reject:
            raise ValueError(f"anomaly limits must satisfy accept <= reject, got {self.anomaly}")
        if (self.area is None) != (self.pixel is None):
            raise ValueError("area and pixel limits of an anomaly map belong together")

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """All labels that are judged, each once."""
        counted = (rule.label for rule in self.counts)
        return tuple(dict.fromkeys([*self.good, *self.classes, *self.areas, *counted]))

    def band(self, label: str) -> Band:
        """The limits of a label that should be there: its own, or the general ones."""
        return self.classes.get(label, self._general)

    @cached_property
    def _general(self) -> Band:
        return Band(self.accept, self.reject)

    def to_json(self) -> dict[str, Any]:
        """The form kept in a model file, a job and the API; what is not set is left out."""
        document: dict[str, Any] = {
            "good": list(self.good),
            "accept": self.accept,
            "reject": self.reject,
        }
        for name, bands in (("classes", self.classes), ("areas", self.areas)):
            if bands:
                document[name] = {label: band.to_json() for label, band in bands.items()}
        if self.counts:
            document["counts"] = [rule.to_json() for rule in self.counts]
        for name, single in (("anomaly", self.anomaly), ("area", self.area)):
            if single is not None:
                document[name] = single.to_json()
        if self.pixel is not None:
            document["pixel"] = self.pixel
        return document

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Limits:
        """Read what `to_json` wrote.

        Raises:
            ValueError: An entry is not known, or the limits contradict each other.
            KeyError: One of `good`, `accept` and `reject` is missing.
        """
        unknown = entry.keys() - cls.__dataclass_fields__.keys()
        if unknown:
            raise ValueError(f"limits don't know {', '.join(sorted(unknown))}")
        pixel = entry.get("pixel")
        return cls(
            good=tuple(map(str, entry["good"])),
            accept=float(entry["accept"]),
            reject=float(entry["reject"]),
            classes=_bands(entry.get("classes", {})),
            counts=tuple(map(CountRule.from_json, entry.get("counts", ()))),
            areas=_bands(entry.get("areas", {})),
            anomaly=Band.from_json(entry["anomaly"]) if entry.get("anomaly") else None,
            area=Band.from_json(entry["area"]) if entry.get("area") else None,
            pixel=None if pixel is None else float(pixel),
        )


def _bands(entries: Mapping[str, Any]) -> dict[str, Band]:
    return {str(label): Band.from_json(entry) for label, entry in entries.items()}


def _check(band: Band, what: str, *, high: bool) -> None:
    low, top = (band.reject, band.accept) if high else (band.accept, band.reject)
    if not 0 <= low <= top <= 1:
        order = "reject <= accept" if high else "accept <= reject"
        raise ValueError(
            f"{what} must satisfy 0 <= {order} <= 1, got accept {band.accept}, reject {band.reject}"
        )
