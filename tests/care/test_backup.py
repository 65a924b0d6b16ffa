"""A backup made while the programs run makes another device the twin of the first."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Command, running

from camera.plc.record import PlcDecision
from edge_app.access import Access
from edge_app.audit import Audit
from edge_app.care.backup import BackupError, write_backup
from edge_app.care.restore import finish, prepare
from edge_app.in_use import InUse, alone
from edge_app.jobs import Job, JobStore
from edge_app.models import ModelStore

DECIDED = (PlcDecision.OK, PlcDecision.NG, PlcDecision.REVIEW)


@pytest.fixture
def archive(data: Path) -> bytes:
    """A backup of the demo device, without records."""
    stream = io.BytesIO()
    write_backup(stream, data / "lineside.toml", data, "0.1.0", records=False)
    return stream.getvalue()


@pytest.mark.slow
def test_the_twin_judges(tmp_path: Path, lineside: Command) -> None:
    """Backed up at work with its records and restored elsewhere, a line starts and judges."""
    file, twin = tmp_path / "backup.tar.gz", tmp_path / "twin"
    with running(tmp_path / "data") as up:
        up.wait_for(lambda: up.line()["up"] and up.line()["status"]["ready"])
        Access(up.data_dir).save_person("ann", "admin", "a long password")
        former = Access(up.data_dir).session_key()
        first = up.fire("n=1&part=A1")
        up.wait_for(lambda: bool(up.get(f"/api/v1/inspections/{first.id}")))
        made = lineside("backup", file, "--records", "--data", up.data_dir)
        refused = lineside("restore", file, "--data", up.data_dir)

    done = lineside("restore", file, "--data", twin)
    with running(twin) as up:
        up.wait_for(lambda: up.line()["up"] and up.line()["status"]["ready"])
        record = up.fire("n=2")
        kept = json.loads(up.get(f"/api/v1/inspections/{first.id}"))

    assert (made.returncode, done.returncode) == (0, 0), made.stderr + done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    assert refused.returncode == 1
    assert "stop them first" in refused.stderr
    assert "flange/1 proved itself" in done.stdout
    assert record.decision in DECIDED
    assert record.id > first.id
    assert kept["part"] == "A1"
    assert Access(twin).check_password("ann", "a long password") is not None
    assert Access(twin).session_key() != former
    assert Audit(twin).latest()[0]["action"] == "device.restore"


def test_what_was_there_is_replaced_and_the_rest_stays(data: Path, archive: bytes) -> None:
    """Jobs and models are the backup's; pictures, records and kept settings are left alone."""
    JobStore(data / "jobs").save(Job(number=9, name="New", model="flange"))
    (data / "images").mkdir()
    settings = (data / "lineside.toml").read_bytes() + b"# mine\n"
    (data / "lineside.toml").write_bytes(settings)

    prepare(io.BytesIO(archive), data, "test", settings=False)
    assert finish(data, data / "lineside.toml")

    assert JobStore(data / "jobs").numbers() == [1]
    assert (data / "images").is_dir()
    assert (data / "lineside.toml").read_bytes() == settings
    assert str(ModelStore(data / "models").active("flange")) == "flange/1"
    assert not finish(data, data / "lineside.toml")


def test_settings_that_come_anew_are_for_the_programs_only(
    data: Path, archive: bytes, tmp_path: Path
) -> None:
    """A camera's password may stand in them; those that are replaced keep their mode."""
    old, new = data / "lineside.toml", tmp_path / "etc/lineside.toml"
    old.chmod(0o604)
    for config in (old, new):
        prepare(io.BytesIO(archive), data, "test", settings=True)
        assert finish(data, config)

    assert old.stat().st_mode & 0o777 == 0o604
    assert new.stat().st_mode & 0o777 == 0o640
    assert new.stat().st_gid == data.stat().st_gid


class PowerCut(Exception):  # noqa: N818 - it is one
    """The plug is pulled."""


def cut_at(number: int) -> Callable[[Path, Path], None]:
    """Renames, until the plug is pulled before the numbered one."""
    left = [number]

    def move(source: Path, target: Path) -> None:
        if left[0] == 0:
            raise PowerCut
        left[0] -= 1
        os.replace(source, target)  # noqa: PTH105 - as the code does

    return move


@pytest.mark.slow
def test_a_power_cut_at_any_rename_gives_the_new(data: Path, tmp_path: Path) -> None:
    """From the promise on: whichever rename is the last, the next start completes all of it."""
    shutil.copy(make_records(tmp_path / "new.db", following=5), data / "records.db")
    stream = io.BytesIO()
    write_backup(stream, data / "lineside.toml", data, "0.1.0", records=True)
    for number in range(10):
        device = Path(shutil.copytree(data, tmp_path / str(number), symlinks=True))
        JobStore(device / "jobs").save(Job(number=9, name="New", model="flange"))
        (device / "records.db-wal").write_bytes(b"of the old records")
        prepare(io.BytesIO(stream.getvalue()), device, "test", settings=True)
        try:
            finish(device, device / "lineside.toml", cut_at(number))
        except PowerCut:
            assert finish(device, device / "lineside.toml")
        else:
            assert number >= 6
        assert JobStore(device / "jobs").numbers() == [1]
        assert ModelStore(device / "models").active("flange") is not None
        assert not (device / "records.db-wal").exists()
        assert not (device / ".restore").exists()
        following = sqlite3.connect(device / "records.db").execute("SELECT next FROM ids")
        assert following.fetchone()[0] > 1_000_000


