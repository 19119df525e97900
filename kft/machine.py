"""Facts about this machine, from the operating system and without importing TensorFlow."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# TensorFlow reads this variable when it starts its thread pools.
_THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS"
_CGROUPS = Path("/sys/fs/cgroup")
_PROC = Path("/proc")


def describe_machine() -> dict[str, str | int]:
    """Describe what affects the speed of a training step: processor, cores, memory, GPUs."""
    return {
        "processor": processor(),
        "cores": num_cores(),
        # Whole gigabytes, because the exact size differs between starts of one machine.
        "memory_gigabytes": round(total_memory() / 2**30),
        "gpus": _num_gpus(),
    }


def num_cores() -> int:
    """Number of cores that this process may use: by its affinity and its control group's quota."""
    if hasattr(os, "sched_getaffinity"):
        bound = len(os.sched_getaffinity(0))
    else:
        bound = os.cpu_count() or 1
    quota = _cpu_quota()
    return max(1, min(bound, math.ceil(quota))) if quota else bound


def load_average() -> float:
    """Average number of runnable processes over the last minute; 0 if unknown."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def default_threads() -> int:
    """Threads of an operation: set by `set_threads` or the user, else one per core."""
    given = os.environ.get(_THREADS_VARIABLE, "")
    return int(given) if given.isdigit() and int(given) else num_cores()


def threads_environment(count: int) -> dict[str, str]:
    """Environment in which TensorFlow starts with `count` threads per operation.

    >>> threads_environment(2)
    {'TF_NUM_INTRAOP_THREADS': '2'}
    """
    return {_THREADS_VARIABLE: str(count)}


def set_threads(count: int) -> bool:
    """Let TensorFlow's operations use so many threads; call it before TensorFlow uses a device.

    Returns:
        Whether the number is in force; False if TensorFlow has started with another one.
    """
    given = os.environ.get(_THREADS_VARIABLE)
    if given == str(count):
        return True
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        # TensorFlow's default of 0 means one thread per core.
        requested = tensorflow.config.threading.get_intra_op_parallelism_threads()
        if not given and requested == 0 and count == num_cores():
            return True
        try:
            tensorflow.config.threading.set_intra_op_parallelism_threads(count)
        except RuntimeError:
            return False
    os.environ[_THREADS_VARIABLE] = str(count)
    return True


@contextmanager
def restored_threads() -> Iterator[None]:
    """Put the environment back as it was before `set_threads`.

    TensorFlow itself keeps its threads as long as the process runs.
    """
    given = os.environ.get(_THREADS_VARIABLE)
    try:
        yield
    finally:
        os.environ.pop(_THREADS_VARIABLE, None)
        if given is not None:
            os.environ[_THREADS_VARIABLE] = given


def total_memory() -> int:
    """Bytes of memory in total; 0 if unknown."""
    return _meminfo("MemTotal")


def available_memory() -> int:
    """Bytes available without swapping, within the control group's limit; 0 if unknown."""
    found = [_meminfo("MemAvailable"), *_group_memory()]
    return min((size for size in found if size > 0), default=0)


def peak_memory() -> int:
    """Largest memory of this process so far, in bytes; 0 if unknown."""
    try:
        lines = (_PROC / "self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return _peak_by_resource()


def _peak_by_resource() -> int:
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, kilobytes elsewhere.
    return peak if sys.platform == "darwin" else peak * 1024


def processor() -> str:
    """Name of the processor."""
    try:
        text = (_PROC / "cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.processor() or platform.machine()


def _num_gpus() -> int:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        return len([device for device in hidden.split(",") if device.strip() not in ("", "-1")])
    try:
        return len(list((_PROC / "driver/nvidia/gpus").iterdir()))
    except OSError:
        return 0


def _meminfo(name: str) -> int:
    try:
        lines = (_PROC / "meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":")), 0)


def _group_memory() -> list[int]:
    """Bytes left to each control group of this process and to their parent groups."""
    left = []
    for group in _groups("memory"):
        for limit_file, used_file in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _number(group / limit_file), _number(group / used_file)
            if limit is not None and used is not None:
                left.append(max(1, limit - used))
    return left


def _cpu_quota() -> float | None:
    """Number of cores that the control groups grant; None if unlimited."""
    quotas = []
    for group in _groups("cpu"):
        try:
            quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            quota = str(_number(group / "cpu.cfs_quota_us") or "max")
            period = str(_number(group / "cpu.cfs_period_us") or "")
        if quota.isdigit() and period.isdigit() and int(quota):
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def _groups(controller: str) -> list[Path]:
    """Folders of this process's control groups (version 2 and 1) and of their parents."""
    try:
        lines = (_PROC / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    folders: dict[Path, None] = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        if names and controller not in names.split(","):
            continue
        root = _CGROUPS / controller if names else _CGROUPS
        inner = root / path.lstrip("/")
        folders.update(dict.fromkeys((inner, *inner.parents)))
    return [folder for folder in folders if folder.is_relative_to(_CGROUPS) and folder.is_dir()]


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
