"""Jobs (recipes): which model looks at which part of the picture, how, with which limits."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_app.inference.durable import write_durably
from edge_app.inference.judge import Limits
from edge_app.inference.preprocess import Roi

MAX_NUMBER = 999
"""Three digits in the PLC's record."""

MAX_SHOTS = 16
MAX_DELAY_MS = 5000.0


class JobError(Exception):
    """The job can't be used; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Job:
    """One product's settings, numbered for the PLC.

    Args:
        number: 1..999.
        name: For people.
        model: A name in the model store; its active version runs.
        roi: The part of the picture to look at, in source pixels; None for all of it.
        limits: What to judge by; None for what the model's maker recommends.
        shots: Pictures taken of one part; the worst decides. All within the deadline.
        interval_ms: Least time from one of these exposures to the next.
        delay_ms: From the trigger to the exposure: the part is still on its way.
        exposure_us: Exposure time asked of the camera; 0 for the camera's settings.
        gain: Gain asked of the camera; -1 for the camera's settings.
    """

    number: int
    name: str
    model: str
    roi: Roi | None = None
    limits: Limits | None = None
    shots: int = 1
    interval_ms: float = 0.0
    delay_ms: float = 0.0
    exposure_us: float = 0.0
    gain: float = -1.0

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MAX_NUMBER:
            raise JobError(f"job number {self.number}: expected 1 to {MAX_NUMBER}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise JobError(
                    f"job {self.number}: {name}: expected {low:g} to {high:g}, got {value!r}"
                )

    def to_toml(self) -> str:
        """The form kept on disk, made for people to read and edit."""
        lines = [f"name = {_toml(self.name)}", f"model = {_toml(self.model)}"]
        plain = Job(self.number, self.name, self.model)
        lines += [
            f"{name} = {getattr(self, name)}"
            for name in RANGES
            if getattr(self, name) != getattr(plain, name)
        ]
        if self.roi is not None:
            lines += ["", "[roi]"]
            lines += [f"{side} = {getattr(self.roi, side)}" for side in ROI_SIDES]
        if self.limits is not None:
            lines += ["", "[limits]"]
            lines += [f"{key} = {_toml(value)}" for key, value in self.limits.to_json().items()]
        return "\n".join([*lines, ""])

    @classmethod
    def from_toml(cls, number: int, text: str) -> Job:
        """Read what `to_toml` wrote.

        Raises:
            JobError: Not TOML, an unknown key, or a value out of range.
        """
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise JobError(f"job {number}: {error}") from error
        return cls.from_document(number, document)

    def to_document(self) -> dict[str, Any]:
        """The form the API shows and takes; the number stands in the path."""
        roi, limits = self.roi, self.limits
        return {
            "number": self.number,
            "name": self.name,
            "model": self.model,
            "roi": {side: getattr(roi, side) for side in ROI_SIDES} if roi else None,
            "limits": limits.to_json() if limits else None,
            **{name: getattr(self, name) for name in RANGES},
        }

    @classmethod
    def from_document(cls, number: int, document: Mapping[str, Any]) -> Job:
        """Read what `to_document` gave, or a TOML file's tables.

        Raises:
            JobError: An unknown key, or a value out of range.
        """
        try:
            _only(document, ("name", "model", "roi", "limits", *RANGES), "a job")
            roi, limits = document.get("roi"), document.get("limits")
            if roi is not None:
                _only(roi, ROI_SIDES, "[roi]")
            return cls(
                number=number,
                name=str(document["name"]),
                model=str(document["model"]),
                roi=Roi(**{side: int(roi[side]) for side in ROI_SIDES}) if roi else None,
                limits=Limits.from_json(limits) if limits is not None else None,
                **{name: KINDS[name](document[name]) for name in RANGES if name in document},
            )
        except KeyError as error:
            raise JobError(f"job {number}: {error.args[0]} is missing") from error
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise JobError(f"job {number}: {error}") from error


RANGES: dict[str, tuple[float, float]] = {
    "shots": (1, MAX_SHOTS),
    "interval_ms": (0, MAX_DELAY_MS),
    "delay_ms": (0, MAX_DELAY_MS),
    "exposure_us": (0, 10_000_000),
    "gain": (-1, 1000),
}
KINDS: dict[str, Callable[[Any], Any]] = dict.fromkeys(RANGES, float) | {"shots": int}
ROI_SIDES = ("x", "y", "width", "height")


class JobStore:
    """The jobs of one device, one TOML file each, named by number.

    Args:
        folder: `<data>/jobs`; made when the first job is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> list[int]:
        """Numbers of all jobs, ascending."""
        stems = [path.stem for path in self.folder.glob("*.toml")]
        return sorted(int(stem) for stem in stems if re.fullmatch(r"[0-9]{1,3}", stem))

    def load(self, number: int) -> Job:
        """One job.

        Raises:
            JobError: There is no such job, or its file is wrong.
        """
        try:
            text = self._path(number).read_text(encoding="utf-8")
        except FileNotFoundError:
            known = ", ".join(map(str, self.numbers())) or "none"
            raise JobError(f"there is no job {number}; there are: {known}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise JobError(f"job {number} can't be read: {error}") from error
        return Job.from_toml(number, text)

    def save(self, job: Job) -> None:
        """Keep a job; after a power cut the old or the new one is there, whole."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_durably(self._path(job.number), job.to_toml().encode())

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:03d}.toml"


def job_crc(job: Job, model_sha256: str) -> int:
    """CRC-16 (Modbus) of a recipe and its model: it changes when either does."""
    return crc16(job.to_toml().encode() + model_sha256.encode())


def crc16(content: bytes) -> int:
    """The checksum that PLC programmers know from Modbus: polynomial 0xA001, start 0xFFFF."""
    crc = 0xFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def _only(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ValueError(f"unknown {unknown[0]!r} in {where}; known: {', '.join(known)}")


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        entries = [f"{json.dumps(key)} = {_toml(entry)}" for key, entry in value.items()]
        return "{ " + ", ".join(entries) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # JSON's text and numbers are TOML's too.
    return json.dumps(value, ensure_ascii=False)
