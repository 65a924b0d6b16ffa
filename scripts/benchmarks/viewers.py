"""Many people with the line view open, as the app sees them: `benchmarks.viewers PORT COUNT`.

In a process of their own, so that they take no turn from whoever measures. Each asks as the
page's scripts do: for the feed twice a second, for the picture four times a second with the
ETag of the one it has, on a connection that is kept. Ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Self

CAMERA = "cam1"
FEED_S, PICTURE_S = 0.5, 0.25
PATIENCE_S = 5.0


class Viewer:
    """One page.

    Args:
        port: The app's.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.answers: dict[int, int] = {}

    async def feed(self) -> None:
        """Ask for what is newer than what was seen."""
        newest = 0
        async with _Connection(self._port) as connection:
            while True:
                path = f"/page/live?camera={CAMERA}&after={newest}"
                status, _, body = await connection.get(path)
                self._count(status)
                for inspection in json.loads(body)["inspections"] if status == 200 else ():
                    newest = max(newest, inspection["id"])
                await asyncio.sleep(FEED_S)

    async def pictures(self) -> None:
        """Ask for the picture unless it is the one that was seen."""
        mark = ""
        async with _Connection(self._port) as connection:
            while True:
                status, headers, _ = await connection.get(
                    f"/page/cameras/{CAMERA}/live.jpg", f"If-None-Match: {mark}\r\n" if mark else ""
                )
                self._count(status)
                mark = headers.get("etag", mark)
                await asyncio.sleep(PICTURE_S)

    def _count(self, status: int) -> None:
        self.answers[status] = self.answers.get(status, 0) + 1


class _Connection:
    """Kept as long as the server keeps it, as a browser's is."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def _open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def get(self, path: str, more: str = "") -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one answer."""
        if self._reader.at_eof():
            self._writer.close()
            await self._open()
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: device\r\n{more}\r\n".encode())
        async with asyncio.timeout(PATIENCE_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.splitlines()
            pairs = (line.partition(": ") for line in lines if line)
            headers = {name.lower(): value for name, _, value in pairs}
            status = int(first.split()[1])
            # A 304 tells the length of what it does not send.
            size = 0 if status in (204, 304) else int(headers.get("content-length", 0))
            body = await self._reader.readexactly(size)
        return status, headers, body


async def watch(port: int, count: int) -> dict[int, int]:
    """Look until standard input ends; gives how many answers had which status."""
    viewers = [Viewer(port) for _ in range(count)]
    looks = [asyncio.ensure_future(look()) for v in viewers for look in (v.feed, v.pictures)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    failed = [look.exception() for look in looks if look.done()]
    for look in looks:
        look.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*looks, return_exceptions=True)
    answers: dict[int, int] = {0: len(failed)} if failed else {}
    for viewer in viewers:
        for status, number in viewer.answers.items():
            answers[status] = answers.get(status, 0) + number
    return answers


if __name__ == "__main__":
    print(json.dumps(asyncio.run(watch(int(sys.argv[1]), int(sys.argv[2])))))
