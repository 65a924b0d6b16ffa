"""The page's documents and what they live off, without any browser."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from device import Device, until
from window import Station

from edge_app.inference.judge import Code, Decision
from edge_app.web.page import VIEWS, WORDS_PATH
from edge_app.web.panel import panel_view

STATIC = WORDS_PATH.parent
TEMPLATES = STATIC.parent / "templates"
WEIGHT_BYTES = 250_000
WORDS: dict[str, list[str]] = json.loads(WORDS_PATH.read_text(encoding="utf-8"))
PATHS = [*(path for _, path in VIEWS), "/records/1", "/panel"]


@pytest.fixture
def device(tmp_path: Path) -> Any:
    """A device with a camera that nobody answers for."""
    device = Device(tmp_path, cameras=("cam1",)).start()
    yield device
    device.stop()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_view_speaks_both_languages(device: Device, path: str, language: str) -> None:
    """A view renders in English and in Chinese, and says which."""
    reply = device.client.get(path, headers={"Accept-Language": language})

    assert reply.status_code == 200
    assert f'lang="{"zh-Hans" if language == "zh" else "en"}"' in reply.text


def test_every_text_stands_in_both_languages() -> None:
    """No text is missing, and both languages have the same holes to fill."""
    for key, texts in WORDS.items():
        assert len(texts) == 2, key
        assert all(texts), key
        english, chinese = (set(re.findall(r"\{\w+\}", text)) for text in texts)
        assert english == chinese, key


def test_every_code_has_its_words() -> None:
    """Each reason for no decision is told in both languages."""
    assert [code for code in Code if code and f"code.{int(code)}" not in WORDS] == []


def test_every_key_that_is_used_has_its_text() -> None:
    """Templates and scripts ask for no text that is not there."""
    for path in [*TEMPLATES.glob("*.html"), *STATIC.glob("*.js")]:
        used = re.findall(r"""\bt\(["']([\w.]+)["'][,)]""", path.read_text(encoding="utf-8"))
        assert [key for key in used if key not in WORDS] == [], path.name


@pytest.mark.parametrize("path", PATHS)
def test_no_view_holds_scripts_or_styles_of_its_own(device: Device, path: str) -> None:
    """A strict Content-Security-Policy has nothing to object to."""
    text = device.client.get(path).text

    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    for script in re.findall(r"<script([^>]*)>", text):
        assert 'src="/static/' in script


def test_nothing_is_fetched_from_elsewhere() -> None:
    """No file of the page names another host."""
    namespaces = ("http://www.w3.org/2000/svg",)
    for path in [*TEMPLATES.glob("*"), *STATIC.glob("*")]:
        found = re.findall(r"https?://[^\s\"'`<>)]+", path.read_text(encoding="utf-8"))
        assert [url for url in found if url not in namespaces] == [], path.name


def test_the_whole_page_is_light() -> None:
    """All of it together, every view, weighs less than a quarter of a megabyte."""
    assert sum(path.stat().st_size for path in STATIC.iterdir()) < WEIGHT_BYTES


@pytest.mark.parametrize(
    ("to", "lands"),
    [
        ("/records", "/records"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example", "/"),
        ("/\\elsewhere.example", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
    ],
)
def test_the_switches_lead_nowhere_else(device: Device, to: str, lands: str) -> None:
    """A link that was made to lead away stays on the device."""
    reply = device.client.get("/page/look", query_string={"language": "zh", "to": to})

    assert reply.status_code == 303
    assert reply.headers["Location"] == lands


def test_unknown_languages_are_not_kept(device: Device) -> None:
    """A cookie is written for what is known only."""
    reply = device.client.get("/page/look?language=tlh&theme=pink")

    assert "Set-Cookie" not in reply.headers


def test_the_feed_gives_what_is_newer(station: Station) -> None:
    """A viewer that names the newest id it has gets only later ones."""
    first = station.line.part(Decision.OK)
    second = station.line.part(Decision.NG)
    client = station.device.client

    _until_told(station, second.id)
    found = client.get(f"/page/live?camera=cam1&after={first.id}").json

    assert [entry["id"] for entry in found["inspections"]] == [second.id]
    assert found["line"]["up"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("camera=cam9", 404), ("camera=cam1&after=-1", 400), ("camera=cam1&after=" + "9" * 40, 400)],
)
def test_the_feed_refuses_nonsense(device: Device, query: str, status: int) -> None:
    """An unknown camera and an id that is none are refused in the one error shape."""
    reply = device.client.get(f"/page/live?{query}")

    assert reply.status_code == status
    assert reply.json["error"]["message"]


def test_the_feed_outlives_its_records(device: Device) -> None:
    """With records that can't be read the line's state is told all the same."""
    device.database_path.unlink(missing_ok=True)
    device.database_path.with_name("records.db-wal").unlink(missing_ok=True)
    device.database_path.with_name("records.db-shm").unlink(missing_ok=True)
    device.database_path.mkdir()

    reply = device.client.get("/page/live?camera=cam1")

    assert reply.status_code == 200
    assert "can't be read" in reply.json["records"]


def test_many_viewers_cost_one_picture(station: Station) -> None:
    """The line is asked once for all who look within a fifth of a second."""
    asked = []
    answer = station.line.answer

    def counted(method: str, path: str, fields: dict[str, Any]) -> tuple[int, str, bytes]:
        asked.append(path)
        return answer(method, path, fields)

    station.line.answer = counted  # type: ignore[method-assign]  # the double's own seam
    threads = [threading.Thread(target=_look, args=(station,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert asked.count("/live.jpg") <= 2


def test_a_picture_that_did_not_change_is_not_sent_again(station: Station) -> None:
    """With the ETag of before the answer is 304 and empty."""
    client = station.device.client
    first = client.get("/page/cameras/cam1/live.jpg")
    again = client.get(
        "/page/cameras/cam1/live.jpg", headers={"If-None-Match": first.headers["ETag"]}
    )

    assert first.status_code == 200
    assert first.headers["Content-Length"] == str(len(first.data))
    assert again.status_code == 304
    assert again.data == b""


def test_no_picture_is_204(device: Device) -> None:
    """A line that gives no picture is no error of the page."""
    reply = device.client.get("/page/cameras/cam1/live.jpg")

    assert reply.status_code == 204


def test_the_panel_is_es5() -> None:
    """Old HMI browsers can read its script: none of the newer words and signs is in it."""
    script = (STATIC / "panel.js").read_text(encoding="utf-8")

    newer = r"\b(let|const|class|async|await|import|export|fetch|Promise|Map|Set|Symbol)\b"
    newer += r"|=>|`|\.\.\.|\bof\b|\?\.|\?\?|\*\*"
    newer += r"|\.(includes|startsWith|endsWith|padStart|repeat|find|remove|append)\("
    newer += r"|Object\.(assign|entries|values)"
    assert re.findall(newer, re.sub(r"/\*.*?\*/", "", script, flags=re.DOTALL)) == []


@pytest.mark.parametrize("verdict", ["OK", "NG", "REVIEW", "NONE"])
def test_the_panel_works_without_scripts(station: Station, verdict: str) -> None:
    """The verdict stands in the document itself, for browsers that only reload it."""
    part = station.line.part(Decision(verdict))
    _until_told(station, part.id)

    text = station.device.client.get("/panel").text

    assert f'data-verdict="{verdict}"' in text
    assert '<meta http-equiv="refresh"' in text


def test_a_panel_of_a_silent_line_shows_no_verdict() -> None:
    """What a line said before it fell silent is not shown."""
    line = {"up": False, "down_s": 3.0, "status": {"last": {"verdict": "OK"}}}

    view = panel_view({"line": line}, {"ago.plain": "{n}"}.__getitem__)

    assert (view.verdict, view.sign, view.why) == ("DOWN", "!", "3")


def _look(station: Station) -> None:
    assert station.device.client.get("/page/cameras/cam1/live.jpg").status_code == 200


def _until_told(station: Station, inspection_id: int) -> None:
    def told() -> bool:
        last = station.device.lines.state("cam1").to_json()["status"].get("last")
        return bool(last and last["id"] == inspection_id)

    until(told)
