"""A cluster of worker processes on this machine, to rehearse one over several machines."""

from __future__ import annotations

import json
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

from kft.plugins import child_environment

_RUN_KFT = "from kft.cli.main import main; main(prog_name='kft')"
# Longer than TensorFlow takes to notify the other workers of a lost one.
GRACE_SECONDS = 60.0


def launch(num_workers: int, arguments: Sequence[str]) -> int:
    """Run a command of kft as several workers on the loopback interface, and relay their output.

    The workers compute on the CPU. Signals to this process are forwarded to all of them. After
    one worker fails, the others have a minute to end by themselves.

    Args:
        num_workers: Number of workers, at least 2.
        arguments: Arguments of `kft`, the same for all workers.

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
        # Ctrl-C then reaches the workers only once, forwarded by this process.
        start_new_session=True,
    )


def _environment(addresses: Sequence[str], number: int) -> Mapping[str, str]:
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
    # Several processes cannot share one GPU.
    return {**child_environment(), "TF_CONFIG": json.dumps(task), "CUDA_VISIBLE_DEVICES": "-1"}


def find_ports(count: int) -> list[int]:
    """Find free ports on the loopback interface."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _attend(workers: Sequence[subprocess.Popen[str]]) -> int:
    """Relay output until all workers have ended; return the first failed one's exit code, or 0."""
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
            click.echo(f"[kft] {left} workers are still running; killing them", err=True)
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
    """Exit code as shells report it: 128 plus the signal's number for a killed process."""
    code = worker.returncode
    return 128 - code if code < 0 else code


def _relay(number: int, stream: IO[str], is_error: bool) -> None:
    with stream:
        for line in stream:
            click.echo(f"[{number}] {line.rstrip()}", err=is_error)


@contextmanager
def _forwarding(workers: Sequence[subprocess.Popen[str]]) -> Iterator[None]:
    """Forward SIGINT and SIGTERM to all workers, which then end by themselves."""

    def forward(number: int, frame: object) -> None:
        for worker in workers:
            worker.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
