"""The server's loop tells since when what it finds may have lain there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from edge_app.web.loop import Loop


class Ear:
    """A connection that notes what the loop says of its bytes' arrival."""

    accepting = False

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.loop: Loop
        self.came_at: list[float] = []

    def readable(self) -> bool:
        """Always."""
        return True

    def writable(self) -> bool:
        """Never."""
        return False

    def handle_read_event(self) -> None:
        """Take what is there."""
        self._connection.recv(100)
        self.came_at.append(self.loop.came_at)


@pytest.fixture
def wire() -> Iterator[tuple[socket.socket, Ear]]:
    """The far end of a connection, and the ear at its near one."""
    far, near = socket.socketpair()
    with far, near:
        ear = Ear(near)
        ear.loop = Loop({near.fileno(): ear})
        ear.loop.turn(time.monotonic(), 0.0)
        yield far, ear
        ear.loop.close()


def test_what_lay_there_while_the_loop_was_busy_came_before(
    wire: tuple[socket.socket, Ear],
) -> None:
    """A deadline does not wait for a loop that has much to do."""
    far, ear = wire
    sent_at = time.monotonic()
    far.send(b"x")
    time.sleep(0.2)

    ear.loop.turn(time.monotonic(), 1.0)

    assert ear.came_at[0] <= sent_at


def test_what_was_waited_for_came_just_now(wire: tuple[socket.socket, Ear]) -> None:
    """An idle loop takes no time from anybody's deadline."""
    far, ear = wire
    idle_since = time.monotonic()
    later = threading.Timer(0.2, far.send, [b"x"])
    later.start()

    while not ear.came_at:
        ear.loop.turn(time.monotonic(), 1.0)

    later.join()
    assert ear.came_at[0] >= idle_since + 0.2
