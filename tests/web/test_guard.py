"""Who may do what: for every route, for every role, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from device import Device, picture
from flask.testing import FlaskClient

from edge_app.access import ROLES, Access
from edge_app.config import AppSettings
from edge_app.web.limiter import Guesses, Limiter
from edge_app.web.roles import LEAST_ROLE, NEEDS, OPEN, Need, need_of

PASSWORD = "correct horse"  # noqa: S105 - of nobody
VALUES = {
    "inspection_id": 1,
    "name": "nobody",
    "model": "nobody",
    "number": 1,
    "version": 1,
    "key": "none",
    "filename": "none.js",
}
LEVELS = ("", *ROLES)


def closed(data_dir: Path, **settings: Any) -> Device:
    """A device on which nobody may do anything without a login."""
    device = Device(
        data_dir, AppSettings(**{"deadline_ms": 5000, "open_access": "none"} | settings)
    )
    device.install()
    return device.start()


@pytest.fixture
def locked(data_dir: Path) -> Iterator[Device]:
    """Locked, with a person of each role."""
    device = closed(data_dir)
    device.access.set_up(device.access.setup_token(), "admin", PASSWORD)
    yield device
    device.stop()


def tokens(device: Device) -> dict[str, dict[str, str]]:
    """Headers of somebody of each role."""
    headers: dict[str, dict[str, str]] = {"": {}}
    for role in ROLES:
        _, token = device.access.add_token(role, role)
        headers[role] = {"Authorization": f"Bearer {token}"}
    return headers


def log_in(device: Device, password: str = PASSWORD, name: str = "admin") -> FlaskClient:
    """A browser with a session."""
    client = device.client
    reply = client.post("/api/v1/session", json={"name": name, "password": password})
    assert reply.status_code == 200, reply.get_json()
    return client


def test_every_route_has_its_entry(device: Device) -> None:
    """A route that nobody thought about is a fault, and so is an entry without a route."""
    endpoints = {rule.endpoint for rule in device.app.url_map.iter_rules()}

    assert [endpoint for endpoint in sorted(endpoints) if need_of(endpoint) is None] == []
    assert sorted(NEEDS.keys() - endpoints) == []


def test_each_role_may_do_what_the_table_says(locked: Device) -> None:
    """For every route and role: let through, or refused before anything happens."""
    headers = tokens(locked)
    wrong = []
    for rule in locked.app.url_map.iter_rules():
        method = next(m for m in rule.methods or () if m not in ("HEAD", "OPTIONS"))
        path = rule.build({key: VALUES[key] for key in rule.arguments})
        assert path is not None
        need = need_of(rule.endpoint) or "admin"
        for role in LEVELS:
            reply = locked.client.open(path[1], method=method, headers=headers[role])
            may = need == "nothing" or (
                role != "" and ROLES.index(role) >= ROLES.index(LEAST_ROLE[need])
            )
            if may == (reply.status_code in (401, 403) and need != "nothing"):
                wrong.append((rule.rule, method, role, reply.status_code))

    assert wrong == []


@pytest.mark.parametrize("open_access", OPEN)
def test_open_access_opens_what_it_says(data_dir: Path, open_access: str) -> None:
    """Without a login: nothing, looking, judging, operating or everything."""
    device = closed(data_dir, open_access=open_access)
    allowed: tuple[Need, ...] = OPEN[open_access]
    calls: dict[Need, tuple[str, str]] = {
        "read": ("GET", "/api/v1/status"),
        "predict": ("POST", "/predict"),
        "operate": ("POST", "/api/v1/inspections/1/reviews"),
        "engineer": ("PUT", "/api/v1/jobs/1"),
        "admin": ("GET", "/api/v1/people"),
    }

    for need, (method, path) in calls.items():
        reply = device.client.open(path, method=method, data=b"")
        assert (reply.status_code == 401) == (need not in allowed), need
    assert device.client.get("/health").status_code == 200
    device.stop()


def test_by_default_everybody_may_look_and_judge(data_dir: Path) -> None:
    """A fresh device is useful at once, and changes nothing for strangers."""
    device = Device(data_dir, AppSettings()).start()
    device.install()

    assert device.client.get("/api/v1/inspections").status_code == 200
    judged = device.client.post("/predict", data=picture(), headers={"X-Deadline-Ms": "5000"})
    assert judged.status_code == 200
    assert device.client.put("/api/v1/jobs/1", json={}).status_code == 401
    device.stop()


def test_the_setup_token_makes_one_administrator(data_dir: Path) -> None:
    """Once; a wrong token makes none."""
    device = closed(data_dir)
    token = device.access.setup_token()
    someone = {"name": "eva", "password": PASSWORD}

    wrong = device.client.post("/api/v1/setup", json=someone | {"token": "x"})
    first = device.client.post("/api/v1/setup", json=someone | {"token": token})
    again = device.client.post("/api/v1/setup", json={**someone, "name": "bob", "token": token})

    assert [reply.status_code for reply in (wrong, first, again)] == [400, 201, 400]
    assert device.access.people() == [{"name": "eva", "role": "admin"}]
    assert device.access.setup_token() == ""
    device.stop()


def test_a_session_lasts_until_it_is_ended(locked: Device) -> None:
    """After logging out its cookie is worth nothing, even to who kept it."""
    client = log_in(locked)
    cookie = client.get_cookie("lineside_session")
    assert cookie is not None
    assert client.get("/api/v1/people").status_code == 200

    client.delete("/api/v1/session")

    assert client.get("/api/v1/people").status_code == 401
    client.set_cookie("lineside_session", cookie.value)
    assert client.get("/api/v1/people").status_code == 401


def test_the_cookie_is_for_this_page_alone(locked: Device) -> None:
    """No script reads it, no other site sends it."""
    reply = locked.client.post("/api/v1/session", json={"name": "admin", "password": PASSWORD})

    cookie = reply.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_a_new_password_ends_old_sessions(locked: Device) -> None:
    """Whoever knew the old one is out."""
    client = log_in(locked)
    locked.access.save_person("admin", "admin", "another horse")

    assert client.get("/api/v1/people").status_code == 401
    assert log_in(locked, "another horse").get("/api/v1/people").status_code == 200


def test_a_session_follows_its_persons_role(locked: Device) -> None:
    """Who was made a viewer may do no more than that, at once."""
    locked.access.save_person("bob", "engineer", PASSWORD)
    client = log_in(locked, name="bob")
    assert client.put("/api/v1/jobs/1", json={}).status_code == 400

    locked.access.save_person("bob", "viewer", None)

    assert client.put("/api/v1/jobs/1", json={}).status_code == 403


@pytest.mark.parametrize(
    "cookie", ["", "x", "WyJhZG1pbiIsMV0.x.y", "WyJhZG1pbiIsMV0.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb"]
)
def test_a_made_up_session_is_nobodys(locked: Device, cookie: str) -> None:
    """Only what this device signed counts."""
    client = locked.client
    client.set_cookie("lineside_session", cookie)

    assert client.get("/api/v1/status").status_code == 401


@pytest.mark.parametrize("token", ["", "x", "ls_", "ls_0_0", "ls_00000000_" + "A" * 32])
def test_a_made_up_token_is_refused(locked: Device, token: str) -> None:
    """401, and not taken for somebody without any."""
    reply = locked.client.get("/health", headers={"Authorization": f"Bearer {token}"})

    assert reply.status_code == 401


def test_a_removed_token_is_refused(locked: Device) -> None:
    """At once."""
    key, token = locked.access.add_token("mes", "viewer")
    headers = {"Authorization": f"Bearer {token}"}
    assert locked.client.get("/api/v1/status", headers=headers).status_code == 200

    locked.access.remove_token(key)

    assert locked.client.get("/api/v1/status", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_site_does_nothing(locked: Device, headers: dict[str, str]) -> None:
    """Neither with a session, nor with open access."""
    client = log_in(locked)

    reply = client.put("/api/v1/people/bob", json={"role": "admin"}, headers=headers)

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (403, "foreign_origin")


def test_our_own_page_does(locked: Device) -> None:
    """Its origin is this host."""
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    body = {"role": "viewer", "password": PASSWORD}

    reply = log_in(locked).put("/api/v1/people/bob", json=body, headers=headers)

    assert reply.status_code == 201


def test_a_token_needs_no_origin(locked: Device) -> None:
    """No browser sends one by itself."""
    headers = tokens(locked)["engineer"] | {"Origin": "https://mes.example"}

    assert locked.client.put("/api/v1/jobs/1", json={}, headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("192.0.2.7", 200),
        ("[2001:db8::1]:8080", 200),
        ("vision7", 200),
        ("vision7.local", 200),
        ("vision.example.com", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ],
)
def test_a_foreign_name_does_not_lead_here(data_dir: Path, host: str, status: int) -> None:
    """A page that points its own name at this device can't read it (DNS rebinding)."""
    device = closed(data_dir, hosts="vision.example.com")

    assert device.client.get("/health", headers={"Host": host}).status_code == status
    device.stop()


