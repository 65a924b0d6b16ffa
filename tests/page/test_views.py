"""Records, jobs, models and the system in a real browser: what a person does there, happens."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from device import colour_bundle, picture, until
from window import PHONE, Station

from edge_app.inference.bundle import pack_bundle
from edge_app.inference.judge import Decision, Limits
from edge_app.jobs import Job, JobStore
from edge_app.records.database import Database

pytestmark = pytest.mark.slow  # a real browser

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
expect = sync_api.expect


@pytest.fixture
def jobs(station: Station) -> JobStore:
    """The device's jobs: one for the colours."""
    store = JobStore(station.device.data_dir / "jobs")
    store.save(Job(1, "Colours", "colours"))
    return store


def test_records_are_filtered_and_the_filter_is_in_the_address(look: Any, station: Station) -> None:
    """A tap on a verdict leaves its records; the address can be shared."""
    for decision in Decision:
        station.line.part(decision, f"P-{decision}")
    page = look().open("/records")
    expect(page.locator("#gallery .tile")).to_have_count(4)

    page.locator(".choice", has_text="NG").click()

    expect(page.locator("#gallery .tile")).to_have_count(1)
    expect(page.locator("#gallery")).to_contain_text("P-NG")
    assert page.url.endswith("/records?verdict=NG")
    assert "verdict=NG" in page.locator("#export").get_attribute("href")


def test_records_page_on(look: Any, station: Station) -> None:
    """What does not fit on the first page comes with a tap, none twice."""
    for number in range(60):
        station.line.part(Decision.OK, f"P{number:02d}")
    page = look().open("/records")
    expect(page.locator("#gallery .tile")).to_have_count(48)

    page.locator("#more").click()

    expect(page.locator("#gallery .tile")).to_have_count(60)
    expect(page.locator("#more")).to_be_hidden()
    links = page.locator("#gallery a").evaluate_all("all => all.map(a => a.href)")
    assert len(set(links)) == 60


def test_one_inspection_is_told_in_full(look: Any, station: Station) -> None:
    """Verdict, reason, scores, laps and facts of the record."""
    part = station.line.part(Decision.NG, "AB12")
    page = look().open(f"/records/{part.id}")

    full = page.locator("#full")
    expect(full.locator(".word")).to_have_text("NG")
    expect(full).to_contain_text("rejected below 50%")
    expect(full.locator(".score-bars li").first).to_contain_text("blue")
    expect(full.locator(".laps-key")).to_contain_text("model 7.0 ms")
    expect(full).to_contain_text("AB12")
    expect(full).to_contain_text("colours/1")


def test_a_part_is_reviewed_with_one_tap(look: Any, station: Station) -> None:
    """The person's word stands beside the model's, in the records too."""
    part = station.line.part(Decision.REVIEW)
    page = look().open(f"/records/{part.id}")

    page.locator(".judge[data-verdict=NG]").click()

    expect(page.locator(".review")).to_contain_text("says NG")
    expect(page.locator("#full .word")).to_have_text("REVIEW")
    database = Database(station.device.database_path)
    assert [review.verdict for review in database.reviews([part.id])[part.id]] == ["NG"]
    database.close()


def test_an_unknown_inspection_is_a_sentence(look: Any) -> None:
    """A link to a record that is gone says so."""
    looker = look()
    page = looker.open("/records/123456")

    expect(page.locator("#full")).to_contain_text("there is no inspection 123456")
    looker.faults[:] = [fault for fault in looker.faults if "404" not in fault]


def test_a_picture_is_tried(look: Any) -> None:
    """A chosen picture is judged and shown with scores and timing."""
    page = look().open("/try")
    page.locator("#try-file").set_input_files(
        {"name": "part.png", "mimeType": "image/png", "buffer": picture("blue")}
    )

    expect(page.locator("#answers .word")).to_have_text("NG")
    expect(page.locator("#answers .score-bars li").first).to_contain_text("blue")


