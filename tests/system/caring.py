"""Facts of a device that is looked after: checked, backed up and restored."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from probe import APP, BACK_WITHIN_S, DATA, LINE, SETTINGS, answers, journal, run, shown, until

BACKUP = Path("/root/backup.tar.gz")
UNITS = ("lineside.target", "lineside-app.socket", APP, LINE)
ELSEWHERE = {"clock", "memory", "heat", "disk speed"}
"""What this machine is like is no matter of the installation."""

PROMISE = """
import pathlib, sys
from edge_app.care.restore import prepare
with open(sys.argv[1], "rb") as stream:
    prepare(stream, pathlib.Path(sys.argv[2]), "test", settings=True)
"""


def check() -> dict[str, dict[str, str]]:
    """What `lineside check` finds, by what it is about."""
    said = subprocess.run(
        ["lineside", "check", "--json"], capture_output=True, text=True, check=False
    )
    assert said.returncode in (0, 3), said.stdout + said.stderr
    return {entry["about"]: entry for entry in json.loads(said.stdout)["findings"]}


def a_new_device_is_well() -> str:
    """`lineside check` finds nothing but good in what was installed; also the programs' user."""
    found = check()
    wrong = [
        entry for about, entry in found.items() if entry["state"] != "ok" and about not in ELSEWHERE
    ]
    assert not wrong, wrong
    for about in ("settings", "services", "camera cam1", "line cam1", "jobs", "credentials"):
        assert about in found, sorted(found)
    said = run("runuser", "-u", "lineside", "--", "lineside", "check", check=False)
    assert "fault" not in said, said
    return ", ".join(f"{about}: {found[about]['text']}" for about in ("services", "disk speed"))


def a_fault_is_named() -> str:
    """A line that is stopped and a wrong setting are faults, with what to do."""
    run("systemctl", "stop", LINE)
    said = run("lineside", "check", check=False)
    run("systemctl", "start", LINE)
    assert f"systemctl start {LINE}" in said, said
    good = SETTINGS.read_text(encoding="utf-8")
    SETTINGS.write_text(good + "\nno_such_setting = 1\n", encoding="utf-8")
    wrong = run("lineside", "check", check=False)
    SETTINGS.write_text(good, encoding="utf-8")
    assert f"lineside.toml, line {len(good.splitlines()) + 2}: unknown setting" in wrong, wrong
    until(answers, BACK_WITHIN_S)
    return wrong.splitlines()[0].split(";")[0]


def a_support_bundle_has_no_secret() -> str:
    """Journal, units and check are in it; a credential, the setup token and hashes are not."""
    secret = Path("/etc/lineside/credentials/probe")
    secret.write_text("eve:planted-credential\n", encoding="ascii")
    run("systemd-cat", "-t", "probe", "echo", "nothing of ours")
    token = next(
        str(e["MESSAGE"]).split()[-1] for e in journal("-u", APP) if "first admin" in str(e)
    )
    said = run("lineside", "support-bundle", "-o", "/root/bundle.tar.gz")
    secret.unlink()
    with tarfile.open("/root/bundle.tar.gz") as archive:
        found = {
            entry.name: (archive.extractfile(entry) or io.BytesIO()).read() for entry in archive
        }
    everything = b"\n".join(found.values())
    assert b"planted-credential" not in everything
    assert token.encode() not in everything
    assert b"first administrator at /login with ***" in found["journal.txt"], found["journal.txt"]
    assert b"lineside-camera@cam1.service" in found["services.txt"]
    assert b"fault " not in found["check.txt"], found["check.txt"]
    assert Path("/root/bundle.tar.gz").owner() == "root"
    return f"{said.strip()}, {len(found)} files"


def a_backup_comes_back() -> str:
    """Made by root while the line works, put in place by root, and all of it the programs' own."""
    made = run("lineside", "backup", str(BACKUP), "--records")
    assert BACKUP.stat().st_mode & 0o777 == 0o600
    refused = run("lineside", "restore", str(BACKUP), check=False)
    assert "stop them first" in refused, refused
    run("systemctl", "stop", "lineside.target", "lineside-app.socket")
    SETTINGS.unlink()  # as on a device that takes another's place
    run("lineside", "restore", str(BACKUP))
    run("systemctl", "start", "lineside.target")
    until(answers, BACK_WITHIN_S)
    return made.strip() + owned()


def a_restore_that_was_cut_off_is_completed() -> str:
    """With the promise made and the power gone, the next start of the units keeps it."""
    SETTINGS.write_text(SETTINGS.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    run("systemctl", "stop", "lineside.target", "lineside-app.socket")
    python = "/opt/lineside/current/bin/python"
    copy = Path("/tmp/backup.tar.gz")  # noqa: S108 - a container of our own
    copy.write_bytes(BACKUP.read_bytes())
    run("runuser", "-u", "lineside", "--", python, "-I", "-c", PROMISE, str(copy), str(DATA))
    assert (DATA / ".restore/ready").exists()
    run("systemctl", "start", "lineside.target")
    until(answers, BACK_WITHIN_S)
    # The app may be up a moment later than the line.
    until(all_active, BACK_WITHIN_S)
    return owned().strip()


def all_active() -> bool:
    """Whether systemd holds every unit for running."""
    return all(shown(unit, "ActiveState") == "active" for unit in UNITS)


def owned() -> str:
    """Nothing of a restore is left, settings are the backup's, data the programs'."""
    assert not (DATA / ".restore").exists()
    assert "# changed" not in SETTINGS.read_text(encoding="utf-8")
    assert (SETTINGS.owner(), SETTINGS.group()) == ("root", "lineside")
    assert SETTINGS.stat().st_mode & 0o777 == 0o640
    owners = []
    for path in DATA.rglob("*"):
        # The programs run: a file of theirs may go while it is looked at.
        with contextlib.suppress(FileNotFoundError):
            owners.append((path.owner(), str(path)))
    strangers = [entry for entry in owners if entry[0] != "lineside"]
    assert not strangers, strangers
    return f"; {len(owners)} entries, all of lineside"
