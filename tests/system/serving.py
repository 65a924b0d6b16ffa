"""Facts of a device that was just installed: it serves, and it is closed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from probe import (
    APP,
    DATA,
    EXPOSURE,
    INSTALL,
    LINE,
    RECORD_BYTES,
    WHEELS,
    journal,
    main_pid,
    run,
    shown,
)


def it_installs_without_a_network() -> str:
    """One command makes a device of a bare Debian, with nothing but the wheelhouse."""
    said = run(INSTALL, "--offline", str(WHEELS))
    assert "version " in said, said
    assert "make the first administrator at /login" in said, said
    return said.strip().splitlines()[-1]


def the_units_are_sound() -> str:
    """Systemd knows every key, and every program is where its unit says."""
    names = ("lineside-app.service", "lineside-camera@.service", "lineside-app.socket")
    units = [f"/etc/systemd/system/{name}" for name in (*names, "lineside.target")]
    said = run("systemd-analyze", "verify", "--recursive-errors=no", *units)
    assert "nknown key" not in said, said
    return run("systemctl", "--version").splitlines()[0]


def the_target_is_up() -> str:
    """Both programs said READY, and both come back at the next boot."""
    for unit in ("lineside.target", "lineside-app.socket", APP, LINE):
        assert shown(unit, "ActiveState") == "active", run("systemctl", "status", unit, check=False)
    for unit in ("lineside.target", "lineside-app.socket", LINE):
        assert shown(unit, "UnitFileState") == "enabled", unit
    started = {}
    for unit in (APP, LINE):
        began = int(shown(unit, "ExecMainStartTimestampMonotonic"))
        ready = int(shown(unit, "ActiveEnterTimestampMonotonic"))
        started[unit] = (ready - began) / 1e6
    return ", ".join(f"{unit} READY after {took:.1f} s" for unit, took in started.items())


def the_app_is_healthy() -> str:
    """GET /health has a model."""
    health = json.loads(run("curl", "-fsS", "http://127.0.0.1:8080/health"))
    assert health["model_loaded"] is True, health
    return json.dumps(health)


def a_plc_gets_its_verdict() -> str:
    """One trigger, one record of 58 bytes, with a decision."""
    body = run("curl", "-fsS", "http://127.0.0.1:8090/plc/trigger?n=17&part=AB12")
    assert len(body.rstrip("\n")) in (RECORD_BYTES - 1, RECORD_BYTES - 2), repr(body)
    columns = body.strip().split(",")
    assert (columns[0], columns[1]) == ("1", "00017"), body
    assert columns[3] in ("1", "2", "3"), body
    return body.strip()


def an_upload_is_judged() -> str:
    """A photograph sent by curl gets its class."""
    photo = min((DATA / "demo").glob("*.jpg"))
    # How fast is another test's business, on a machine with nothing else to do.
    upload = ("-H", "X-Deadline-Ms: 5000", "-F", f"image=@{photo}")
    said = json.loads(run("curl", "-fsS", *upload, "http://127.0.0.1:8080/predict"))
    assert said["predicted_class"], said
    return f"{photo.name}: {said['predicted_class']} {said['confidence']}"


def the_page_is_served() -> str:
    """GET / is a page."""
    page = run("curl", "-fsS", "http://127.0.0.1:8080/")
    assert "<html" in page, page[:200]
    return f"{len(page)} bytes"


def the_command_knows_the_device() -> str:
    """`lineside` works on this device's data, and as the programs' user."""
    said = run("lineside", "models", "list")
    assert "flange" in said, said
    strangers = [path for path in DATA.rglob("*") if path.owner() != "lineside"]
    assert not strangers, strangers
    return " ".join(said.split())


def the_journal_has_fields() -> str:
    """The log carries the program's name, a priority, and the product's own fields."""
    entries = [e for e in journal("-u", LINE) if e.get("LINESIDE_CAMERA") == "cam1"]
    assert entries, "no entry has LINESIDE_CAMERA=cam1"
    (entry, *_) = entries
    assert entry["SYSLOG_IDENTIFIER"] == "lineside-camera-cam1", entry
    assert entry["PRIORITY"] == "6", entry
    assert entry["_SYSTEMD_UNIT"] == LINE, entry
    return f"{entry['SYSLOG_IDENTIFIER']}: {entry['MESSAGE']}"


def the_fast_kernels_are_in_use() -> str:
    """Inside the hardened units TFLite still makes its XNNPACK delegate."""
    found = []
    for unit in (APP, LINE):
        said = [str(e.get("MESSAGE", "")) for e in journal("-u", unit)]
        lines = [line for line in said if "XNNPACK delegate" in line]
        assert lines, f"{unit} runs without XNNPACK:\n" + "\n".join(said[-20:])
        found.append(lines[0])
    return found[-1]


def the_machine_can_be_looked_at() -> str:
    """Inside the hardened units clock, memory, disk and the kernel's account can be read."""
    status = json.loads(run("curl", "-fsS", "http://127.0.0.1:8080/api/v1/status"))
    box, line = status["box"], status["lines"]["cam1"]["status"]
    for name in ("clock_kept", "memory_free_bytes", "memory_bytes", "free_bytes"):
        assert box[name] is not None, (name, box)
    for account in (status["written"], line["written"]):
        assert account["since_start"]["kernel"] >= 0, account
    assert line["written"]["since_start"]["records"] > 0, line["written"]
    return f"clock kept: {box['clock_kept']}, written by the line: {line['written']['since_start']}"


