"""What was found is drawn where it was found: on records, on held parts, and live for a moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from device import picture
from window import PHONE, Station

from edge_app.inference.bundle import ModelBundle, ModelSpec, pack_bundle
from edge_app.inference.detection import Detection
from edge_app.inference.judge import Decision
from edge_app.inference.limits import CountRule, Limits
from edge_app.inference.preprocess import Contract, Roi
from edge_app.inference.tasks import Task
from edge_app.inference.tensor import TensorInfo
from edge_app.jobs import Job, JobStore
from edge_app.records.findings import Findings
from edge_app.records.inspection import Inspection
from edge_app.records.small_map import SmallMap

pytestmark = pytest.mark.slow  # a real browser

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
expect = sync_api.expect

SCRATCH = Detection("deep_scratch", 0.91, 16.0, 12.0, 48.0, 36.0)
BOXES = Findings(detections=(SCRATCH,))


def kept(station: Station, decision: Decision = Decision.NG, **more: Any) -> Inspection:
    """A part whose picture, 64 x 48, is kept."""
    folder = station.device.data_dir / "images"
    folder.mkdir(exist_ok=True)
    (folder / "kept.jpg").write_bytes(picture("gray", 64, 48, "JPEG"))
    return station.line.part(decision, image="kept.jpg", **more)


def test_boxes_are_drawn_on_a_record_and_hidden_with_a_tap(look: Any, station: Station) -> None:
    """A box lies where the record says, on the picture; without it the picture is bare."""
    part = kept(station, findings=BOXES)
    page = look().open(f"/records/{part.id}")
    box = page.locator(".overlay .box")
    expect(box).to_be_attached()

    frame, drawn = page.locator("#kept img").bounding_box(), box.bounding_box()
    scale = min(frame["width"] / 64, frame["height"] / 48)
    left = frame["x"] + (frame["width"] - 64 * scale) / 2
    assert abs(drawn["x"] - (left + 16 * scale)) < scale
    assert abs(drawn["width"] - 32 * scale) < 2 * scale
    expect(page.locator(".overlay text")).to_have_text("deep scratch 91%")

    page.locator(".overlay-choice").click()
    expect(page.locator(".overlay")).to_have_count(0)
    page.locator(".overlay-choice").click()
    expect(box).to_be_attached()


def test_a_map_is_drawn_where_it_is_hot(look: Any, station: Station) -> None:
    """Of an anomaly map the hot cells cover the picture, the others don't."""
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 1.0
    found = Findings(anomaly=1.0, heat=SmallMap.of_anomaly(heat, Roi(0, 0, 64, 48)))
    part = kept(station, findings=found)

    page = look().open(f"/records/{part.id}")

    cell = page.locator(".overlay .hot")
    expect(cell).to_have_count(1)
    assert [cell.get_attribute(name) for name in ("x", "y", "width")] == ["32", "12", "16"]


def test_a_record_without_findings_offers_no_overlay(look: Any, station: Station) -> None:
    """A classification's picture has nothing to be hidden."""
    page = look().open(f"/records/{kept(station).id}")

    expect(page.locator("#kept img")).to_be_visible()
    expect(page.locator(".overlay-choice")).to_be_hidden()


def test_a_held_part_shows_its_boxes(look: Any, station: Station) -> None:
    """On the line view a tap on a part shows its own picture with what was found in it."""
    kept(station, findings=BOXES)
    page = look().open()

    page.locator(".tile").first.click()

    expect(page.locator("#frame .overlay .box")).to_be_attached()
    page.locator(".overlay-choice").click()
    expect(page.locator("#frame .overlay")).to_have_count(0)


def test_live_boxes_go_before_they_lie(look: Any, station: Station) -> None:
    """The live picture has the last part's boxes only as long as it may show that part."""
    page = look().open()
    expect(page.locator("#verdict")).to_have_attribute("data-verdict", "WAITING")

    station.line.part(Decision.NG, findings=BOXES)

    expect(page.locator("#frame .overlay .box")).to_be_attached(timeout=2000)
    expect(page.locator("#frame .overlay")).to_have_count(0, timeout=10_000)
    expect(page.locator("#verdict")).to_have_attribute("data-verdict", "NG")


def test_limits_of_a_detector_are_tried_before_they_are_saved(look: Any, station: Station) -> None:
    """A count that is asked for moves verdicts in the preview; only Save changes the job."""
    station.device.store.activate("holes", add_detector(station), measure=False)
    jobs = JobStore(station.device.data_dir / "jobs")
    jobs.save(Job(1, "Holes", "holes"))
    station.line.part(
        Decision.OK, scores={"hole": 0.95}, findings=Findings(detections=(SCRATCH, HOLE))
    )
    page = look().open("/jobs")
    expect(page.locator(".outcome")).to_contain_text("0 of the last 1 parts")
    expect(page.locator(".bands .histogram rect")).to_have_count(3)

    for name in ("at least", "at most"):
        field = page.get_by_label(f"hole: {name}")
        field.fill("2")
        field.press("Tab")

    expect(page.locator(".outcome")).to_contain_text("1 of the last 1 parts")
    assert jobs.load(1).limits is None
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".actions .note")).to_have_text("Saved")
    saved = jobs.load(1).limits
    assert saved is not None
    assert saved.counts == (CountRule("hole", least=2, most=2),)


def test_a_detector_s_limits_fit_a_phone(look: Any, station: Station) -> None:
    """No field of a rule is cut off on a small screen."""
    station.device.store.activate("holes", add_detector(station), measure=False)
    JobStore(station.device.data_dir / "jobs").save(Job(1, "Holes", "holes"))

    page = look(viewport=PHONE).open("/jobs")

    expect(page.locator(".rules input")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


HOLE = Detection("hole", 0.95, 0.0, 0.0, 10.0, 10.0)


def add_detector(station: Station) -> int:
    """The version of a detector that finds holes; nobody runs it here."""
    image = TensorInfo("picture", (1, 8, 8, 3), "float32")
    spec = ModelSpec(
        "holes",
        Task("detection", ("hole",), layout="ssd"),
        (image,),
        (TensorInfo("boxes", (1, 5, 4), "float32"),),
        Contract(),
        Limits(counts=(CountRule("hole", least=1, most=1),)),
    )
    content = pack_bundle(ModelBundle(b"TFL3" + b"h" * 64, spec))
    return station.device.store.add_content(content).version
