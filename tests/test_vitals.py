"""Heat, power, clock, memory and disk, read from a tree that stands for /sys and /proc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_app.clock import kernel_clock
from edge_app.disk import Disk
from edge_app.vitals import Sensors, Vitals

COUNT = "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
PI_5 = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
PI_4 = "sys/devices/platform/soc/soc:firmware/get_throttled"
HEAT = "sys/class/thermal/thermal_zone0/temp"


class Machine:
    """A tree of files that stands for a machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock: bool | None = True

    def write(self, name: str, content: object) -> None:
        """Let a file say so."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")

    def sensors(self) -> Sensors:
        """What reads it."""
        return Sensors(self.root, lambda: self.clock)

    def read(self) -> Vitals:
        """One look."""
        return self.sensors().read()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without any sensor."""
    return Machine(tmp_path)


def test_a_machine_that_tells_nothing_is_not_well_nor_ill(machine: Machine) -> None:
    """What can't be read is not known, and never guessed."""
    machine.clock = None

    assert machine.read() == Vitals()
    assert not machine.read().strained


@pytest.mark.parametrize("path", [PI_4, PI_5])
def test_a_pi_tells_now_and_before_apart(machine: Machine, path: str) -> None:
    """A weak supply of this morning is no alarm any more, and is still told."""
    machine.write(path, "50000")

    vitals = machine.read()

    assert (vitals.slowed, vitals.under_voltage) == ("", False)
    assert vitals.slowed_before == "under-voltage, throttled"
    assert not vitals.strained


def test_a_pi_that_is_slowed_down_is_strained(machine: Machine) -> None:
    """Whether for heat or for power."""
    machine.write(PI_4, "f0005")

    vitals = machine.read()

    assert vitals.slowed == "under-voltage, throttled"
    assert vitals.under_voltage is True
    assert vitals.strained


@pytest.mark.parametrize(("alarm", "weak"), [("0", False), ("1", True)])
def test_the_alarm_of_the_supply_needs_no_firmware(
    machine: Machine, alarm: str, *, weak: bool
) -> None:
    """The kernel's own driver of a Raspberry Pi, among other chips."""
    machine.write("sys/class/hwmon/hwmon0/name", "cpu_thermal")
    machine.write("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1")
    machine.write("sys/class/hwmon/hwmon1/name", "rpi_volt")
    machine.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", alarm)

    vitals = machine.read()

    assert vitals.under_voltage is weak
    assert vitals.slowed == ("under-voltage" if weak else "")


@pytest.mark.parametrize(("state", "slowed"), [("0", ""), ("3", "frequency capped")])
def test_a_capped_clock_is_told(machine: Machine, state: str, slowed: str) -> None:
    """A fan that runs is no cap."""
    machine.write("sys/class/thermal/cooling_device0/type", "pwm-fan")
    machine.write("sys/class/thermal/cooling_device0/cur_state", "4")
    machine.write("sys/class/thermal/cooling_device1/type", "cpufreq-cpu0")
    machine.write("sys/class/thermal/cooling_device1/cur_state", state)

    assert machine.read().slowed == slowed


def test_a_pc_is_throttled_while_its_counter_rises(machine: Machine) -> None:
    """What it counted before is history."""
    machine.write(COUNT, 17)
    sensors = machine.sensors()
    calm = sensors.read()
    machine.write(COUNT, 18)
    busy = sensors.read()

    assert [calm.slowed, busy.slowed, sensors.read().slowed] == ["", "throttled", ""]


def test_heat_strains_before_it_slows(machine: Machine) -> None:
    """From 80 degrees on."""
    machine.write(HEAT, 79_900)
    assert not machine.read().strained
    machine.write(HEAT, 80_000)
    assert machine.read().strained


def test_a_clock_that_timesyncd_set_is_kept(machine: Machine) -> None:
    """Where the kernel may not be asked; its own answer counts for more."""
    machine.write("run/systemd/timesync/synchronized", "")

    machine.clock = None
    assert machine.read().clock_kept is True
    machine.clock = False
    assert machine.read().clock_kept is False


def test_a_clock_that_nobody_keeps_is_told(machine: Machine) -> None:
    """So that times in records are not believed."""
    machine.clock = False

    assert machine.read().clock_kept is False


def test_this_kernel_answers_about_its_clock() -> None:
    """A plain answer, without any right."""
    assert kernel_clock() in (True, False, None)


def test_memory_is_what_programs_can_still_get(machine: Machine) -> None:
    """Not what is unused: the page cache gives way."""
    machine.write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 700 kB")

    vitals = machine.read()

    assert (vitals.memory_free_bytes, vitals.memory_bytes) == (716_800, 1_024_000)


def disk(machine: Machine, sectors: int, uptime_s: float, endurance_tb: float = 0) -> Disk:
    """A disk whose partition holds the data."""
    number = machine.root.stat().st_dev
    device = machine.root / "sys/devices/card"
    machine.write("sys/devices/card/stat", f"9 9 9 9 9 9 {sectors} 9")
    machine.write("sys/devices/card/card2/partition", 2)
    machine.write("sys/devices/card/card2/stat", "9 9 9 9 9 9 1 9")
    link = machine.root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(device / "card2")
    machine.write("proc/uptime", f"{uptime_s} 1.0")
    return Disk(machine.root, endurance_tb, machine.root)


def test_the_whole_card_wears_not_the_partition(machine: Machine) -> None:
    """10 GB in a day: a card for 30 TB lives eight years."""
    told = disk(machine, 10 * 10**9 // 512, 86_400, 30).to_json()

    assert told["written_bytes"] == 10 * 10**9 // 512 * 512
    assert told["written_per_day"] == pytest.approx(10e9)
    assert told["card_years"] == 8.2


def test_the_start_of_a_machine_is_not_its_habit(machine: Machine) -> None:
    """Neither is a life told of a card whose endurance nobody knows."""
    told = disk(machine, 10**9, 60, 30).to_json()

    assert told["written_per_day"] is None
    assert told["card_years"] is None


def test_memory_is_no_card(tmp_path: Path) -> None:
    """Where no block device is below, nothing is told of one; room is."""
    told = Disk(tmp_path, 30, tmp_path / "nowhere").to_json()

    assert told["written_bytes"] is None
    assert told["card_years"] is None
    assert told["free_bytes"] > 0
