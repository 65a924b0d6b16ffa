"""Who may talk to a PLC port: a list of addresses and networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> list[Network]:
    """Addresses or networks, comma-separated; empty for everybody.

    Raises:
        ValueError: An entry is neither; says which.
    """
    return [ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()]


def allowed(client: str, allow: Sequence[Network]) -> bool:
    """Whether this peer may ask. A Unix socket's peer has no address: the file's mode decides."""
    if not allow or not client:
        return True
    address = ipaddress.ip_address(client.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        # A socket that listens on :: sees IPv4 clients like this.
        address = address.ipv4_mapped
    return any(address in network for network in allow)
