"""What must hold on a device with a real systemd; `boot` runs it as root in a container.

Each function is one fact, in the order in which a device lives: install, serve, survive,
upgrade, leave. Standard library only.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path("/src")
WHEELS = Path("/wheels")
INSTALL = str(SOURCE / "scripts/install")
APP = "lineside-app.service"
LINE = "lineside-camera@cam1.service"
DATA = Path("/var/lib/lineside")
SETTINGS = Path("/etc/lineside/lineside.toml")

RECORD_BYTES = 58
OK = 1
BACK_WITHIN_S = 5.0
STOPPED_WITHIN_S = 2.0
EXPOSURE = {APP: 2.0, LINE: 2.5}


def run(*command: str, check: bool = True, within_s: float = 180) -> str:
    """What the command printed; stderr comes along."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert not check or done.returncode == 0, (
        f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout}"
    )
    return done.stdout


def shown(unit: str, name: str) -> str:
    """One property of a unit."""
    return run("systemctl", "show", "--value", "-p", name, unit).strip()


def main_pid(unit: str) -> int:
    """The process that systemd watches."""
    return int(shown(unit, "MainPID"))


def journal(*match: str) -> list[dict[str, str]]:
    """This boot's entries."""
    run("journalctl", "--sync")
    lines = run("journalctl", "-b", "-o", "json", "--all", "--no-pager", *match).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def trigger(number: int = 0, within_s: float = 1.0) -> list[int]:
    """Ask the line for a verdict as a PLC does; the record's numbers."""
    line = http.client.HTTPConnection("127.0.0.1", 8090, timeout=within_s)
    try:
        line.request("GET", f"/plc/trigger?n={number}")
        answer = line.getresponse()
        body = answer.read()
    finally:
        line.close()
    assert (answer.status, len(body)) == (200, RECORD_BYTES), (answer.status, body)
    return [int(column) for column in body.decode("ascii").strip().split(",")]


def decision(record: list[int]) -> int:
    """OK, NG, REVIEW or none."""
    return record[3]


def inspection_id(record: list[int]) -> int:
    """The record's id."""
    return record[2]


def answers() -> bool:
    """Whether the line decides on a part."""
    try:
        return decision(trigger()) in (1, 2, 3)
    except (OSError, http.client.HTTPException):
        return False


