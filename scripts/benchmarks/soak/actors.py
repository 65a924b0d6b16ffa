"""Those who take part: a PLC on HTTP, one on Modbus, people with the page, people who upload."""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable

from pyModbusTCP.client import ModbusClient

from benchmarks.clients import Plc, ask
from benchmarks.crowd import PAGE_PATHS
from benchmarks.soak.ledger import Answer, Ledger
from benchmarks.soak.stage import Stage
from camera.plc.record import PlcDecision, PlcRecord
from edge_app.inference.judge import Code

PLC_TIMER_S = 1.0
"""The PLC's own: a part without an answer by then is a reject."""

ANSWER_MS = 20.0
"""What an answer may take beyond the deadline to reach the PLC."""

WITHOUT_DECISION = {int(code) for code in Code} - {0, int(Code.STORAGE), int(Code.HOT), 52}
SLOW_CLIENTS = 30


class PlcActor:
    """Puts a part under the camera, fires, compares, reads again, now and then fires again.

    Args:
        stage: The line.
        ledger: What came of it.
        rng: Chooses parts and pauses.
    """

    def __init__(self, stage: Stage, ledger: Ledger, rng: random.Random) -> None:
        self._stage, self._ledger, self._rng = stage, ledger, rng
        self._plc = Plc(stage.settings.cameras["cam1"].plc_port, PLC_TIMER_S)
        self._deadline_ms = stage.settings.cameras["cam1"].deadline_ms
        self._photos = sorted(stage.truth)
        self._n = 0
        self._serial = 0

    def run(self) -> None:
        """One part after the other until the end."""
        while not self._stage.stopping.is_set():
            self._one()
            self._stage.stopping.wait(self._rng.uniform(0.02, 0.15))

    def _one(self) -> None:
        bare = self._stage.bare.is_set()
        photo = self._rng.choice(self._photos)
        if bare:
            self._stage.clear()
        else:
            self._stage.show(photo)
        self._n = self._n % 65_535 + 1
        self._serial += 1
        part = f"S{self._serial}"
        self._ledger.count("parts shown")
        disturbed = self._stage.disturbed.is_set()
        try:
            record, spent_ms = self._plc.trigger(self._n, part)
        except OSError:
            self._ledger.count("parts without an answer (rejected by the PLC)")
            self._stage.stopping.wait(0.1)
            return
        except ValueError as error:
            self._ledger.violate("bad-reply", f"trigger {self._n}: {error}")
            return
        self._judge(record, part, photo, spent_ms, bare=bare)
        if spent_ms > self._deadline_ms + ANSWER_MS:
            disturbed = disturbed or self._stage.disturbed.is_set()
            self._ledger.count(f"answers late to the PLC{' in a fault' if disturbed else ''}")
        if self._rng.random() < 0.1:
            self._again(record, part)

    def _judge(
        self, record: PlcRecord, part: str, photo: str, spent_ms: float, *, bare: bool
    ) -> None:
        ledger, about = self._ledger, f"{part} ({photo}): {record}"
        if record.n != self._n:
            ledger.violate("wrong-number", f"trigger {self._n}, {about}")
        passed = record.decision is PlcDecision.OK
        if passed and record.code in WITHOUT_DECISION:
            ledger.violate("ok-with-code", about)
        if not record.id:
            ledger.count(f"parts not taken, code {record.code}")
            return
        truth = self._stage.truth[photo]
        if passed and bare:
            ledger.violate("ok-without-part", about)
        elif passed and truth != "OK":
            ledger.violate("false-ok", about)
        elif not bare and record.decision.name not in (truth, "NONE"):
            ledger.violate("wrong-verdict", f"expected {truth}, {about}")
        answer = Answer(record.id, record.n, part, record.decision.name, record.code)
        ledger.answered(answer, spent_ms)

    def _again(self, record: PlcRecord, part: str) -> None:
        """The answer read again, and the same trigger sent again: nothing may differ."""
        if not record.id or record.decision is PlcDecision.NOT_YET:
            return
        path = self._rng.choice(
            [f"/plc/result?n={self._n}", f"/plc/trigger?n={self._n}&part={part}"]
        )
        try:
            again, _ = self._plc.call(path)
        except (OSError, ValueError):
            return
        if again.id != record.id:
            # A line that was started anew in between knows nothing of it.
            self._ledger.count("answers forgotten by a restart")
            if again.decision is PlcDecision.OK and record.decision is not PlcDecision.OK:
                # Fired anew it may be decided now; an OK must still be the part's own.
                self._ledger.count("parts decided only when fired again")
            return
        self._ledger.count("answers read again")
        same = (again.decision, again.class_id, again.score) == (
            record.decision,
            record.class_id,
            record.score,
        )
        if not same:
            self._ledger.violate("not-final", f"{record} became {again}")


