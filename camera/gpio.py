"""Pins: a trigger that comes in, and OK, NG and Ready that go out, safe when nobody drives them.

Needs the `gpiod` package and a GPIO chip. A pin falls to 0 when its process is gone, so
every output means "reject" or "not ready" at 0.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from camera.shot import Refused, Shot
from camera.station import Station
from edge_app.inference.judge import Decision

INSTALL = "gpiod is not installed here: `pip install lineside[gpio]`"

WAIT_S = 0.2
"""How soon the listening thread notices that it shall end."""

OK_PIN, GOOD_PIN, READY_PIN = "ok", "no_reject", "ready"

log = logging.getLogger(__name__)


class GpioError(Exception):
    """The pins can't be had; says why."""


@dataclass(frozen=True, slots=True)
class Pins:
    """Which line of the chip is what; a name or a number, empty for none.

    Args:
        chip: `/dev/gpiochip0`, or the chip's label.
        trigger: In: a rising edge is a trigger.
        ok: Out: 1 for a time after a part was OK, else 0.
        no_reject: Out: 1 while the last part was OK or none was yet; 0 from a part that
            was anything else until the next OK, and while the program is not running.
        ready: Out: 1 while a trigger would be taken.
        debounce_ms: Edges closer than this are one.
        pulse_ms: How long `ok` stays 1.
    """

    chip: str
    trigger: str = ""
    ok: str = ""
    no_reject: str = ""
    ready: str = ""
    debounce_ms: float = 5.0
    pulse_ms: float = 50.0

    @property
    def outputs(self) -> dict[str, str]:
        """Meaning and line of the outputs that are there."""
        wired = {OK_PIN: self.ok, GOOD_PIN: self.no_reject, READY_PIN: self.ready}
        return {meaning: line for meaning, line in wired.items() if line}


@dataclass(frozen=True, slots=True)
class Edge:
    """A trigger on the pin.

    Args:
        at: Monotonic seconds, by the kernel.
        seqno: The kernel's count: a gap is edges that nobody read.
    """

    at: float
    seqno: int


class Port(Protocol):
    """The chip; tests have one of their own."""

    def edges(self, within_s: float) -> list[Edge]: ...  # noqa: D102 - rising edges since the last call
    def set(self, meaning: str, *, high: bool) -> None: ...  # noqa: D102 - drive an output
    def close(self) -> None: ...  # noqa: D102 - let go: outputs fall to 0