def test_other_origins_read_only_if_they_are_listed(data_dir: Path) -> None:
    """CORS for the list and for nobody else."""
    device = closed(data_dir, cors_origins="https://mes.example")

    listed = device.client.options("/predict", headers={"Origin": "https://mes.example"})
    other = device.client.options("/predict", headers={"Origin": "https://evil.example"})

    assert listed.headers["Access-Control-Allow-Origin"] == "https://mes.example"
    assert "Authorization" in listed.headers["Access-Control-Allow-Headers"]
    assert "X-Request-Id" in listed.headers["Access-Control-Allow-Headers"]
    assert listed.headers["Access-Control-Expose-Headers"] == "X-Request-Id"
    assert "Access-Control-Allow-Origin" not in other.headers
    device.stop()


def test_every_answer_has_its_headers(device: Device) -> None:
    """Pages, API and errors alike."""
    for path in ("/", "/health", "/nowhere"):
        headers = device.client.get(path).headers
        assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_guessing_becomes_slow(locked: Device) -> None:
    """After five wrong passwords even the right one has to wait."""
    wrong = {"name": "admin", "password": "wrong"}
    replies = [locked.client.post("/api/v1/session", json=wrong).status_code for _ in range(6)]

    right = locked.client.post("/api/v1/session", json={"name": "admin", "password": PASSWORD})

    assert replies[:5] == [401] * 5
    assert replies[5] == 429
    assert right.status_code == 429


