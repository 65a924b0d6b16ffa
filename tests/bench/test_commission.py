"""The commissioning run and its certificate."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from device import colour_bundle

from edge_app import commission
from edge_app.box import Heat, read_heat, throttle_count
from edge_app.certificate import certify, is_genuine, write_certificate
from edge_app.commission import CannotRun, Commissioning, Phase
from edge_app.config import CameraSettings, ConfigError, DataSettings, Settings
from edge_app.inference.acceptance import Proof
from edge_app.inference.bundle import write_bundle
from edge_app.jobs import Job, JobStore
from edge_app.lines import LineDown, LineReply
from edge_app.models import ModelStore

COOL = Heat(celsius=41.5, throttled="", readable=True, mhz=1800.0)


class FakeLine:
    """Answers triggers at once, as it is told to."""

    def __init__(self, **answer: Any) -> None:
        self.answer = {"verdict": "OK", "code": 0, "ms": 4.0} | answer
        self.busy_every = 0
        self.down = False
        self.asked = 0
        self.fields: dict[str, str] = {}

    def __call__(self, method: str, path: str, fields: dict[str, str]) -> LineReply:
        """One request."""
        assert (method, path) == ("POST", "/trigger")
        self.asked += 1
        self.fields = fields
        if self.down:
            raise LineDown("gone")
        if self.busy_every and self.asked % self.busy_every == 0:
            return _reply(409, {"code": 20, "reason": "busy with trigger 3"})
        return _reply(200, {"id": self.asked, **self.answer})


def _reply(status: int, document: dict[str, Any]) -> LineReply:
    return LineReply(status, "application/json", json.dumps(document).encode())


def _run(line: FakeLine, **how: Any) -> tuple[Phase, Phase]:
    return Commissioning(line, heat=lambda: COOL).run(0.3, **how)


def test_shots_are_test_shots() -> None:
    """No part of the run is counted as a product."""
    line = FakeLine()

    flat_out, paced = _run(line)

    assert line.fields["test"] == "1"
    assert flat_out.fired > 0
    assert paced.verdicts == {"OK": paced.fired}


def test_pace_is_kept() -> None:
    """At 3000 parts a minute, a quarter of a second takes a dozen."""
    _, paced = _run(FakeLine(), per_minute=3000)

    assert 5 <= paced.fired <= 14


def test_line_busy_with_its_own_part_is_asked_again() -> None:
    """A free-running line refuses now and then; that is neither a part nor a miss."""
    line = FakeLine()
    line.busy_every = 3

    flat_out, paced = _run(line)

    assert flat_out.busy > 0
    assert flat_out.misses + paced.misses == 0


def test_late_part_is_a_miss() -> None:
    """Code 23 counts as missed, other codes as undecided only."""
    late, _ = _run(FakeLine(verdict="NONE", code=23))
    no_frame, _ = _run(FakeLine(verdict="NONE", code=30))

    assert late.misses == late.fired
    assert no_frame.misses == 0
    assert no_frame.codes == {30: no_frame.fired}


def test_line_that_never_answers_is_said() -> None:
    """Without a single answer there is no certificate."""
    line = FakeLine()
    line.down = True

    with pytest.raises(CannotRun, match="no answer"):
        _run(line)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A device with a model, a job and a camera that has a password."""
    file = tmp_path / "colours.tflite"
    write_bundle(file, colour_bundle())
    store = ModelStore(tmp_path / "models", prove=lambda *_, **__: Proof(""))
    store.activate("colours", store.add(file).version, measure=False)
    JobStore(tmp_path / "jobs").save(Job(1, "Caps <b>", "colours"))
    camera = CameraSettings(source="rtsp://user:secret@10.0.0.9/live")
    return Settings(DataSettings(dir=str(tmp_path)), cameras={"cam1": camera})