class Gpio:
    """Fires on the input's edges and shows answers on the outputs.

    Args:
        port: The chip.
        station: The one state machine of triggers.
        pulse_ms: How long OK stays on.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        port: Port,
        station: Station,
        pulse_ms: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._station = station
        self._pulse_s = pulse_ms / 1000
        self._clock = clock
        self._stopping = False
        self._seqno = 0
        self._seen = station.answered_since(0)[0]
        self._ok_until = 0.0
        self._levels: dict[str, bool] = {}
        self._thread = threading.Thread(target=self._run, name="gpio", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._set(GOOD_PIN, high=True)
        self._thread.start()

    def stop(self) -> None:
        """Everything to reject, and let go."""
        self._stopping = True
        if self._thread.ident is not None:
            self._thread.join(WAIT_S * 5)
        self._port.close()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.turn(self._port.edges(self._patience_s()))
            # The loop's edge: a pin that can't be driven any more is at 0 then, which rejects.
            except Exception:
                log.exception("the GPIO pins failed; outputs fall to reject")
                self._port.close()
                return

    def turn(self, edges: list[Edge]) -> None:
        """Fire what came in, show what was decided."""
        for edge in edges:
            self._fire(edge)
        self._seen, shots = self._station.answered_since(self._seen)
        for shot in shots:
            self._show(shot)
        self._set(OK_PIN, high=self._clock() < self._ok_until)
        self._set(READY_PIN, high=self._station.ready)

    def _patience_s(self) -> float:
        """Short while something is to be shown soon."""
        if self._station.busy or self._clock() < self._ok_until:
            return 0.001
        return min(WAIT_S, 0.01)

    def _fire(self, edge: Edge) -> None:
        for _ in range(min(edge.seqno - self._seqno - 1, 1000) if self._seqno else 0):
            # The kernel keeps sixteen edges; those that nobody read were parts too.
            self._station.count_missed()
        self._seqno = edge.seqno
        # From the edge on, the OK of the part before is nobody's.
        self._ok_until = 0.0
        self._set(OK_PIN, high=False)
        try:
            self._station.fire("gpio", arrived_at=edge.at)
        except Refused as refusal:
            # A part that nobody looks at goes by.
            self._set(GOOD_PIN, high=False)
            log.debug("GPIO trigger: %s", refusal)

    def _show(self, shot: Shot) -> None:
        good = shot.answer is not None and shot.answer.verdict.decision is Decision.OK
        if shot.source == "page":
            return
        self._ok_until = self._clock() + self._pulse_s if good else 0.0
        self._set(GOOD_PIN, high=good)

    def _set(self, meaning: str, *, high: bool) -> None:
        if self._levels.get(meaning) != high:
            self._levels[meaning] = high
            self._port.set(meaning, high=high)


class ChipPort:
    """Lines of a real chip, through libgpiod 2.

    Args:
        pins: Which lines.

    Raises:
        GpioError: No such chip or line, or somebody else holds it.
    """

    def __init__(self, pins: Pins) -> None:
        try:
            import gpiod  # noqa: PLC0415 - not every device has pins
        except ImportError as error:
            raise GpioError(INSTALL) from error
        self._gpiod = gpiod
        path = _chip_path(gpiod, pins.chip)
        outputs = {_line(line): meaning for meaning, line in pins.outputs.items()}
        self._lines = {meaning: line for line, meaning in outputs.items()}
        self._input: Any = None
        self._output: Any = None
        try:
            if pins.trigger:
                self._input = gpiod.request_lines(
                    path, consumer="lineside", config={_line(pins.trigger): _rising(gpiod, pins)}
                )
            if outputs:
                low = gpiod.LineSettings(
                    direction=gpiod.line.Direction.OUTPUT,
                    output_value=gpiod.line.Value.INACTIVE,
                )
                self._output = gpiod.request_lines(
                    path, consumer="lineside", config={tuple(outputs): low}
                )
        except (OSError, ValueError) as error:
            self.close()
            raise GpioError(f"GPIO chip {pins.chip}: {error}") from error

    def edges(self, within_s: float) -> list[Edge]:
        """Rising edges, waiting at most so long for the first."""
        if self._input is None:
            time.sleep(within_s)
            return []
        if not self._input.wait_edge_events(dt.timedelta(seconds=within_s)):
            return []
        events = self._input.read_edge_events()
        return [Edge(event.timestamp_ns / 1e9, event.line_seqno) for event in events]

    def set(self, meaning: str, *, high: bool) -> None:
        """Drive an output, where it is wired."""
        if self._output is not None and meaning in self._lines:
            value = self._gpiod.line.Value
            self._output.set_value(self._lines[meaning], value.ACTIVE if high else value.INACTIVE)

    def close(self) -> None:
        """Drive every output to 0 and let go."""
        if self._output is not None:
            for line in self._lines.values():
                self._output.set_value(line, self._gpiod.line.Value.INACTIVE)
            self._output.release()
        if self._input is not None:
            self._input.release()
        self._input = self._output = None


def _rising(gpiod: Any, pins: Pins) -> Any:
    return gpiod.LineSettings(
        direction=gpiod.line.Direction.INPUT,
        edge_detection=gpiod.line.Edge.RISING,
        debounce_period=dt.timedelta(milliseconds=pins.debounce_ms),
        event_clock=gpiod.line.Clock.MONOTONIC,
    )


def _chip_path(gpiod: Any, wanted: str) -> str:
    """A device path, or the path of the chip with this label: numbers vary between boards."""
    if wanted.startswith("/"):
        return wanted
    for path in sorted(Path("/dev").glob("gpiochip*")):
        with gpiod.Chip(str(path)) as chip:
            if chip.get_info().label == wanted:
                return str(path)
    raise GpioError(f"no GPIO chip with the label {wanted!r}")


def _line(text: str) -> int | str:
    return int(text) if text.isdecimal() else text
