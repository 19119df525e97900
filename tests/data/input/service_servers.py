"""Run by test_service.py: imports TensorFlow once, then forks a process for each server.

A line of standard input, `dispatcher 0` or `worker HOST:PORT`, is what the
script of the guide is started with; the answer is the number of the process
and the address of the server. They end with the input.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from pathlib import Path

import tensorflow as tf

(GUIDE,) = sys.argv[1:]
(SCRIPT,) = re.findall(
    r"```py\n(import socket.*?)```", Path(GUIDE).read_text(encoding="utf-8"), re.DOTALL
)


def serve(arguments: list[str], told: int) -> None:
    service = tf.data.experimental.service

    def tell(server, join):
        address = getattr(server, "target", None) or server._address
        os.write(told, address.removeprefix("grpc://").encode())
        os.close(told)
        join(server)

    for kind in (service.DispatchServer, service.WorkerServer):
        kind.join = lambda server, join=kind.join: tell(server, join)
    # The name of this machine need not be known to anybody.
    socket.gethostname = lambda: "localhost"
    sys.argv[1:] = arguments
    exec(compile(SCRIPT, "serve.py", "exec"), {})


def main() -> None:
    started = []
    for line in sys.stdin:
        told, telling = os.pipe()
        number = os.fork()
        if not number:
            sys.stdin.close()
            serve(line.split(), telling)
            os._exit(0)
        os.close(telling)
        started.append(number)
        with os.fdopen(told) as address:
            print(number, address.read(), flush=True)
    for number in started:
        os.kill(number, signal.SIGKILL)


main()
