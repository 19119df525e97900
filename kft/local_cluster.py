"""A cluster of processes on this machine: a rehearsal of one over several machines."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO

import click

_RUN_KFT = "from kft.cli.main import main; main(prog_name='kft')"
# Longer than TensorFlow takes to tell the others of a worker that is gone.
GRACE_SECONDS = 60.0


def launch(num_workers: int, arguments: Sequence[str]) -> int:
    """Run a command of kft as so many workers on loopback, and relay what they say.

    They compute on the CPU. A signal to this process goes to all of them. When one of them
    fails, the others have a minute to end by themselves.

    Args:
        num_workers: At least 2.
        arguments: Of `kft`, the same for all.

    Returns:
        The exit code of the first worker that failed, else 0.
    """
    addresses = [f"127.0.0.1:{port}" for port in find_ports(num_workers)]
    workers: list[subprocess.Popen[str]] = []
    with _forwarding(workers):
        try:
            for number in range(num_workers):
                workers.append(_start(arguments, _environment(addresses, number)))
            return _attend(workers)
        finally:
            for worker in workers:
                worker.kill()


def _start(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _RUN_KFT, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # So that Ctrl-C reaches them once, by way of this process.
        start_new_session=True,
    )


def _environment(addresses: Sequence[str], number: int) -> Mapping[str, str]:
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
    # One GPU would not do for several processes.
    return {**os.environ, "TF_CONFIG": json.dumps(task), "CUDA_VISIBLE_DEVICES": "-1"}


def find_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _attend(workers: Sequence[subprocess.Popen[str]]) -> int:
    """Relay until all have ended; the exit code of the first that failed, or 0."""
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    relays = [
        threading.Thread(target=_relay, args=(number, stream, stream is worker.stderr))
        for number, worker in enumerate(workers)
        for stream in (worker.stdout, worker.stderr)
    ]
    waits = [
        threading.Thread(target=_report_end, args=(number, worker, ended), daemon=True)
        for number, worker in enumerate(workers)
    ]
    for thread in (*relays, *waits):
        thread.start()
    exit_code, deadline = 0, 0.0
    for left in range(len(workers), 0, -1):
        try:
            patience = max(0.0, deadline - time.monotonic()) if exit_code else None
            number = ended.get(timeout=patience)
        except queue.Empty:
            click.echo(f"[kft] {left} workers have not ended; killing them", err=True)
            for worker in workers:
                worker.kill()
            break
        code = _exit_code(workers[number])
        if code and not exit_code:
            exit_code, deadline = code, time.monotonic() + GRACE_SECONDS
            if left > 1:
                click.echo(
                    f"[kft] worker {number} ended with exit code {code}; the others have "
                    f"{GRACE_SECONDS:.0f} s to end too",
                    err=True,
                )
    for thread in (*waits, *relays):
        thread.join()
    return exit_code


def _report_end(number: int, worker: subprocess.Popen[str], ended: queue.SimpleQueue[int]) -> None:
    worker.wait()
    ended.put(number)


def _exit_code(worker: subprocess.Popen[str]) -> int:
    """As shells count: 128 and the number of the signal that ended it."""
    code = worker.returncode
    return 128 - code if code < 0 else code


def _relay(number: int, stream: IO[str], is_error: bool) -> None:
    with stream:
        for line in stream:
            click.echo(f"[{number}] {line.rstrip()}", err=is_error)


@contextmanager
def _forwarding(workers: Sequence[subprocess.Popen[str]]) -> Iterator[None]:
    """Give SIGINT and SIGTERM on to all workers, which then end by themselves."""

    def forward(number: int, frame: object) -> None:
        for worker in workers:
            worker.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