def until(true: Callable[[], bool], within_s: float) -> float:
    """Wait for it; the seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < within_s, f"not within {within_s} s"
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def never_ok_without_a_line() -> Iterator[list[int]]:
    """Ask for verdicts all the while; yields the list of decisions that came."""
    decisions: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                decisions.append(decision(trigger(within_s=0.3)))
            except (OSError, http.client.HTTPException):
                decisions.append(0)
            time.sleep(0.01)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield decisions
    finally:
        done.set()
        asking.join()


def settle() -> None:
    """Let the line run for a moment, so that the next fall finds it at work."""
    until(answers, BACK_WITHIN_S)
    time.sleep(0.5)


# ---------------------------------------------------------------- facts


def it_installs_without_a_network() -> str:
    """One command makes a device of a bare Debian, with nothing but the wheelhouse."""
    said = run(INSTALL, "--offline", str(WHEELS))
    assert "version " in said, said
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
    said = json.loads(run("curl", "-fsS", "-F", f"image=@{photo}", "http://127.0.0.1:8080/predict"))
    assert said["predicted_class"], said
    return f"{photo.name}: {said['predicted_class']} {said['confidence']}"


def the_page_is_served() -> str:
    """GET / is a page."""
    page = run("curl", "-fsS", "http://127.0.0.1:8080/")
    assert "<html" in page, page[:200]
    return f"{len(page)} bytes"


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
    """The kernel prefers the line to the app, and both to the rest."""
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
    return f"nice -10 and 5; weights in the kernel: {weights or 'no cpu controller here'}"


def a_killed_line_is_back() -> str:
    """After SIGKILL the line is back in time; no id comes twice, and nothing was OK meanwhile."""
    settle()
    before, pid = inspection_id(trigger()), main_pid(LINE)
    os.kill(pid, signal.SIGKILL)
    took = until(lambda: main_pid(LINE) not in (0, pid) and answers(), BACK_WITHIN_S)
    after = inspection_id(trigger())
    assert after > before, (before, after)
    return f"after {took:.2f} s; id {before} before, {after} after"


def a_stalled_line_is_back() -> str:
    """A line that hangs is killed by the watchdog and back in time; nothing was OK meanwhile."""
    settle()
    pid = main_pid(LINE)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    with never_ok_without_a_line() as decisions:
        until(lambda: main_pid(LINE) != pid, BACK_WITHIN_S)
        stalled = list(decisions)
    took = time.monotonic() - began + until(answers, BACK_WITHIN_S)
    assert OK not in stalled, stalled
    assert took < BACK_WITHIN_S, took
    said = [str(e.get("MESSAGE", "")) for e in journal("-u", LINE)]
    assert any("atchdog timeout" in line for line in said), said[-20:]
    return f"after {took:.2f} s; {len(stalled)} triggers meanwhile, none OK"


def a_hung_line_says_where() -> str:
    """The watchdog's signal leaves every thread's stack in the journal."""
    said = [str(e.get("MESSAGE", "")) for e in journal("-u", LINE)]
    assert any("Fatal Python error: Aborted" in line for line in said), said[-40:]
    return next(line for line in said if line.lstrip().startswith("File "))


def the_line_goes_on_without_the_app() -> str:
    """With the app dead, parts are still judged; and the app is back by itself."""
    pid = main_pid(APP)
    os.kill(pid, signal.SIGKILL)
    assert decision(trigger()) in (1, 2, 3)
    took = until(lambda: main_pid(APP) not in (0, pid), 10)
    the_app_is_healthy()
    return f"the app was back after {took:.2f} s"


def the_shared_folder_stays() -> str:
    """A stop of the app leaves the line's control socket standing."""
    run("systemctl", "stop", "lineside-app.socket", APP)
    assert Path("/run/lineside/cam1.sock").is_socket()
    run("systemctl", "start", "lineside-app.socket", APP)
    the_app_is_healthy()
    return "/run/lineside/cam1.sock"


def everything_stops_in_time() -> str:
    """SIGTERM ends both programs by themselves within two seconds, without a kill."""
    took = {}
    for unit in (APP, LINE):
        began = time.monotonic()
        run("systemctl", "stop", unit)
        took[unit] = time.monotonic() - began
        assert took[unit] < STOPPED_WITHIN_S, took
        assert shown(unit, "Result") == "success", shown(unit, "Result")
    run("systemctl", "start", APP, LINE)
    return ", ".join(f"{unit} {seconds:.2f} s" for unit, seconds in took.items())


def wrong_settings_are_not_tried_again() -> str:
    """A wrong setting ends the program with 78, one sentence, and no restart."""
    good = SETTINGS.read_text(encoding="utf-8")
    SETTINGS.write_text(good + "\nno_such_setting = 1\n", encoding="utf-8")
    run("systemctl", "restart", LINE, check=False)
    time.sleep(1.0)
    status, restarts = shown(LINE, "ExecMainStatus"), shown(LINE, "NRestarts")
    state = shown(LINE, "ActiveState")
    SETTINGS.write_text(good, encoding="utf-8")
    assert (state, status, restarts) == ("failed", "78", "0"), (state, status, restarts)
    run("systemctl", "start", LINE)
    said = [str(e["MESSAGE"]) for e in journal("-u", LINE) if "no_such_setting" in str(e)]
    return said[-1]


def a_restart_of_the_app_refuses_nobody() -> str:
    """While the app restarts under load, every client gets its answer."""
    photo = min((DATA / "demo").glob("*.jpg")).read_bytes()
    done = threading.Event()
    failures: list[str] = []
    answered = [0]

    def client() -> None:
        while not done.is_set():
            app = http.client.HTTPConnection("127.0.0.1", 8080, timeout=20)
            try:
                app.request("POST", "/predict", photo, {"Content-Type": "image/jpeg"})
                app.getresponse().read()
                answered[0] += 1
            except (OSError, http.client.HTTPException) as error:
                failures.append(repr(error))
            finally:
                app.close()

    clients = [threading.Thread(target=client) for _ in range(4)]
    for each in clients:
        each.start()
    time.sleep(1)
    for _ in range(3):
        run("systemctl", "restart", APP)
        time.sleep(1)
    done.set()
    for each in clients:
        each.join()
    refused = [failure for failure in failures if "Refused" in failure]
    assert not refused, failures
    assert len(failures) == 0, failures
    return f"{answered[0]} answers through 3 restarts, {len(failures)} failures"


