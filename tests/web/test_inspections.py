"""The records over HTTP: pages, filters, pictures, reviews, exports."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import tracemalloc
from typing import Any

import pytest
from device import Device, picture, until

from edge_app.inference.judge import Code, Decision
from edge_app.records import schema
from edge_app.records.database import Database
from edge_app.records.inspection import Inspection

API = "/api/v1/inspections"


def fill(device: Device, count: int = 30) -> None:
    """Inspections of two cameras and two jobs, one a second."""
    database = Database(device.database_path)
    database.add(
        Inspection(
            id=5000 + number,
            camera=f"cam{number % 2 + 1}",
            source="plc",
            part=f"P{number % 5}",
            job=number % 3 + 1,
            decision=list(Decision)[number % 4],
            code=Code.FINE,
            label="good" if number % 4 == 0 else "scratch",
            captured_at=1000.0 + number,
        )
        for number in range(count)
    )
    database.close()


def ids(device: Device, query: str = "") -> list[int]:
    """Ids of a page."""
    reply = device.client.get(f"{API}?{query}")
    assert reply.status_code == 200, reply.get_json()
    return [entry["id"] - 5000 for entry in reply.get_json()["inspections"]]


def upload(device: Device, **query: str) -> Any:
    """Judge a picture."""
    return device.client.post(API, data=picture(), query_string=query).get_json()


def test_the_newest_come_first(device: Device) -> None:
    """By the time of their exposure, whichever program recorded them."""
    fill(device)
    made = upload(device)
    device.record(made["id"])

    listed = device.client.get(f"{API}?limit=3").get_json()["inspections"]

    assert [made["id"], 5029, 5028] == [entry["id"] for entry in listed]


def test_pages_go_on_where_the_last_one_ended(device: Device) -> None:
    """Every record is on exactly one page, and the last page says so."""
    fill(device)
    found: list[int] = []
    before: int | None = None
    while True:
        query = f"limit=7&before_id={before}" if before else "limit=7"
        document = device.client.get(f"{API}?{query}").get_json()
        found += [entry["id"] for entry in document["inspections"]]
        before = document["next_before_id"]
        if before is None:
            break

    assert [5029 - place for place in range(30)] == found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("verdict=NG", [29, 25, 21, 17, 13, 9, 5, 1]),
        ("camera=cam2&limit=3", [29, 27, 25]),
        ("part=P3", [28, 23, 18, 13, 8, 3]),
        ("job=2&verdict=OK", [28, 16, 4]),
        ("label=good&limit=2", [28, 24]),
        ("since=1027", [29, 28, 27]),
        ("until=1002", [1, 0]),
        ("since=1005&until=1007", [6, 5]),
        ("part=nobody", []),
    ],
)
def test_filters_hold_together(device: Device, query: str, expected: list[int]) -> None:
    """Each filter narrows the list, several do so at once."""
    fill(device)

    assert ids(device, query) == expected


@pytest.mark.parametrize(
    "query",
    [
        "verdict=GOOD",
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=00000000000000000000000000001",
        "before_id=0",
        "before_id=99999999999999999999",
        "since=yesterday",
        "since=nan",
        "until=1e300",
        "job=1000",
        "job=-1",
        "reviewed=maybe",
        "sort=id",
    ],
)
def test_a_filter_that_is_none_is_refused(device: Device, query: str) -> None:
    """A mistyped filter must not look like an empty record."""
    reply = device.client.get(f"{API}?{query}")

    assert reply.status_code == 400
    assert reply.get_json()["error"]["code"] in ("bad_filter", "unknown_filter")


def test_an_upload_becomes_a_record(device: Device) -> None:
    """201, and the record tells the same."""
    made = upload(device, part="AB12")

    record = until(lambda: (r := device.client.get(f"{API}/{made['id']}")).status_code == 200 and r)

    kept = record.get_json()
    assert (kept["part"], kept["verdict"], kept["label"]) == ("AB12", "OK", "red")
    assert kept["camera"] == "upload"
    assert kept["laps_ms"].keys() >= {"queue", "decode", "preprocess", "invoke"}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_comes_back_as_it_was_sent(device: Device, kind: str) -> None:
    """Bit for bit, with the type that its bytes say."""
    content = picture(kind=kind)
    made = device.client.post(API, data=content, content_type="image/jpeg").get_json()

    url = until(lambda: device.client.get(f"{API}/{made['id']}").get_json().get("image_url"))
    reply = until(lambda: (r := device.client.get(url)).status_code == 200 and r)

    assert reply.data == content
    assert reply.content_type == f"image/{kind.lower()}"


def test_a_picture_that_is_gone_is_not_found(device: Device) -> None:
    """The ring lets old pictures go; the record stays."""
    fill(device, 1)

    reply = device.client.get(f"{API}/5000/image")

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (404, "no_picture")


@pytest.mark.parametrize("path", ["/77", "/77/image", "/77/reviews", "/99999999999999999999999"])
def test_an_unknown_record_is_not_found(device: Device, path: str) -> None:
    """However large its number."""
    reply = device.client.get(API + path)

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (404, "unknown_inspection")


def test_a_review_stands_beside_the_verdict(device: Device) -> None:
    """What was decided stays; what people say is appended."""
    fill(device)
    url = f"{API}/5002/reviews"

    first = device.client.post(url, json={"verdict": "NG", "note": "scratch at the edge"})
    device.client.post(url, json={"verdict": "OK"})

    record = device.client.get(f"{API}/5002").get_json()
    assert first.status_code == 201
    assert record["verdict"] == "REVIEW"
    assert [review["verdict"] for review in record["reviews"]] == ["NG", "OK"]
    assert record["reviews"][0]["note"] == "scratch at the edge"
    assert record["reviews"][0]["by"] == "anonymous"


def test_what_waits_for_a_person_can_be_asked_for(device: Device) -> None:
    """REVIEW without a review: the list of a person's work."""
    fill(device)
    device.client.post(f"{API}/5010/reviews", json={"verdict": "OK"})

    assert ids(device, "verdict=REVIEW&reviewed=no") == [26, 22, 18, 14, 6, 2]
    assert ids(device, "reviewed=yes") == [10]