def test_the_verdict_of_a_tried_picture_comes_into_view(look: Any) -> None:
    """On a phone the verdict lies below the picture; nobody has to look for it."""
    page = look(viewport=PHONE).open("/try")
    page.locator("#try-file").set_input_files(
        {"name": "part.png", "mimeType": "image/png", "buffer": picture("blue", 400, 900)}
    )

    expect(page.locator("#answers .upload-why")).to_be_in_viewport(ratio=1)


def test_new_limits_are_tried_before_they_are_saved(
    look: Any, station: Station, jobs: JobStore
) -> None:
    """The slider tells which parts would change; only Save changes the job."""
    for decision in (Decision.OK, Decision.NG, Decision.REVIEW):
        station.line.part(decision)
    page = look().open("/jobs")
    expect(page.locator(".outcome")).to_contain_text("0 of the last 3 parts")

    page.locator(".sliders input").nth(1).fill("99")

    expect(page.locator(".outcome")).to_contain_text("1 of the last 3 parts")
    assert jobs.load(1).limits is None
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".actions .note")).to_have_text("Saved")
    assert jobs.load(1).limits == Limits(good=("red",), accept=0.99, reject=0.5)


def test_limits_never_contradict(look: Any, jobs: JobStore) -> None:
    """A limit that is pushed past the other takes it along."""
    page = look().open("/jobs")
    page.locator(".sliders input").nth(0).fill("95")

    expect(page.locator(".sliders input").nth(1)).to_have_value("95")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".actions .note")).to_have_text("Saved")
    assert (jobs.load(1).limits or Limits()).reject == 0.95


def resting_box(frame: Any) -> dict[str, float]:
    """Where it stands once what is above it has come in."""
    frame.scroll_into_view_if_needed()
    before: dict[str, float] = {}
    while (box := dict(frame.bounding_box() or {})) != before or not box:
        before = box
        frame.page.wait_for_timeout(200)
    return box


def test_the_region_is_drawn_with_a_finger(look: Any, jobs: JobStore) -> None:
    """A dragged corner becomes source pixels; numbers do the same."""
    page = look().open("/jobs")
    frame = page.locator(".roi-frame svg")
    expect(frame).to_be_visible()
    box = resting_box(frame)
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 4, steps=4)
    page.mouse.up()
    page.get_by_label("Width").fill("20")
    page.get_by_label("Width").blur()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".actions .note")).to_have_text("Saved")

    roi = jobs.load(1).roi
    assert roi is not None
    assert abs(roi.x - 32) <= 2
    assert abs(roi.y - 12) <= 2
    assert roi.width == 20


def test_a_job_is_loaded_on_the_line(look: Any, station: Station, jobs: JobStore) -> None:
    """The line is told the job's number."""
    jobs.save(Job(7, "Others", "colours"))
    page = look().open("/jobs")
    page.locator("#job-list button", has_text="7 Others").click()
    page.get_by_role("button", name="Load on cam1").click()

    until(lambda: ("POST", "/job", {"number": "7"}) in station.line.asked)


def test_a_model_is_activated_and_rolled_back(look: Any, station: Station) -> None:
    """Activation asks first, then the version runs; roll back brings the old one."""
    store = station.device.store
    store.add_content(pack_bundle(colour_bundle(marker="b")))
    page = look().open("/models")
    # The toy model's file holds no graph that could be measured.
    page.route("**/activate", lambda route: route.continue_(url=f"{route.request.url}?measure=0"))
    newer = page.locator(".versions li", has_text="Version 2")
    newer.get_by_role("button", name="Activate").click()
    assert str(store.active("colours")) == "colours/1"

    newer.get_by_role("button", name="Yes").click()

    expect(newer).to_contain_text("runs", timeout=20000)
    assert str(store.active("colours")) == "colours/2"
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".versions li", has_text="Version 1")).to_contain_text("runs")
    assert str(store.active("colours")) == "colours/1"


def test_a_broken_model_file_is_refused_in_words(look: Any, station: Station) -> None:
    """What is no model says so; nothing is added."""
    looker = look()
    page = looker.open("/models")
    page.locator("#model-file").set_input_files(
        {"name": "broken.tflite", "mimeType": "application/octet-stream", "buffer": b"no model"}
    )

    expect(page.locator("#model-added")).to_contain_text("Refused:")
    assert len(station.device.store.versions("colours")) == 1
    looker.faults[:] = [fault for fault in looker.faults if "409" not in fault]


