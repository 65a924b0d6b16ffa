"""A running device under abuse: malformed requests, slow clients, bodies without end.

    scripts/abuse [--requests 10000] [--slow 200] [--endless 4] [--seed 1]

Prints figures of the app (threads, memory, answers by status, health's times) and of the line
(parts before and meanwhile). Status 1 if a thread was lost, memory grew, the app failed (500), a
whole request or health got no answer, health took 50 ms or more, or a part got no decision.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import select
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests" / "kit"), str(Path(__file__).parent)]

from malformed import Malformed  # noqa: E402 - the path is made above
from running import Running, running  # noqa: E402

WORKERS = 4
ANSWER_S = 1.0
"""What is no whole request gets no answer before it is swept out: its client leaves then."""

PROBE_S, PROBE_NICENESS = 0.05, -15
QUIET_S = 10.0
MAX_HEALTH_MS = 50.0
MAX_GROWTH_MB = 25.0
"""From after the first requests, which bring in what is imported once, to the end."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Account:
    """What came of it.

    Args:
        answers: By status; `silent` without any.
        kinds: Requests by kind.
        silent: Requests without an answer, by kind.
        failed: Requests that the app failed on, to be looked at.
        swept: Slow and endless connections that the server ended.
        memory_mb: Of the app, as time went by.
    """

    answers: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)
    failed: list[bytes] = field(default_factory=list)
    swept: Counter[str] = field(default_factory=Counter)
    memory_mb: list[float] = field(default_factory=list)


class Abuse:
    """All of it at once, against one port.

    Args:
        port: The app's.
        pid: The app's.
        account: What is written into.
    """

    def __init__(self, port: int, pid: int, account: Account) -> None:
        self._port, self._pid, self._account = port, pid, account

    async def run(self, requests: int, slow: int, endless: int, seed: int) -> None:
        """Until all requests are sent."""
        beside = [asyncio.create_task(self._dawdle(number)) for number in range(slow)]
        beside += [asyncio.create_task(self._pour(number)) for number in range(endless)]
        made = Malformed(seed)
        left = iter(range(requests))
        try:
            await asyncio.gather(*(self._send(made, left, requests) for _ in range(WORKERS)))
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _send(self, made: Malformed, left: Iterator[int], requests: int) -> None:
        for number in left:
            kind, content = made.next()
            self._account.kinds[kind] += 1
            status = await self._ask(content)
            self._account.answers[status] += 1
            if status == "silent":
                self._account.silent[kind] += 1
            if status == "500":
                self._account.failed.append(content[:2000])
            if number % max(1, requests // 10) == 0:
                self._account.memory_mb.append(resident_mb(self._pid))

    async def _ask(self, content: bytes) -> str:
        try:
            reader, writer = await self._connect()
        except OSError:
            return "refused"
        try:
            with contextlib.suppress(OSError):
                writer.write(content)
                await writer.drain()
            head = await asyncio.wait_for(reader.read(64), ANSWER_S)
            return head.split()[1].decode() if head.startswith(b"HTTP/") else "closed"
        except TimeoutError:
            return "silent"
        except OSError:
            return "closed"
        finally:
            writer.close()

    async def _dawdle(self, number: int) -> None:
        """One byte a second: every other client in its headers, the others in a body."""
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
        while True:
            async with self._open() as (reader, writer):
                if number % 2:
                    writer.write(head)
                while not reader.at_eof():
                    writer.write(b"X")
                    await writer.drain()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1024), 1.0)
            self._account.swept["slow"] += 1

    async def _pour(self, number: int) -> None:
        """As much as goes, without end: in chunks, or more than was announced as allowed."""
        chunked = b"Transfer-Encoding: chunked", b"10000\r\n" + b"x" * 65536 + b"\r\n"
        long = b"Content-Length: 15000000", b"x" * 65536
        header, piece = long if number % 2 else chunked
        while True:
            async with self._open() as (reader, writer):
                writer.write(
                    b"POST /predict HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n"
                )
                while not reader.at_eof():
                    writer.write(piece)
                    await writer.drain()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1024), 0.01)
            self._account.swept["endless"] += 1

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Streams]:
        writer = None
        try:
            reader, writer = await self._connect()
            yield reader, writer
        except OSError:
            await asyncio.sleep(0.2)
        finally:
            if writer is not None:
                writer.close()

    async def _connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self._port)


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    return _status(pid, "VmRSS") / 1000


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise KeyError(name)


def app_pid(up: Running) -> int:
    """The app's process below `lineside up`."""
    children = Path(f"/proc/{up.process.pid}/task/{up.process.pid}/children").read_text().split()
    (pid,) = (int(p) for p in children if b"camera" not in Path(f"/proc/{p}/cmdline").read_bytes())
    return pid


