"""Receiving and sending without letting go of Python's lock.

Python gives its lock away around every call of the system, and a busy thread hands it back only
after its switch interval. For a call that may block that is right. These never block and take
some microseconds; with five of them to an upload, waiting for the lock afterwards was what
refusing an upload cost.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket

_libc = ctypes.PyDLL(None, use_errno=True)
_recv, _send = _libc.recv, _libc.send
_recv.restype = _send.restype = ctypes.c_ssize_t
_recv.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_send.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)

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
        taken = _recv(descriptor, self._buffer, len(self._buffer), _FLAGS)
        if taken < 0:
            raise _error()
        return self._view[:taken].tobytes()


def send(descriptor: int, content: bytes) -> int:
    """Send what the system takes at once; how many bytes that were.

    Raises:
        OSError: It takes none now (`BlockingIOError`), or the connection is gone.
    """
    sent = int(_send(descriptor, content, len(content), _FLAGS))
    if sent < 0:
        raise _error()
    return sent


def _error() -> OSError:
    number = ctypes.get_errno() or errno.EIO
    return OSError(number, os.strerror(number))
