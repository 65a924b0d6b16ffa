"""The computer itself: what it is, how hot it is, whether it had to slow down."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SYS = Path("/sys")

PI_THROTTLED = "devices/platform/soc*/*firmware/get_throttled"
PI_BITS = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
    16: "under-voltage since boot",
    17: "frequency was capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit since boot",
}
"""Bits of the Raspberry Pi firmware's own word."""


@dataclass(frozen=True, slots=True)
class Heat:
    """One look at temperature and throttling.

    Args:
        celsius: The hottest sensor's; None where none can be read.
        throttled: What the firmware or the processor says; empty if all is well or unknown.
        readable: Whether throttling can be read at all here.
        mhz: The slowest core's present clock; None where it can't be read.
    """

    celsius: float | None
    throttled: str
    readable: bool
    mhz: float | None


def read_heat(sys: Path = SYS) -> Heat:
    """Look at the sensors; what can't be read is None, never guessed."""
    sensors = [_number(path) for path in sys.glob("class/thermal/thermal_zone*/temp")]
    # Some zones report rubbish when their sensor sleeps.
    degrees = [value / 1000 for value in sensors if value is not None and 0 < value < 150_000]
    clocks = [
        _number(path) for path in sys.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")
    ]
    known = [value / 1000 for value in clocks if value is not None]
    throttled, readable = _throttled(sys)
    return Heat(
        celsius=max(degrees, default=None),
        throttled=throttled,
        readable=readable,
        mhz=min(known, default=None),
    )


def throttle_count(sys: Path = SYS) -> int | None:
    """How often the processor slowed itself down for heat since boot; None where not counted."""
    counts = [
        _number(path)
        for path in sys.glob("devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
    ]
    known = [int(count) for count in counts if count is not None]
    return sum(known) if known else None


def pi_word(sys: Path = SYS) -> int | None:
    """The Raspberry Pi firmware's own word, see `PI_BITS`; None on other machines."""
    for path in sys.glob(PI_THROTTLED):
        try:
            return int(_text(path), 16)
        except ValueError:
            continue
    return None


def _throttled(sys: Path) -> tuple[str, bool]:
    word = pi_word(sys)
    if word is not None:
        return ", ".join(said for bit, said in PI_BITS.items() if word >> bit & 1), True
    return "", throttle_count(sys) is not None


def describe_box(sys: Path = SYS) -> dict[str, Any]:
    """Processor, cores, clock governor, memory, system: what a measurement depends on."""
    governor = _text(sys / "devices/system/cpu/cpu0/cpufreq/scaling_governor")
    top = _number(sys / "devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")
    return {
        "model": _text(sys / "firmware/devicetree/base/model").strip("\0"),
        "processor": _processor(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000,
        "governor": governor or "not readable",
        "max_mhz": None if top is None else round(top / 1000),
        "kernel": platform.release(),
        "system": _system(),
    }


def _processor() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _number(path: Path) -> float | None:
    text = _text(path)
    try:
        return float(text)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
