"""What is kept of one part or upload."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_app.inference.judge import Code, Decision
from edge_app.records.findings import NOTHING, Findings

SHOWN_AS = {"decision": "verdict", "late_decision": "late_verdict", "findings": "detections"}
"""Names that people and the API have for fields."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """One trigger handled end to end, as it is recorded.

    Args:
        id: Never used twice, not even after a power cut.
        camera: The camera's name; `upload` for pictures that were sent to the app.
        source: Who fired it: `plc`, `modbus`, `page`, `free`, `upload`.
        trigger: The PLC's number 1..65535; 0 for an upload.
        part: The part's id as the PLC gave it.
        job: The job's number; 0 without one.
        model: Name and version of the model, e.g. `flange/3`.
        job_crc: CRC-16 of recipe and model; 0 without a job.
        decision: What the line was told.
        code: Why there is no decision, or 0.
        reason: The same in words, with the numbers that decided.
        label: What the model favoured.
        label_index: That label's place, -1 without one.
        score: How sure it was, 0..1.
        scores: Score of the likeliest labels and of those that have a limit.
        laps_ms: Milliseconds of each stage.
        total_ms: From the trigger (or the last byte) to the decision.
        captured_at: Wall clock of the exposure, seconds since 1970.
        late_decision: What came after the deadline and was never sent; empty mostly.
        late_ms: When it came, from the trigger.
        warning: A warning code of the PLC contract, or 0.
        image: File name of the kept picture below the images folder, or empty.
        test: A test shot: kept, but not counted.
        request_id: The `X-Request-Id` that asked for it; empty where no request did.
        findings: What was found where.
        damaged: Fields that could not be read from the disk; they say nothing here.
    """

    id: int
    camera: str
    source: str
    trigger: int = 0
    part: str = ""
    job: int = 0
    model: str = ""
    decision: Decision = Decision.NONE
    code: Code = Code.INTERNAL
    reason: str = "not inspected"
    label: str = ""
    label_index: int = -1
    score: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    laps_ms: Mapping[str, float] = field(default_factory=dict)
    total_ms: float = 0.0
    captured_at: float = field(default_factory=time.time)
    late_decision: str = ""
    late_ms: float = 0.0
    warning: Code = Code.FINE
    image: str = ""
    test: bool = False
    job_crc: int = 0
    request_id: str = ""
    findings: Findings = NOTHING
    damaged: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form the API shows in lists: all but the map."""
        findings = self.findings
        return {
            "id": self.id,
            "camera": self.camera,
            "source": self.source,
            "trigger": self.trigger,
            "part": self.part,
            "job": self.job,
            "model": self.model,
            "job_crc": self.job_crc,
            "verdict": str(self.decision),
            "code": int(self.code),
            "reason": self.reason,
            "label": self.label,
            "score": round(self.score, 5),
            "scores": {label: round(score, 5) for label, score in self.scores.items()},
            "laps_ms": {stage: round(ms, 3) for stage, ms in self.laps_ms.items()},
            "total_ms": round(self.total_ms, 3),
            "captured_at": self.captured_at,
            "late_verdict": self.late_decision,
            "late_ms": round(self.late_ms, 3),
            "warning": int(self.warning),
            "image": self.image,
            "test": self.test,
            "request_id": self.request_id,
            "detections": [dataclasses.asdict(found) for found in findings.detections],
            "detections_left_out": findings.left_out,
            "anomaly": findings.anomaly,
            "damaged": [SHOWN_AS.get(name, name) for name in self.damaged],
        }

    def whole_json(self) -> dict[str, Any]:
        """The form the API shows of one."""
        heat = self.findings.heat
        return self.to_json() | {"map": heat.to_json() if heat is not None else None}
