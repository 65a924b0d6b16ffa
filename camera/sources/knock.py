"""A cheap look whether a camera is there at all, before it is opened at some expense."""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse

KNOCK_S = 0.5
"""A camera in the same plant answers within milliseconds, or it is not up yet."""

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}

GVCP_PORT = 3956
GVCP_DISCOVERY = bytes.fromhex("4201000200000001")
"""GigE Vision's "who are you", acknowledge wanted, no content; sent to the camera alone."""


def nobody_listens(url: str) -> str:
    """Why a stream can't be had at present: its port takes no connection. Empty if it does."""
    parts = urllib.parse.urlsplit(url)
    try:
        address = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
        socket.create_connection(address, KNOCK_S).close()
    except (OSError, ValueError) as error:
        return f"{parts.hostname} can't be reached: {error}"
    return ""


def no_industrial_camera(address: str) -> str:
    """Why a GigE Vision camera can't be had at present; empty if it answers, or can't be asked.

    Only a camera known by its IP address can be asked without a broadcast.
    """
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    except ValueError:
        return ""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            asking.settimeout(KNOCK_S)
            asking.connect((address, GVCP_PORT))
            asking.send(GVCP_DISCOVERY)
            asking.recv(1024)
    except OSError as error:
        return f"camera {address} does not answer: {error}"
    return ""
