"""Facts of a device that is killed, stalled, upgraded and removed."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import subprocess
import threading
import time
import zipfile
from pathlib import Path

from probe import (
    APP,
    BACK_WITHIN_S,
    DATA,
    INSTALL,
    LINE,
    OK,
    SETTINGS,
    SLOWNESS,
    STOPPED_WITHIN_S,
    WHEELS,
    answers,
    current,
    decision,
    inspection_id,
    journal,
    main_pid,
    never_ok_without_a_line,
    run,
    settle,
    shown,
    trigger,
    until,
)
from serving import the_app_is_healthy


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
    took = until(lambda: main_pid(APP) not in (0, pid), 10 * SLOWNESS)
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