@pytest.mark.parametrize(
    "review", [{}, {"verdict": "REVIEW"}, {"verdict": "OK", "note": 7}, {"verdict": ["OK"]}]
)
def test_a_review_that_is_none_is_refused(device: Device, review: dict[str, Any]) -> None:
    """A person says OK or NG."""
    fill(device)

    reply = device.client.post(f"{API}/5002/reviews", json=review)

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (400, "bad_review")


def test_the_export_is_a_table(device: Device) -> None:
    """CSV with a head, filtered like the list."""
    fill(device)

    reply = device.client.get("/api/v1/export.csv?camera=cam1")

    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert len(rows) == 15
    assert (rows[0]["id"], rows[0]["verdict"]) == ("5028", "OK")
    assert "attachment" in reply.headers["Content-Disposition"]


def test_json_lines_hold_everything(device: Device) -> None:
    """One record a line, as the API shows it."""
    fill(device)

    lines = device.client.get("/api/v1/export.jsonl").text.splitlines()

    assert len(lines) == 30
    assert json.loads(lines[0])["id"] == 5029


def test_a_part_id_is_no_formula(device: Device) -> None:
    """A spreadsheet must not run what somebody sent as a part id."""
    made = upload(device, part="=1+1")
    device.record(made["id"])

    rows = list(csv.DictReader(io.StringIO(device.client.get("/api/v1/export.csv").text)))

    assert rows[0]["part"] == "'=1+1"


def test_exports_are_few_at_once(device: Device) -> None:
    """A third one is refused; one that its reader gave up frees its place."""
    fill(device)
    under_way = [device.client.get("/api/v1/export.csv", buffered=False) for _ in range(2)]

    refused = device.client.get("/api/v1/export.csv")
    for reply in under_way:
        reply.close()

    assert (refused.status_code, refused.get_json()["error"]["code"]) == (503, "busy")
    assert device.client.get("/api/v1/export.csv").status_code == 200


def test_counters_add_up(device: Device) -> None:
    """The uploads' four verdicts are their total."""
    upload(device)
    device.client.post(API, data=picture("blue"))

    life = device.client.get("/api/v1/counters").get_json()["uploads"]["life"]

    assert (life["ok"], life["ng"], life["total"]) == (1, 1, 2)


MILLION = """
WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000)
INSERT INTO inspections SELECT
    n, n, 'cam' || (n % 3), source, trigger, 'P' || (n % 1000), iif(n % 5000, n % 7 + 1, 99), model,
    iif(n % 100, 'OK', 'NG'), code, reason, label, label_index, score, scores, laps_ms, total_ms,
    late_decision, late_ms, warning, image, test, job_crc, request_id, findings
FROM numbers, inspections WHERE id = 1
"""


@pytest.mark.slow
def test_a_million_records_page_quickly(device: Device) -> None:
    """Any page of any filter comes in under 50 ms, and an export in little memory."""
    database = Database(device.database_path)
    database.add([Inspection(id=1, camera="cam1", source="plc", captured_at=1.0)])
    statements = schema.TABLES.split(";\n")
    with database.transaction() as connection:
        # Made at the end, indexes cost a tenth.
        for name in re.findall(r"INDEX IF NOT EXISTS (\w+)", schema.TABLES):
            connection.execute(f"DROP INDEX {name}")
        connection.execute(MILLION)
        for statement in statements:
            connection.execute(statement)
    database.close()
    queries = ["", "verdict=NG", "part=P77", "camera=cam1", "job=99", "verdict=REVIEW"]
    queries += ["before_id=500000", "verdict=NG&before_id=300000", "until=1000", "since=999990"]
    queries += ["verdict=NG&camera=cam2", "job=99&verdict=NG", "since=1000&until=2000"]
    queries += ["reviewed=no"]

    for query in queries:
        # The thread's own time: other work on this machine does not count.
        began = time.thread_time()
        assert device.client.get(f"{API}?{query}").status_code == 200
        assert time.thread_time() - began < 0.05, query

    tracemalloc.start()
    reply = device.client.get("/api/v1/export.csv?part=P77", buffered=False)
    size = sum(map(len, reply.response))
    reply.close()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 50_000
    assert peak_bytes < 5_000_000