def make_records(path: Path, following: int) -> Path:
    """Records of a device whose next id is known."""
    from edge_app.records.database import Database

    database = Database(path)
    database.lease_ids(following - 1)
    database.close()
    return path


def test_before_the_promise_nothing_is_changed(data: Path, archive: bytes) -> None:
    """A cut while the archive is unpacked leaves the old device; the next restore tidies up."""
    (data / ".restore").mkdir()
    (data / ".restore" / "settings.toml").write_text("half of i")

    assert not finish(data, data / "lineside.toml")
    prepare(io.BytesIO(archive), data, "test", settings=True)
    assert finish(data, data / "lineside.toml")


def test_no_program_starts_between_old_and_new(
    data: Path, archive: bytes, lineside: Command
) -> None:
    """While a restore is promised, a line refuses to start and says what completes it."""
    prepare(io.BytesIO(archive), data, "test", settings=True)

    checked = lineside("check", "--data", data)
    line = subprocess.run(
        [sys.executable, "-m", "camera", "cam1", "--config", data / "lineside.toml"],
        env=os.environ | {"LINESIDE_DATA__DIR": str(data)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    finished = lineside("restore", "--finish", "--data", data)

    assert line.returncode == 1
    assert "lineside restore --finish" in line.stderr
    assert "lineside restore --finish" in checked.stdout
    assert finished.stdout == "the restore is complete\n"


def edited(archive: bytes, change: Callable[[dict[str, bytes]], object]) -> bytes:
    """The archive with other members; its manifest is not adapted."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as old:
        members = {entry.name: old.extractfile(entry).read() for entry in old}  # type: ignore[union-attr]
    change(members)
    return packed(members)


def packed(members: dict[str, bytes]) -> bytes:
    """An archive of these members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as new:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def linked(_: bytes) -> bytes:
    """An archive with a link out of the folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as new:
        entry = tarfile.TarInfo("settings.toml")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        new.addfile(entry)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda archive: archive[: len(archive) // 2], "damaged"),
        (lambda _: b"\x89PNG" + bytes(1000), "no Lineside backup"),
        (lambda _: b"", "no Lineside backup"),
        (lambda archive: edited(archive, lambda m: m.pop("manifest.json")), "no manifest"),
        (lambda archive: edited(archive, lambda m: m.pop("jobs/001.toml")), "jobs/001.toml"),
        (
            lambda archive: edited(archive, lambda m: m.update({"jobs/001.toml": b"name='x'"})),
            "jobs/001.toml",
        ),
        (lambda _: packed({"../../etc/passwd": b"x"}), "no Lineside backup does"),
        (lambda _: packed({"/etc/passwd": b"x"}), "no Lineside backup does"),
        (lambda _: packed({"models/../x/1.tflite": b"x"}), "no Lineside backup does"),
        (lambda _: packed({"settings.toml": bytes(9_000_000)}), "8000000 are taken"),
        (lambda _: packed({"manifest.json": b'{"format": "photos"}'}), "not that of"),
        (linked, "no Lineside backup does"),
    ],
)
def test_a_damaged_or_foreign_archive_changes_nothing(
    data: Path, archive: bytes, spoil: Callable[[bytes], bytes], said: str
) -> None:
    """Whatever comes, one sentence says why it is refused, and every file is as it was."""
    before = snapshot(data)

    with pytest.raises(BackupError, match=said):
        prepare(io.BytesIO(spoil(archive)), data, "test", settings=True)

    assert snapshot(data) == before


def test_a_model_that_fails_its_proof_is_refused(data: Path) -> None:
    """An archive that is whole, with a model that is none, changes nothing."""
    (data / "models" / "flange" / "1.tflite").write_bytes(b"no model" * 100)
    stream = io.BytesIO()
    write_backup(stream, data / "lineside.toml", data, "0.1.0", records=False)
    before = snapshot(data)

    with pytest.raises(BackupError, match="flange"):
        prepare(io.BytesIO(stream.getvalue()), data, "test", settings=True)

    assert snapshot(data) == before


def test_a_device_at_work_is_left_alone(data: Path, archive: bytes) -> None:
    """While a program works on the data, a restore is refused."""
    with alone(data), pytest.raises(InUse, match="stop them first"):
        prepare(io.BytesIO(archive), data, "test", settings=True)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".in-use"
    }