def test_each_wrong_guess_costs_more() -> None:
    """The wait doubles."""
    guesses = Guesses()
    for _ in range(8):
        guesses.wrong("eva")

    with pytest.raises(Exception, match=r"try again in [78] s"):
        guesses.check("eva")
    guesses.check("bob")
    guesses.right("eva")
    guesses.check("eva")


def test_one_client_can_not_ask_without_end() -> None:
    """Its bucket runs empty; the others' and this device's own don't."""
    limiter = Limiter(rate_hz=5)

    for _ in range(10):
        limiter.check("192.0.2.1")
    with pytest.raises(Exception, match="at most 5 a second"):
        limiter.check("192.0.2.1")
    limiter.check("192.0.2.2")
    for _ in range(50):
        limiter.check("127.0.0.1")


def test_changes_of_access_are_written_down(locked: Device) -> None:
    """Who gave whom what, and never a secret."""
    client = log_in(locked)
    client.put("/api/v1/people/bob", json={"role": "viewer", "password": PASSWORD})
    made = client.post("/api/v1/tokens", json={"name": "mes", "role": "operator"}).get_json()
    client.delete(f"/api/v1/tokens/{made['id']}")
    client.delete("/api/v1/people/bob")

    reply = client.get("/api/v1/audit")

    entries = reply.get_json()["entries"]
    assert len(entries) == 4
    assert {"admin"} == {entry["who"] for entry in entries}
    assert PASSWORD not in reply.text
    assert made["token"] not in reply.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/people/bob", {"role": "king", "password": PASSWORD}),
        ("PUT", "/people/bob", {"role": "viewer", "password": "short"}),
        ("PUT", "/people/bob", {"role": "viewer"}),
        ("PUT", "/people/b%20b", {"role": "viewer", "password": PASSWORD}),
        ("PUT", "/people/admin", {"role": "viewer"}),
        ("DELETE", "/people/admin", None),
        ("DELETE", "/people/nobody", None),
        ("POST", "/tokens", {"name": "", "role": "viewer"}),
        ("POST", "/tokens", {"name": "x", "role": ""}),
        ("DELETE", "/tokens/none", None),
    ],
)
def test_a_change_of_access_that_is_none_is_refused(
    locked: Device, method: str, path: str, body: Any
) -> None:
    """The last admin stays, passwords are long enough, names are names."""
    reply = log_in(locked).open(f"/api/v1{path}", method=method, json=body)

    assert (reply.status_code, reply.get_json()["error"]["code"]) == (409, "refused")


def test_secrets_can_not_be_read_back(locked: Device) -> None:
    """The file holds hashes, and only the service may read it."""
    _, token = locked.access.add_token("mes", "viewer")
    path = locked.data_dir / "access.json"

    assert PASSWORD not in path.read_text()
    assert token.split("_", 2)[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_two_programs_share_the_file(locked: Device) -> None:
    """What the command line changes holds in the running app at once."""
    Access(locked.data_dir).save_person("bob", "viewer", PASSWORD)

    assert log_in(locked, name="bob").get("/api/v1/status").status_code == 200


def test_a_person_without_scripts_logs_in(locked: Device) -> None:
    """The form leads back to where they were, and nowhere else."""
    client = locked.client
    there = client.get("/records", headers={"Accept": "text/html"})
    form = {"name": "admin", "password": PASSWORD, "to": "/records"}

    entered = client.post("/login", data=form)
    elsewhere = client.post("/login", data=form | {"to": "//evil.example"})

    assert there.headers["Location"] == "/login?to=/records"
    assert "password" in client.get("/login").text
    assert entered.headers["Location"] == "/records"
    assert elsewhere.headers["Location"] == "/"
    assert client.get("/records").status_code == 200
