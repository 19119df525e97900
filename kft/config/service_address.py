"""Where a tf.data service is reached."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?:grpc://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+):(?P<port>\d{1,5})")


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT` or `grpc://HOST:PORT`; an IPv6 address stands in brackets.

    Raises:
        ValueError: It is neither.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 2**16:
        raise ValueError(
            f"{address!r} is no address of a dispatcher. Write HOST:PORT or grpc://HOST:PORT, such "
            "as 10.0.0.5:5050"
        )
    return found["host"].strip("[]"), int(found["port"])