def probe(port: int) -> None:
    """Ask for health until the standard input ends; tells the times, ms. A process of its own.

    It stands for another machine: where it may, it goes before everything here.
    """
    with contextlib.suppress(PermissionError):
        os.nice(PROBE_NICENESS)
    spent_ms = []
    while not select.select([sys.stdin], [], [], PROBE_S)[0]:
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/health")
        connection.getresponse().read()
        connection.close()
        spent_ms.append((time.monotonic() - began) * 1000)
    print(json.dumps(spent_ms))


@contextlib.contextmanager
def probed(port: int, spent_ms: list[float]) -> Iterator[None]:
    """Health is asked for all the while."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--probe", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield
    finally:
        said, _ = process.communicate(timeout=20)
        spent_ms += json.loads(said)


def parts(data_dir: Path, since: float, until: float) -> tuple[list[float], Counter[str]]:
    """The line's parts of a time: milliseconds to the verdict, and verdicts."""
    database = sqlite3.connect(f"file:{data_dir / 'records.db'}?mode=ro", uri=True)
    rows = database.execute(
        "SELECT total_ms, decision FROM inspections "
        "WHERE camera = 'cam1' AND captured_at >= ? AND captured_at < ?",
        (since, until),
    ).fetchall()
    database.close()
    return sorted(ms for ms, _ in rows), Counter(decision for _, decision in rows)


def told(spent_ms: list[float]) -> str:
    """Quantiles in words."""
    if not spent_ms:
        return "none"
    ordered = sorted(spent_ms)
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.99))
    return f"{len(ordered)}, p50 {p50:.1f}, p99 {p99:.1f}, max {ordered[-1]:.1f} ms"


def main(words: list[str]) -> int:
    """Run it; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=200)
    parser.add_argument("--endless", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--probe", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    if asked.probe:
        probe(asked.probe)
        return 0
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as up:
        return abuse(up, Path(folder), asked)


def abuse(up: Running, data_dir: Path, asked: argparse.Namespace) -> int:
    """All of it against a device that runs."""
    up.wait_for(lambda: up.line()["up"] and json.loads(up.get("/health"))["model_loaded"])
    pid, account = app_pid(up), Account()
    load = Abuse(up.port, pid, account)
    asyncio.run(load.run(asked.requests // 20, 0, 0, asked.seed + 1))
    account.answers.clear()
    account.kinds.clear()
    account.silent.clear()
    began = time.time()
    time.sleep(QUIET_S)
    threads, files, memory_mb = _status(pid, "Threads"), _files(pid), resident_mb(pid)
    health_ms: list[float] = []
    start = time.time()
    with probed(up.port, health_ms):
        asyncio.run(load.run(asked.requests, asked.slow, asked.endless, asked.seed))
    end = time.time()
    time.sleep(2)
    faults = _faults(account, threads - _status(pid, "Threads"), resident_mb(pid) - memory_mb)
    if not health_ms:
        faults.append("health did not answer")
    elif (slowest_ms := max(health_ms)) >= MAX_HEALTH_MS:
        faults.append(f"health took {slowest_ms:.1f} ms; it may take {MAX_HEALTH_MS:g}")
    before, _ = parts(data_dir, began, start)
    meanwhile, verdicts = parts(data_dir, start, end)
    if verdicts["NONE"]:
        faults.append(f"{verdicts['NONE']} parts got no decision")
    if app_pid(up) != pid:
        faults.append("the app was started again")
    print(f"{sum(account.kinds.values())} requests in {end - start:.0f} s: {dict(account.kinds)}")
    print(f"answers: {dict(sorted(account.answers.items()))}, silent: {dict(account.silent)}")
    print(f"{asked.slow} slow, {asked.endless} endless clients; ended: {dict(account.swept)}")
    print(f"app: threads {threads} -> {_status(pid, 'Threads')}, files {files} -> {_files(pid)}")
    grown = " ".join(f"{mb:.1f}" for mb in account.memory_mb)
    print(f"memory: {memory_mb:.1f} -> {resident_mb(pid):.1f} MB; meanwhile {grown}")
    print(f"health: {told(health_ms)}")
    print(f"line before: {told(before)}; meanwhile: {told(meanwhile)}, {dict(verdicts)}")
    for content in account.failed[:5]:
        print(f"failed on {content[:300]!r}")
    print("; ".join(faults) or "no fault")
    return 1 if faults else 0


def _faults(account: Account, lost_threads: int, growth_mb: float) -> list[str]:
    faults = []
    if lost_threads:
        faults.append(f"threads lost: {lost_threads}")
    if growth_mb > MAX_GROWTH_MB:
        faults.append(f"memory grew by {growth_mb:.1f} MB")
    if account.failed:
        faults.append(f"the app failed {account.answers['500']} times")
    if silent := account.silent.total() - account.silent["unfinished"]:
        faults.append(f"{silent} whole requests got no answer")
    if account.answers["refused"]:
        faults.append(f"{account.answers['refused']} connections were refused")
    return faults


def _files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
