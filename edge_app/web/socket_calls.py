"""Receiving, sending and looking around without letting go of Python's lock.

Python gives its lock away around every call of the system, and a busy thread hands it back only
after its switch interval. For a call that may block that is right. These never block and take
some microseconds; with five of them to an upload, waiting for the lock afterwards was what
refusing an upload cost.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import select
import socket

_libc = ctypes.PyDLL(None, use_errno=True)
_recv, _send = _libc.recv, _libc.send
_recv.restype = _send.restype = ctypes.c_ssize_t
_recv.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_send.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)

_epoll_wait = _libc.epoll_wait
_epoll_wait.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)


class _Data(ctypes.Union):
    _fields_ = (("descriptor", ctypes.c_int), ("whole", ctypes.c_uint64))


class _Event(ctypes.Structure):
    """The kernel's `epoll_event`; on x86 alone there is no gap between its fields."""

    _pack_ = 1 if platform.machine() == "x86_64" else 8
    _fields_ = (("flags", ctypes.c_uint32), ("data", _Data))


_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


class Receiver:
    """Receives with one buffer for all connections; for one thread.

    Args:
        size: Bytes that are taken at once at most.
    """

    def __init__(self, size: int) -> None:
        self._buffer = ctypes.create_string_buffer(size)
        self._view = memoryview(self._buffer).cast("B")

    def receive(self, descriptor: int) -> bytes:
        """What has arrived; nothing at the end.

        Raises:
            OSError: Nothing has arrived (`BlockingIOError`), or the connection is gone.
        """
        return self._view[: self._take(descriptor, len(self._buffer), _FLAGS)].tobytes()

    def drop(self, descriptor: int, most: int) -> int:
        """Throw away what has arrived; how many bytes that were, 0 at the end.

        TCP does not even hand them over.

        Raises:
            OSError: As for `receive`.
        """
        return self._take(descriptor, most, _FLAGS | socket.MSG_TRUNC)

    def _take(self, descriptor: int, most: int, flags: int) -> int:
        taken = int(_recv(descriptor, self._buffer, min(most, len(self._buffer)), flags))
        if taken < 0:
            raise _error()
        return taken


def send(descriptor: int, content: bytes) -> int:
    """Send what the system takes at once; how many bytes that were.

    Raises:
        OSError: It takes none now (`BlockingIOError`), or the connection is gone.
    """
    sent = int(_send(descriptor, content, len(content), _FLAGS))
    if sent < 0:
        raise _error()
    return sent


class Watcher:
    """What an epoll set has to tell at once; for one thread.

    Args:
        poll: The set, whose entries Python registered.
        most: As much is told in one look.
    """

    def __init__(self, poll: select.epoll, most: int = 256) -> None:
        self._poll = poll
        self._events = (_Event * most)()

    def look(self) -> list[tuple[int, int]]:
        """Descriptor and flags of all that has happened; nothing is waited for."""
        found = _epoll_wait(self._poll.fileno(), self._events, len(self._events), 0)
        if found < 0:
            raise _error()
        return [(event.data.descriptor, event.flags) for event in self._events[:found]]


def _error() -> OSError:
    number = ctypes.get_errno() or errno.EIO
    return OSError(number, os.strerror(number))
