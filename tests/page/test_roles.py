"""What the page offers to whom, from the first start on."""

from __future__ import annotations

from typing import Any

import pytest
from device import until
from window import Looker, Station

from edge_app.config import AppSettings
from edge_app.inference.judge import Decision
from edge_app.jobs import Job, JobStore
from edge_app.web.page import allowed
from edge_app.web.person import Person

pytestmark = pytest.mark.slow  # a real browser

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
expect = sync_api.expect

PASSWORD = "a long enough one"  # noqa: S105 - of people that exist for one test
OFFERS = {
    "viewer": [],
    "operator": ["Trigger", "New shift"],
    "engineer": ["Trigger", "New shift"],
    "admin": ["Trigger", "New shift"],
}


@pytest.fixture
def settings() -> AppSettings:
    """Everybody may look, nobody unknown may do anything."""
    return AppSettings(port=0, open_access="read")


def add_person(station: Station, name: str, role: str) -> None:
    """Somebody of a role, beside the administrator whom there must be."""
    station.device.access.save_person("root", "admin", PASSWORD)
    station.device.access.save_person(name, role, PASSWORD)


def log_in(looker: Looker, name: str, to: str = "/") -> Any:
    """Go through the login's form."""
    page = looker.open(f"/login?to={to}")
    page.locator("[name=name]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("form button").click()
    # The view's buttons do something as soon as its modules ran, which is before `load`.
    page.wait_for_url(lambda url: "/login" not in url, wait_until="load")
    return page


@pytest.mark.parametrize("role", list(OFFERS))
def test_the_line_view_offers_what_a_role_may(look: Any, station: Station, role: str) -> None:
    """A button that would be refused is not there; what may be done is."""
    add_person(station, "erna", role)
    page = log_in(look(), "erna")

    expect(page.locator(".person-name")).to_have_text("erna")
    for name in ("Trigger", "New shift"):
        expect(page.get_by_role("button", name=name)).to_have_count(int(name in OFFERS[role]))


def test_nobody_unknown_is_offered_anything(look: Any, station: Station) -> None:
    """Without a login a person looks, and finds the way in."""
    station.line.part(Decision.OK)
    page = look().open()

    expect(page.locator("#verdict-word")).to_have_text("OK")
    expect(page.locator("#trigger")).to_have_count(0)
    expect(page.locator("#drop")).to_have_count(0)
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def test_the_first_start_makes_an_administrator(look: Any, station: Station) -> None:
    """With the token of the log the first person becomes administrator and adds others."""
    looker = look()
    page = looker.open("/login")
    page.locator("[name=token]").fill(station.device.access.setup_token())
    page.locator("[name=name]").fill("ada")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("form button").click()
    expect(page.locator(".person-name")).to_have_text("ada")

    page.goto(f"{station.url}/system")
    page.get_by_label("Name", exact=True).fill("otto")
    page.get_by_label("Password, at least 10 characters").fill(PASSWORD)
    page.get_by_role("button", name="Add or change").click()

    access = station.device.access
    until(lambda: access.person("otto"))
    assert access.people() == [
        {"name": "ada", "role": "admin"},
        {"name": "otto", "role": "operator"},
    ]
    expect(page.locator("#changes")).to_be_visible()


def test_a_person_logs_out(look: Any, station: Station) -> None:
    """After that the page offers nothing that needs a role."""
    add_person(station, "erna", "operator")
    page = log_in(look(), "erna")
    page.locator(".person summary").click()
    page.get_by_role("button", name="Log out").click()

    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    expect(page.locator("#trigger")).to_have_count(0)


def test_a_viewer_reads_jobs_but_saves_none(look: Any, station: Station) -> None:
    """The job view is read-only for who may not change jobs."""
    JobStore(station.device.data_dir / "jobs").save(Job(1, "Colours", "colours"))
    page = look().open("/jobs")

    expect(page.get_by_label("OK from")).to_be_disabled()
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    expect(page.get_by_role("button", name="New job")).to_be_hidden()


@pytest.mark.parametrize(
    ("role", "open_access", "needs"),
    [
        ("", "none", []),
        ("viewer", "read", ["read"]),
        ("viewer", "predict", ["read", "predict"]),
        ("operator", "none", ["read", "predict", "operate"]),
        ("engineer", "read", ["read", "predict", "operate", "engineer"]),
        ("", "all", ["read", "predict", "operate", "engineer", "admin"]),
    ],
)
def test_open_access_and_role_add_up(role: str, open_access: str, needs: list[str]) -> None:
    """What everybody may and what a role may are offered together."""
    assert allowed(Person("erna", role), open_access) == needs
