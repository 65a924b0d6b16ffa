"""How the machine is at this moment: heat, power, clock and memory.

Works where a hardened service works: it reads `/sys` and `/proc` and asks the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_app.box import PI_BITS, pi_word, read_heat, throttle_count
from edge_app.clock import clock_is_kept, kernel_clock

HOT_C = 80.0
"""A Raspberry Pi slows its clock down from here on: answers begin to come late."""

UNDER_VOLTAGE = "under-voltage"
BEFORE = 16
"""Bits of the Raspberry Pi's word from here on say of the past what the first ones say of now."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """The machine at one moment; None is not known.

    Args:
        celsius: The hottest sensor.
        slowed: What slows the processor at this moment; empty if nothing does.
        slowed_before: What did since the start of the machine.
        under_voltage: Whether the supply is too weak at this moment.
        mhz: The slowest core's present clock.
        clock_kept: Whether somebody keeps the clock right.
        memory_free_bytes: What programs can still get.
        memory_bytes: All of it.
    """

    celsius: float | None = None
    slowed: str | None = None
    slowed_before: str = ""
    under_voltage: bool | None = None
    mhz: float | None = None
    clock_kept: bool | None = None
    memory_free_bytes: int | None = None
    memory_bytes: int | None = None

    @property
    def strained(self) -> bool:
        """Whether heat or power slow the machine down, or are about to."""
        return bool(self.slowed) or (self.celsius is not None and self.celsius >= HOT_C)


class Sensors:
    """Reads the machine.

    Args:
        root: Where `/sys`, `/proc` and `/run` are.
        clock: Asks the kernel whether its clock is kept.
    """

    def __init__(
        self, root: Path = Path("/"), clock: Callable[[], bool | None] = kernel_clock
    ) -> None:
        self._root = root
        self._sys = root / "sys"
        self._clock = clock
        self._throttles = throttle_count(self._sys)

    def read(self) -> Vitals:
        """One look at everything."""
        heat = read_heat(self._sys)
        word, alarm, capped = pi_word(self._sys), self._power_alarm(), self._capped()
        throttled = self._throttled()
        told = (word, alarm, capped, throttled)
        slowed = _bits(word or 0)
        slowed += [UNDER_VOLTAGE] if alarm else []
        slowed += ["frequency capped"] if capped else []
        slowed += ["throttled"] if throttled else []
        memory = self._memory()
        return Vitals(
            celsius=heat.celsius,
            slowed=None if told == (None,) * 4 else ", ".join(dict.fromkeys(slowed)),
            slowed_before=", ".join(_bits((word or 0) >> BEFORE)),
            under_voltage=None if word is None and alarm is None else UNDER_VOLTAGE in slowed,
            mhz=heat.mhz,
            clock_kept=clock_is_kept(self._root, self._clock()),
            memory_free_bytes=memory.get("MemAvailable"),
            memory_bytes=memory.get("MemTotal"),
        )

    def _power_alarm(self) -> bool | None:
        """The Raspberry Pi's alarm of its supply, where the kernel has a driver for it."""
        for chip in self._sys.glob("class/hwmon/hwmon*"):
            if _text(chip / "name") == "rpi_volt":
                return _text(chip / "in0_lcrit_alarm") == "1"
        return None

    def _capped(self) -> bool | None:
        """Whether the kernel caps the clock of a core for heat."""
        states = [
            _text(device / "cur_state")
            for device in self._sys.glob("class/thermal/cooling_device*")
            if "cpufreq" in _text(device / "type")
        ]
        return any(state not in ("", "0") for state in states) if states else None

    def _throttled(self) -> bool | None:
        """Whether a PC's processor slowed itself down since the last look."""
        before, self._throttles = self._throttles, throttle_count(self._sys)
        if before is None or self._throttles is None:
            return None
        return self._throttles > before

    def _memory(self) -> dict[str, int]:
        found = {}
        for line in _text(self._root / "proc/meminfo").splitlines():
            name, _, value = line.partition(":")
            words = value.split()
            if words and words[0].isdecimal():
                found[name] = int(words[0]) * 1024
        return found


def _bits(word: int) -> list[str]:
    return [said for bit, said in PI_BITS.items() if bit < BEFORE and word >> bit & 1]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