class ModbusActor:
    """The whole handshake on the second line, as the manual has it.

    Args:
        stage: The line.
        ledger: What came of it.
    """

    def __init__(self, stage: Stage, ledger: Ledger) -> None:
        self._stage, self._ledger = stage, ledger
        port = stage.settings.cameras["cam2"].modbus_port
        self._client = ModbusClient("127.0.0.1", port, timeout=PLC_TIMER_S, auto_open=True)
        self._n = 0

    def run(self) -> None:
        """One handshake after the other until the end."""
        while not self._stage.stopping.wait(0.3):
            self._one()
        self._client.close()

    def _one(self) -> None:
        self._n = self._n % 65_535 + 1
        # Trigger Enable alone, then wait for Ready; then number and Trigger in one write.
        if not self._client.write_multiple_registers(0, [1]) or not self._until(lambda w: w[0] & 1):
            self._ledger.count("Modbus: not ready")
            return
        if not self._client.write_multiple_registers(0, [0b11, self._n]):
            self._ledger.count("Modbus: no connection")
            return
        words = self._until(lambda w: bool(w[0] & 0b1000) and w[2] == self._n)
        if words is None:
            self._ledger.count("Modbus: no result")
        else:
            self._ledger.count(f"Modbus: decision {words[3]}")
            passed, failed = bool(words[0] & 0b100000), bool(words[0] & 0b1000000)
            if passed != (words[3] == 1) or (passed and failed):
                self._ledger.violate("bad-reply", f"Modbus: decision and bits differ: {words[:8]}")
        self._client.write_multiple_registers(0, [0b101])

    def _until(self, wanted: Callable[[list[int]], bool | int]) -> list[int] | None:
        until = time.monotonic() + PLC_TIMER_S
        while time.monotonic() < until:
            words = self._client.read_input_registers(0, 72)
            if words and wanted(words):
                found: list[int] = words
                return found
            time.sleep(0.01)
        return None


class UploadActor:
    """Uploads parts and what is no part."""

    def __init__(self, stage: Stage, ledger: Ledger, rng: random.Random) -> None:
        self._stage, self._ledger, self._rng = stage, ledger, rng
        self._port = stage.settings.app.port
        self._photos = sorted(stage.truth)

    def run(self) -> None:
        """One upload after the other until the end."""
        while not self._stage.stopping.wait(self._rng.uniform(0.1, 0.6)):
            if self._rng.random() < 0.2:
                self._bad()
            else:
                self._good()

    def _good(self) -> None:
        photo = self._rng.choice(self._photos)
        content = (self._stage.parts / photo).read_bytes()
        status, body = ask(self._port, "POST", "/predict", content, kind="image/jpeg")
        self._ledger.count(f"upload: {status or 'no answer'}")
        if status == 200:
            said = json.loads(body)["verdict"]
            if said != self._stage.truth[photo]:
                expected = self._stage.truth[photo]
                self._ledger.violate("upload-verdict", f"{photo}: {said}, expected {expected}")
        elif status not in (0, 503, 504):
            self._ledger.violate("upload-status", f"{photo}: {status} {body[:200]!r}")

    def _bad(self) -> None:
        photo = (self._stage.parts / self._rng.choice(self._photos)).read_bytes()
        content = self._rng.choice(
            [b"", b"no picture", photo[: len(photo) // 2], b"\xff\xd8\xff" + bytes(2000), _bomb()]
        )
        status, body = ask(self._port, "POST", "/predict", content, kind="image/jpeg")
        self._ledger.count(f"bad upload: {status or 'no answer'}")
        if status and not (400 <= status < 500 or status in (503, 504)):
            self._ledger.violate("bad-upload", f"{content[:20]!r}: {status} {body[:200]!r}")


def look_at_page(stage: Stage, ledger: Ledger, rng: random.Random) -> None:
    """A person with the page open."""
    while not stage.stopping.wait(rng.uniform(0.2, 1.0)):
        status, _ = ask(stage.settings.app.port, "GET", rng.choice(PAGE_PATHS))
        ledger.count(f"page: {status or 'no answer'}")


def dawdle(stage: Stage, ledger: Ledger, seconds: float) -> None:
    """Slow clients: each sends a byte now and then, at the app and at the PLC's port."""
    ports = (stage.settings.app.port, stage.settings.cameras["cam1"].plc_port)
    sockets = []
    for number in range(SLOW_CLIENTS):
        try:
            sockets.append(socket.create_connection(("127.0.0.1", ports[number % 2]), timeout=1))
        except OSError:
            ledger.count("slow clients turned away")
    until = time.monotonic() + seconds
    request = b"POST /predict HTTP/1.1\r\nHost: lineside\r\nContent-Length: 900000\r\n"
    for place in range(len(request)):
        if time.monotonic() > until or stage.stopping.is_set():
            break
        for each in sockets:
            try:
                each.send(request[place : place + 1])
            except OSError:
                ledger.count("slow clients cut off")
        time.sleep(0.1)
    for each in sockets:
        each.close()


def _bomb() -> bytes:
    """A PNG of some bytes that claims 900 megapixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for name, body in chunks:
        content += struct.pack(">I", len(body)) + name + body
        content += struct.pack(">I", zlib.crc32(name + body))
    return content


def start_threads(*works: Callable[[], None]) -> list[threading.Thread]:
    """Run each in a thread of its own."""
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    return threads