@pytest.fixture
def issue(settings: Settings) -> Callable[..., dict[str, Any]]:
    """Makes a certificate of two phases."""

    def issued(paced: Phase, heat: Heat = COOL) -> dict[str, Any]:
        status = {
            "deadline_ms": 200,
            "job": 1,
            "model": "colours/1",
            "runtime": "toy",
            "threads": 1,
        }
        flat_out = Phase("flat out", 1.0, 10, ms=[4.0] * 10, round_ms=[5.0] * 10)
        return certify(
            settings=settings,
            config=None,
            camera="cam1",
            status=status,
            phases=(flat_out, paced),
            heats=[heat],
            throttled=0,
            first_id=1,
        )

    return issued


def _paced(**how: Any) -> Phase:
    return Phase("paced", 10.0, 100, **({"ms": [4.0] * 100, "round_ms": [5.0] * 100} | how))


def test_certificate_of_a_good_run(issue: Callable[..., dict[str, Any]]) -> None:
    """Every part in time is a pass, with hashes of model and job."""
    document = issue(_paced())

    assert document["outcome"]["passed"]
    assert document["phases"][1]["per_minute"] == 600
    assert len(document["model"]["sha256"]) == len(document["job"]["sha256"]) == 64


@pytest.mark.parametrize(
    "how",
    [
        {"codes": Counter({23: 1})},
        {"codes": Counter({40: 2})},
        {"unanswered": 1},
        {"round_ms": [5.0] * 99 + [221.0]},
    ],
    ids=["late", "undecided", "unanswered", "answer came late"],
)
def test_one_bad_part_is_no_pass(issue: Callable[..., dict[str, Any]], how: dict[str, Any]) -> None:
    """A single part that was not decided and answered in time fails the run."""
    document = issue(_paced(**how))

    assert not document["outcome"]["passed"]
    assert document["outcome"]["sentence"].startswith("NOT PASSED")


def test_page_is_offline_and_keeps_secrets(
    issue: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """The page fetches nothing, runs nothing, escapes names, and shows no password."""
    page = write_certificate(tmp_path / "out", issue(_paced()))

    text = page.read_text()
    assert "Caps &lt;b&gt;" in text
    assert "secret" not in text + page.with_suffix(".json").read_text()
    assert not any(word in text for word in ("http:", "https:", "<script", "src=", "href="))
    assert "41.5 °C" in text


def test_damaged_certificate_is_seen(issue: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """The hash covers every field, also after a trip through the file."""
    page = write_certificate(tmp_path, issue(_paced()))
    document = json.loads(page.with_suffix(".json").read_text())
    assert is_genuine(document)

    document["phases"][1]["misses"] = 0.5

    assert not is_genuine(document)


def test_sensors_that_are_absent_are_said(issue: Callable[..., dict[str, Any]]) -> None:
    """What can't be read is named so, never shown as fine."""
    document = issue(_paced(), Heat(None, "", readable=False, mhz=None))

    assert document["heat"]["celsius_max"] is None
    assert not document["heat"]["throttling_readable"]


def test_raspberry_pi_tells_why_it_is_slow(tmp_path: Path) -> None:
    """The firmware's word is read bit by bit; the hottest plausible sensor counts."""
    files = {
        "devices/platform/soc/soc:firmware/get_throttled": "50005",
        "class/thermal/thermal_zone0/temp": "61500",
        "class/thermal/thermal_zone1/temp": "-274000",
        "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000",
        "devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "600000",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")

    heat = read_heat(tmp_path)

    assert heat.celsius == 61.5
    assert heat.mhz == 600
    assert (
        heat.throttled == "under-voltage, throttled, under-voltage since boot, throttled since boot"
    )


def test_machine_without_sensors_knows_nothing(tmp_path: Path) -> None:
    """An empty /sys gives no figure and no all-clear."""
    assert read_heat(tmp_path) == Heat(None, "", readable=False, mhz=None)
    assert throttle_count(tmp_path) is None


def test_command_refuses_a_camera_that_is_not_there(tmp_path: Path) -> None:
    """The sentence names the cameras that are."""
    config = tmp_path / "lineside.toml"
    config.write_text("[cameras.cam1]\n")
    parser = argparse.ArgumentParser()
    commission.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(["bench", "--config", str(config), "--camera", "cam9"])

    with pytest.raises(ConfigError, match="there are: cam1"):
        arguments.run(arguments)