def test_a_new_shift_asks_first(look: Any, station: Station) -> None:
    """The counters go to zero only after a Yes."""
    page = look().open()
    page.get_by_role("button", name="New shift").click()
    assert station.line.asked == []

    page.get_by_role("button", name="Yes").click()

    until(lambda: [path for _, path, _ in station.line.asked] == ["/reset"])


def test_the_system_view_tells_what_is_wrong(look: Any, station: Station) -> None:
    """Each part that fails stands there with its reason."""
    station.line.changes = {
        "records": {"failing": "the disk is full", "waiting": 3, "lost": 0},
        "warning": 51,
        "pictures": {"failing": "", "limited": "20 MB of pictures today", "kept_bytes": 0},
        "written": {"today": {"pictures": 21_400_000, "records": 3_000_000}},
    }
    page = look().open("/system")

    bad = page.locator("#health [data-state=bad]")
    expect(bad.filter(has_text="the disk is full")).to_have_count(1)
    warned = page.locator("#health [data-state=warn]")
    expect(warned.filter(has_text="the device is hot")).to_have_count(1)
    expect(warned.filter(has_text="20 MB of pictures today")).to_have_count(1)
    expect(page.locator("#health")).to_contain_text("pictures 21.4, records 3.0")


@pytest.mark.parametrize("path", ["/records", "/try", "/models", "/jobs", "/system"])
@pytest.mark.usefixtures("jobs")
def test_every_view_fits_a_phone(look: Any, station: Station, path: str) -> None:
    """Nothing is wider than the screen."""
    station.line.part(Decision.NG, "A-RATHER-LONG-PART-ID-1234567890")
    page = look(viewport=PHONE, has_touch=True, is_mobile=True).open(path)
    page.wait_for_timeout(400)

    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_two_versions_are_tried_side_by_side(look: Any, station: Station) -> None:
    """A version that does not run yet is asked beside the one that does, and stays idle."""
    device = station.device
    idle = device.store.add_content(pack_bundle(colour_bundle(marker="b")))
    device.engines.start()
    page = look().open("/try")
    page.locator("#model-b").select_option(f"colours/{idle.version}")

    page.locator("#try-file").set_input_files(
        {"name": "part.png", "mimeType": "image/png", "buffer": picture("red")}
    )

    expect(page.locator(".answer .word")).to_have_text(["OK", "OK"])
    expect(page.locator(".answer").nth(0)).to_contain_text("colours/1")
    expect(page.locator(".answer").nth(1)).to_contain_text(f"colours/{idle.version}")
    active = device.store.active("colours")
    assert active is not None
    assert active.version == 1
    device.engines.stop()


def test_who_changed_what_is_told(look: Any, jobs: JobStore) -> None:
    """A saved job's changes name the person, the field, and what it was before."""
    page = look().open("/jobs")
    page.locator(".sliders input").nth(1).fill("95")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".actions .note")).to_have_text("Saved")

    page.reload()

    expect(page.locator("#job .history li")).to_contain_text("anonymous")
    expect(page.locator("#job .history .change")).to_contain_text("limits")
    expect(page.locator("#job .history .change")).to_contain_text("0.95")
    assert jobs.load(1).limits is not None


def test_the_log_s_end_is_read_on_the_page(look: Any, station: Station) -> None:
    """What the app logged last stands on the system view."""
    told = logging.LogRecord("camera", logging.WARNING, "", 0, "the lens is dirty", (), None)
    station.device.recent.handle(told)

    page = look().open("/system")

    expect(page.locator("#log li").first).to_contain_text("the lens is dirty")


def test_the_settings_in_force_are_unfolded(look: Any) -> None:
    """A tap shows what is set on this device."""
    page = look().open("/system")

    page.locator("#settings summary").click()

    expect(page.locator("#settings pre")).to_contain_text("port = 8080")
