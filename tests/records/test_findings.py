"""What is kept of a prediction: enough to see why, and never more than a few kilobytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_app.inference.detection import Detection
from edge_app.inference.judge import Code, Decision
from edge_app.inference.preprocess import Roi
from edge_app.inference.tasks import Prediction
from edge_app.records.database import Database
from edge_app.records.findings import MAX_BOXES, Findings, best_scores
from edge_app.records.inspection import Inspection
from edge_app.records.recorder import MAX_WITH_FINDINGS, Recorder
from edge_app.records.small_map import SmallMap

REGION = Roi(10, 20, 640, 480)


def real(values: Any) -> Any:
    """Values as a runtime gives them."""
    return np.asarray(values, dtype=np.float32)


def test_boxes_are_kept_surest_first_and_few() -> None:
    """How many were left out is known."""
    found = tuple(Detection("nut", 1 - n / 1000, n, n, n + 9.04, n + 9) for n in range(300))

    kept = Findings.of(Prediction(kind="detection", detections=found))

    assert len(kept.detections) == MAX_BOXES
    assert kept.left_out == 250
    assert kept.detections[1] == Detection("nut", 0.999, 1, 1, 10.0, 10)


def test_the_peak_of_a_map_is_not_lost() -> None:
    """A single hot value of a large map is the hottest cell of the small one."""
    values = np.zeros((500, 700), np.float32)
    values[250, 699] = 4.0

    heat = Findings.of(Prediction(kind="anomaly", anomaly=4.0, heat=values, region=REGION)).heat

    assert heat is not None
    assert (heat.rows, heat.columns, heat.low, heat.high) == (32, 32, 0.0, 4.0)
    assert heat.region == REGION
    assert np.argwhere(heat.grid).tolist() == [[16, 31]]
    assert heat.grid.max() == 255


def test_a_small_map_is_kept_as_it_is() -> None:
    """Rows, columns and their order."""
    heat = SmallMap.of_anomaly(real([[0, 1, 2], [3, 4, 5]]), REGION)

    assert heat is not None
    assert heat.grid.tolist() == [[0, 51, 102], [153, 204, 255]]


def test_a_map_without_any_difference_is_one() -> None:
    """All cells have the least value."""
    heat = SmallMap.of_anomaly(np.full((64, 64), 0.5, np.float32), REGION)

    assert heat is not None
    assert (heat.low, heat.high, heat.grid.max()) == (0.5, 0.5, 0)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf])
def test_a_map_of_nonsense_is_none(nonsense: float) -> None:
    """Numbers that are none can't be drawn."""
    values = np.zeros((40, 40), np.float32)
    values[3, 3] = nonsense

    kept = Findings.of(Prediction(kind="anomaly", anomaly=nonsense, heat=values, region=REGION))

    assert kept == Findings()


def test_a_fine_scratch_stays_in_a_segmentation() -> None:
    """A cell has the rarest of the classes in it, and only classes that are there are named."""
    values = np.full((320, 320), 2.0, np.float32)
    values[100:220] = 0
    values[160, 5] = 3
    labels = ["part", "dirt", "ground", "scratch"]

    heat = Findings.of(
        Prediction(
            kind="segmentation",
            heat=values,
            region=REGION,
            scores=dict.fromkeys(labels, 0.0),
        )
    ).heat

    assert heat is not None
    assert heat.labels == ("ground", "part", "scratch")
    assert heat.grid[0].max() == 0
    assert heat.grid[16].tolist() == [2] + [1] * 31


def test_a_thousand_scores_are_few() -> None:
    """The ten highest are kept, and those that somebody judges by."""
    scores = {f"label {n}": n / 1000 for n in range(1001)}

    kept = best_scores(scores, ["label 3", "label 1000", "nobody"])

    assert len(kept) == 11
    assert kept["label 3"] == 0.003
    assert max(kept.values()) == 1.0
    assert best_scores(scores, scores).keys() == {f"label {n}" for n in range(961, 1001)}


def test_the_largest_record_is_bounded(tmp_path: Path) -> None:
    """A thousand labels, 300 boxes and a large map take less than 8 kB on the disk."""
    path = tmp_path / "records.db"
    random = np.random.default_rng(7)
    prediction = Prediction(
        kind="anomaly",
        anomaly=1 / 3,
        detections=tuple(Detection("scratch", *random.random(5) * 1000) for _ in range(300)),
        heat=random.random((300, 300), np.float32),
        region=REGION,
    )
    scores = {f"label {n}": float(random.random()) for n in range(1001)}
    recorded = Inspection(
        id=1,
        camera="cam1",
        source="plc",
        scores=best_scores(scores, scores),
        findings=Findings.of(prediction),
    )
    database = Database(path)
    database.add([recorded])
    with database.transaction() as connection:
        row = connection.execute("SELECT * FROM inspections").fetchone()

    assert sum(len(str(cell).encode()) for cell in row) < 8_000
    assert database.inspection(1) == recorded
    database.close()


def test_a_failing_disk_does_not_fill_the_memory(tmp_path: Path) -> None:
    """Of records that wait, only so many keep boxes and map; none loses its verdict."""
    recorder = Recorder(tmp_path / "records.db")
    found = Findings((Detection("nut", 0.9, 0, 0, 9, 9),))
    for number in range(1, MAX_WITH_FINDINGS + 3):
        committed = recorder.add(
            Inspection(id=number, camera="c", source="plc", decision=Decision.OK, findings=found)
        )
    recorder.start()
    assert committed.wait(10)
    recorder.stop()

    database = Database(tmp_path / "records.db")
    last = database.inspection(MAX_WITH_FINDINGS)
    over = database.inspection(MAX_WITH_FINDINGS + 1)
    database.close()
    assert last is not None
    assert over is not None
    assert last.findings == found
    assert over.findings == Findings()
    assert over.decision is Decision.OK


DAMAGE = {
    "decision": "OK?",
    "code": 77,
    "warning": -1,
    "scores": '{"good": 0.',
    "laps_ms": "[1]",
    "findings": '{"map": {"rows": 3}}',
}


@pytest.mark.parametrize("column", DAMAGE)
def test_a_damaged_cell_spoils_only_itself(tmp_path: Path, column: str) -> None:
    """The record says which of its fields is none; the others are what they were."""
    database = Database(tmp_path / "records.db")
    whole = Inspection(
        id=1, camera="cam1", source="plc", part="AB12", decision=Decision.OK, code=Code.FINE
    )
    database.add([whole])
    with database.transaction() as connection:
        connection.execute(f"UPDATE inspections SET {column} = ?", (DAMAGE[column],))  # noqa: S608

    (read,) = database.inspections()
    database.close()

    assert read.damaged == (column,)
    assert read.part == "AB12"
    assert read.decision is (Decision.NONE if column == "decision" else Decision.OK)


def test_a_text_that_is_no_text_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 hide no record."""
    database = Database(tmp_path / "records.db")
    database.add([Inspection(id=n, camera="cam1", source="plc") for n in (1, 2)])
    with database.transaction() as connection:
        connection.execute("UPDATE inspections SET part = CAST(x'41ff42' AS TEXT) WHERE id = 1")

    found = database.inspections()
    database.close()

    assert {one.id: one.part for one in found} == {1: "A\ufffdB", 2: ""}
    assert json.dumps([one.to_json() for one in found])
