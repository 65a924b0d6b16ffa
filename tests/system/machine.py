"""Facts that need a kernel of their own: memory limits, a V4L2 camera, another processor."""

from __future__ import annotations

import re
from pathlib import Path

from probe import (
    APP,
    BACK_WITHIN_S,
    LINE,
    SETTINGS,
    answers,
    drop_in,
    line_status,
    run,
    shown,
    trigger,
    until,
)


def the_budget_suits_an_emulated_processor() -> str:
    """A setting in the file is in force after a restart."""
    text = SETTINGS.read_text(encoding="utf-8")
    text = text.replace("[app]\n", "[app]\ndeadline_ms = 10000\n")
    text = text.replace("[cameras.cam1]\n", "[cameras.cam1]\ndeadline_ms = 10000\n")
    SETTINGS.write_text(text, encoding="utf-8")
    run("systemctl", "restart", "lineside.target")
    until(answers, BACK_WITHIN_S)
    return "10 s for a part"


def both_runtimes_judge() -> str:
    """Each TFLite runtime can be pinned and decides on a part."""
    found = {}
    for runtime in ("tflite-runtime", "litert"):
        with drop_in(LINE, f"[Service]\nEnvironment=LINESIDE_INFERENCE__RUNTIME={runtime}\n"):
            run("systemctl", "restart", LINE)
            until(answers, BACK_WITHIN_S)
            found[runtime] = trigger()
            assert line_status()["runtime"] == runtime, line_status()
    run("systemctl", "restart", LINE)
    return ", ".join(f"{runtime} {record}" for runtime, record in found.items())


def a_v4l2_camera_is_read() -> str:
    """A camera of the kernel's own gives the frames, through the closed unit."""
    run("modprobe", "vivid", "n_devs=1", "node_types=0x1")
    until(Path("/dev/video0").exists, BACK_WITHIN_S)
    good = SETTINGS.read_text(encoding="utf-8")
    changed = re.sub(r'^source = ".*"$', 'source = "v4l2:/dev/video0"', good, flags=re.MULTILINE)
    SETTINGS.write_text(changed, encoding="utf-8")
    run("systemctl", "restart", LINE)
    until(answers, BACK_WITHIN_S)
    record = trigger()
    SETTINGS.write_text(good, encoding="utf-8")
    run("systemctl", "restart", LINE)
    assert record[7] == 0, record
    return str(record)


def memory_limits_hold() -> str:
    """The kernel knows the units' limits, and keeps to a limit."""
    used = {}
    for unit in (APP, LINE):
        group = Path("/sys/fs/cgroup") / shown(unit, "ControlGroup").lstrip("/")
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        assert limit == 512 * 1024 * 1024, (unit, limit)
        used[unit] = int((group / "memory.current").read_text(encoding="ascii")) // 1_000_000
    greedy = ("/usr/bin/python3", "-c", "b'x' * 200_000_000")
    limits = ("-p", "MemoryMax=64M", "-p", "MemorySwapMax=0")
    said = run("systemd-run", "--wait", "--slice=lineside.slice", *limits, *greedy, check=False)
    assert "oom-kill" in said, said
    return ", ".join(f"{unit} uses {megabytes} MB of 512 MiB" for unit, megabytes in used.items())
