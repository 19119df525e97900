"""The address of a tf.data service."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?:grpc://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(?P<port>\d{1,5})")


def split_address(address: str) -> tuple[str, int]:
    """Split `HOST:PORT` or `grpc://HOST:PORT` into host and port; IPv6 hosts need brackets.

    >>> split_address("grpc://[2001:db8::5]:5050")
    ('2001:db8::5', 5050)

    Raises:
        ValueError: The address has neither form.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 2**16:
        raise ValueError(
            f"{address!r} is not the address of a dispatcher. Write HOST:PORT or grpc://HOST:PORT, "
            "such as 10.0.0.5:5050"
        )
    return found["host"].strip("[]"), int(found["port"])
