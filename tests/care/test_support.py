"""The support bundle helps, and has no secret of the device in it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from running import Command, free_port

from edge_app.access import Access
from edge_app.audit import Audit
from edge_app.care.scrub import Scrub
from edge_app.care.support import MAX_BYTES, MAX_TEXT_BYTES, write_bundle
from edge_app.secret import redacted

SECRETS = (
    "planted-in-address",
    "planted@in/file:%",
    "planted-in-log-address",
    "planted-in-environment",
    "planted-token-in-log",
    "planted-setup-token",
    "planted-in-header",
    "planted-long-password",
)


def members(path: Path) -> dict[str, bytes]:
    """What is in an archive."""
    with tarfile.open(path) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


@pytest.fixture
def planted(data: Path, tmp_path: Path) -> list[str]:
    """A device with secrets everywhere; all of them, and those that it made itself."""
    secret = tmp_path / "secret"
    secret.write_text("eve:planted@in/file:%\n")
    (data / "lineside.toml").write_text(
        f"[app]\nport = {free_port()}\n"
        '[cameras.cam1]\nsource = "rtsp://eve:planted-in-address@127.0.0.1:1/live"\nplc = "off"\n'
        f'[cameras.cam2]\nsource = "rtsp://127.0.0.1:1/live"\ncredentials = "{secret}"\n'
        f"plc = 'off'\n"
    )
    access = Access(data)
    access.save_person("ann", "admin", "planted-long-password")
    _, token = access.add_token("mes", "operator")
    key = access.session_key()
    kept = json.loads((data / "access.json").read_bytes())
    (data / "logs").mkdir()
    (data / "logs" / "app.log").write_text(
        "rtsp://adam:planted-in-log-address@10.0.0.1/ lost\n"
        f"GET /?token=planted-token-in-log {token}\n"
        "make the first administrator at /login with planted-setup-token\n"
        "Authorization: Bearer planted-in-header\n"
        f"session_key {key}, eve:planted@in/file:%, planted%40in%2Ffile%3A%25\n"
        "a fact that helps\n"
    )
    Audit(data).write("ann", "token.add", "token/mes", None, {"token": token})
    hashes = [kept["people"]["ann"]["hash"], *(t["sha256"] for t in kept["tokens"].values())]
    return [*SECRETS, "planted%40in%2Ffile%3A%25", token, key, *hashes]


def test_no_secret_is_in_the_bundle(
    data: Path, tmp_path: Path, planted: list[str], lineside: Command
) -> None:
    """Passwords, tokens, hashes and keys are nowhere in it; what helps is."""
    file = tmp_path / "bundle.tar.gz"
    done = lineside(
        "support-bundle", "-o", file, "--data", data, PLANT_CREDENTIAL="planted-in-environment"
    )
    found = members(file)

    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    everything = b"\n".join([*found.values(), *(name.encode() for name in found)]).decode()
    assert [word for word in planted if word in everything + done.stdout] == []
    assert "a fact that helps" in found["logs/app.log"].decode()
    assert 'source = "rtsp://***@127.0.0.1:1/live"' in found["settings.toml"].decode()
    assert json.loads(found["models.json"])[0]["name"] == "flange"
    checked = {e["about"]: e["state"] for e in json.loads(found["check.json"])}
    assert checked["camera cam1"] == checked["camera cam2"] == "fault"
    assert json.loads(found["versions.json"])["runtimes"]
    assert json.loads(found["audit.json"])[0]["who"] == "ann"
    assert "jobs/001.toml" in found
    assert not [name for name in found if name.endswith(".jpg") or name.startswith("not-gathered")]


def test_pictures_only_when_they_are_asked_for(
    data: Path, tmp_path: Path, lineside: Command
) -> None:
    """With --pictures the newest are in it."""
    (data / "images" / "cam1").mkdir(parents=True)
    (data / "images" / "cam1" / "7.jpg").write_bytes(b"a picture")
    file = tmp_path / "bundle.tar.gz"

    lineside("support-bundle", "-o", file, "--data", data, "--pictures")

    assert members(file)["pictures/cam1/7.jpg"] == b"a picture"


def test_wrong_settings_are_bundled_too(data: Path, tmp_path: Path, lineside: Command) -> None:
    """A device whose settings are wrong still gives a bundle, with the wrong file in it."""
    (data / "lineside.toml").write_text("[app]\nprt = 1\npassword = 'planted'\n")
    file = tmp_path / "bundle.tar.gz"

    done = lineside("support-bundle", "-o", file, "--data", data)
    found = members(file)

    assert done.returncode == 0, done.stderr
    assert "line 2: unknown setting 'prt'" in found["check.txt"].decode()
    assert found["settings-wrong.toml"] == b"[app]\nprt = 1\npassword = '***'\n"


def test_it_is_bounded(tmp_path: Path) -> None:
    """A log without end leaves its newest part; what goes beyond the whole's bound is left out."""
    path = tmp_path / "bundle.tar.gz"
    parts = [("log.txt", "old\n" * 1_000_000 + "newest\n"), ("big", bytes(MAX_BYTES)), ("b", b"1")]
    with path.open("wb") as stream:
        write_bundle(stream, Scrub([]), iter(parts))
    found = members(path)

    assert set(found) == {"log.txt", "b"}
    assert len(found["log.txt"]) < MAX_TEXT_BYTES + 100
    assert found["log.txt"].endswith(b"newest\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://a:p@ss@10.0.0.1/x", "rtsp://***@10.0.0.1/x"),
        ('{"token": "abc", "n": 1}', '{"token": "***", "n": 1}'),
        ("password = 'x y' # z", "password = '***' # z"),
        ("?key=abc&job=1", "?key=***&job=1"),
        ("ls_0123abcd_Ab-9_x", "***"),
        ("Authorization: Bearer abcdefghij", "Authorization: Bearer ***"),
        ("http://10.0.0.1/x answers with text/html", "http://10.0.0.1/x answers with text/html"),
        ("the camera wants Basic authentication", "the camera wants Basic authentication"),
    ],
)
def test_what_looks_like_a_secret_is_blotted_out(text: str, shown: str) -> None:
    """By its shape alone, and nothing else is."""
    assert redacted(text) == shown