def an_upgrade_keeps_everything() -> str:
    """Installing again puts a new release in the old one's place; ids go on."""
    before, release = inspection_id(trigger()), current()
    run(INSTALL, "--offline", str(WHEELS))
    assert current() != release
    until(answers, BACK_WITHIN_S)
    after = inspection_id(trigger())
    assert after > before, (before, after)
    assert sorted(p.name for p in current().parent.iterdir()) == [release.name, current().name]
    return f"{release.name} -> {current().name}; id {before} before, {after} after"


def a_failed_upgrade_goes_back() -> str:
    """A version that does not come up is put away by itself, and the old one serves."""
    release = current()
    broken = Path("/tmp/broken")  # noqa: S108 - a container of our own
    shutil.copytree(WHEELS, broken)
    break_app(next(broken.glob("lineside-*.whl")))
    os.environ["LINESIDE_START_WITHIN_S"] = "8"
    failed = subprocess.run(
        [INSTALL, "--offline", str(broken)], capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1, failed
    assert "the old version runs again" in failed.stderr, failed.stderr
    assert current() == release
    assert answers()
    the_app_is_healthy()
    return failed.stderr.strip().splitlines()[-1]


def uninstalling_leaves_the_data() -> str:
    """The programs go, data and settings stay until they are asked for too."""
    run(INSTALL, "uninstall")
    assert not Path("/opt/lineside").exists()
    assert not list(Path("/etc/systemd/system").rglob("lineside*"))
    assert (DATA / "records.db").exists()
    assert SETTINGS.exists()
    run(INSTALL, "uninstall", "--purge")
    assert not DATA.exists()
    assert not SETTINGS.parent.exists()
    assert not list(Path("/run").glob("lineside*"))
    return "gone"


def current() -> Path:
    """The release that runs."""
    return Path("/opt/lineside/current").resolve()


def break_app(wheel: Path) -> None:
    """Make a version whose settings check passes and which falls over before it is ready."""
    old = wheel.with_suffix(".old")
    wheel.rename(old)
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(wheel, "w") as target:
        for item in source.infolist():
            data = source.read(item)
            if item.filename == "edge_app/notify.py":
                data += b"\n\ndef ready():\n    raise SystemExit('broken on purpose')\n"
            target.writestr(item, data)
    old.unlink()


FACTS = (
    it_installs_without_a_network,
    the_units_are_sound,
    the_target_is_up,
    the_app_is_healthy,
    a_plc_gets_its_verdict,
    an_upload_is_judged,
    the_page_is_served,
    the_journal_has_fields,
    the_fast_kernels_are_in_use,
    the_units_are_closed,
    secrets_reach_only_the_programs,
    the_line_comes_first,
    a_killed_line_is_back,
    a_stalled_line_is_back,
    a_hung_line_says_where,
    the_line_goes_on_without_the_app,
    the_shared_folder_stays,
    everything_stops_in_time,
    wrong_settings_are_not_tried_again,
    a_restart_of_the_app_refuses_nobody,
    an_upgrade_keeps_everything,
    a_failed_upgrade_goes_back,
    uninstalling_leaves_the_data,
)


def main() -> int:
    """Hold each fact; the exit status is 0 only if all of them hold."""
    began = time.monotonic()
    broken = []
    for fact in FACTS:
        started = time.monotonic()
        name = fact.__name__.replace("_", " ")
        try:
            figure = fact()
        except Exception:  # noqa: BLE001 - each fact is looked at, whatever another one raised
            broken.append(name)
            figure = f"DOES NOT HOLD\n{traceback.format_exc()}"
        print(f"{time.monotonic() - started:6.2f} s  {name}: {figure}", flush=True)
    held = len(FACTS) - len(broken)
    print(f"{held} of {len(FACTS)} facts hold, {time.monotonic() - began:.0f} s", flush=True)
    for name in broken:
        print(f"DOES NOT HOLD: {name}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