def the_journal_spares_the_card() -> str:
    """Its bounds are installed and in force."""
    said = run("systemd-analyze", "cat-config", "systemd/journald.conf")
    assert "SyncIntervalSec=10min" in said, said
    assert shown("systemd-journald.service", "ActiveState") == "active"
    return "journald.conf.d/lineside.conf"


def the_units_are_closed() -> str:
    """The exposure that systemd-analyze counts is below what was promised."""
    found = {}
    for unit, most in EXPOSURE.items():
        said = run("systemd-analyze", "security", "--no-pager", unit)
        match = re.search(r"exposure level for .*: ([0-9.]+)", said)
        assert match, said
        found[unit] = float(match[1])
        assert found[unit] < most, said
    return ", ".join(f"{unit} {exposure}" for unit, exposure in found.items())


def secrets_reach_only_the_programs() -> str:
    """A file in the credentials' folder is root's, and the program that runs can read it."""
    secret = Path("/etc/lineside/credentials/probe")
    secret.write_text("only for them\n", encoding="ascii")
    secret.chmod(0o600)
    run("systemctl", "restart", APP)
    seen = Path(f"/proc/{main_pid(APP)}/root/run/credentials/{APP}/lineside_probe")
    text, mode = seen.read_text(encoding="ascii"), seen.stat().st_mode & 0o777
    secret.unlink()
    assert text == "only for them\n"
    assert mode & 0o007 == 0, oct(mode)
    return f"{seen.name}, mode {mode:04o}"


def the_line_comes_first() -> str:
    """The kernel prefers the line to the app, and both to the rest; the line goes before all."""
    assert os.getpriority(os.PRIO_PROCESS, main_pid(LINE)) == -10
    assert os.getpriority(os.PRIO_PROCESS, main_pid(APP)) == 5
    group = Path("/sys/fs/cgroup/lineside.slice")
    weights = {
        name: int((group / name / "cpu.weight").read_text(encoding="ascii"))
        for name in (APP, LINE)
        if (group / name / "cpu.weight").exists()
    }
    for unit in (APP, LINE):
        assert shown(unit, "Slice") == "lineside.slice"
    assert shown(LINE, "CPUWeight") == "1000"
    said = f"nice -10 and 5; weights in the kernel: {weights or 'no cpu controller here'}"
    return f"{said}; {the_line_is_in_real_time()}"


def the_line_is_in_real_time() -> str:
    """What a part waits for has real-time priority, all else not; without the right it says so.

    A container's systemd may not raise limits: there the line has to go on without.
    """
    threads = [int(entry.name) for entry in Path(f"/proc/{main_pid(LINE)}/task").iterdir()]
    ordinary = [os.sched_getscheduler(thread) for thread in threads].count(os.SCHED_OTHER)
    asked = ("curl", "-fsS", "--unix-socket", "/run/lineside/cam1.sock", "http://line/status")
    line = json.loads(run(*asked))
    limits = Path(f"/proc/{main_pid(LINE)}/limits").read_text(encoding="ascii")
    if re.search(r"^Max realtime priority +0 ", limits, re.MULTILINE):
        assert ordinary == len(threads), (ordinary, threads)
        assert line["realtime_refused"], line
        return str(line["realtime_refused"])
    assert os.sched_getscheduler(main_pid(LINE)) == os.SCHED_RR, line["realtime_refused"]
    assert 0 < ordinary < len(threads), (ordinary, threads)
    return f"{len(threads) - ordinary} of the line's {len(threads)} threads in real time"
