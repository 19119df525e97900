"""Facts about the machine are read from the system, within the limits of control groups."""

import os
import subprocess
import sys

import pytest

from kft import machine


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Replace /proc and /sys/fs/cgroup by folders of the test."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    groups.mkdir()
    monkeypatch.setattr(machine, "_PROC", proc)
    monkeypatch.setattr(machine, "_CGROUPS", groups)
    (proc / "meminfo").write_text("MemTotal: 8000 kB\nMemAvailable: 6000 kB\n")
    (proc / "self/cgroup").write_text("0::/box/inner\n")
    return proc, groups


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_without_limits_the_whole_machine_is_available(system):
    assert machine.available_memory() == 6000 * 1024
    assert machine.total_memory() == 8000 * 1024


def test_the_memory_limit_of_a_parent_group_applies(system):
    write(system[1] / "box", memory__max="2000000\n", memory__current="500000\n")
    write(system[1] / "box/inner", memory__max="max\n", memory__current="500000\n")
    assert machine.available_memory() == 1_500_000


def test_the_memory_limit_of_cgroups_version_1_applies(system):
    (system[0] / "self/cgroup").write_text("4:memory:/box\n0::/\n")
    files = {"memory__limit_in_bytes": "3000000\n", "memory__usage_in_bytes": "1000000\n"}
    write(system[1] / "memory/box", **files)
    assert machine.available_memory() == 2_000_000


def test_a_quota_reduces_the_number_of_cores(system, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert machine.num_cores() == 8
    write(system[1] / "box/inner", cpu__max="150000 100000\n")
    assert machine.num_cores() == 2
    write(system[1] / "box/inner", cpu__max="max 100000\n")
    assert machine.num_cores() == 8


def test_a_quota_of_cgroups_version_1_reduces_the_number_of_cores(system, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    (system[0] / "self/cgroup").write_text("1:cpu,cpuacct:/box\n")
    files = {"cpu__cfs_quota_us": "300000\n", "cpu__cfs_period_us": "100000\n"}
    write(system[1] / "cpu/box", **files)
    assert machine.num_cores() == 3


def test_a_system_without_information_causes_no_error(system):
    for file in ("meminfo", "self/cgroup"):
        (system[0] / file).unlink()
    assert machine.available_memory() == 0
    assert machine.num_cores() >= 1
    assert machine.describe_machine()["processor"]


def test_hidden_gpus_do_not_count(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    assert machine.describe_machine()["gpus"] == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert machine.describe_machine()["gpus"] == 0


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads in /proc")
def test_threads_are_set_only_before_tensorflow_starts():
    # More than TensorFlow would start by itself, for operations and between them.
    count = 8 * machine.num_cores()
    code = (
        "import os\n"
        "from kft.machine import set_threads\n"
        f"assert set_threads({count})\n"
        "import tensorflow as tf\n"
        "tf.constant(1.0)\n"
        f"assert len(os.listdir('/proc/self/task')) > {count}\n"
        f"assert set_threads({count})\n"
        f"assert not set_threads({count + 1})\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TF_NUM_INTRAOP_THREADS"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr


def test_the_environment_is_put_back_and_tensorflow_is_known_to_keep_its_threads():
    code = (
        "import os\n"
        "from kft.config import load_pipeline\n"
        "from kft.machine import restored_threads, set_threads\n"
        "from kft.startup import start_tensorflow\n"
        "with restored_threads():\n"
        "    start_tensorflow(load_pipeline('.', ['training.threads=3']))\n"
        "    assert os.environ['TF_NUM_INTRAOP_THREADS'] == '3'\n"
        "assert 'TF_NUM_INTRAOP_THREADS' not in os.environ\n"
        "assert not set_threads(5)\n"
        "assert set_threads(3)\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TF_NUM_INTRAOP_THREADS"}
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert result.returncode == 0, result.stderr


def test_threads_that_the_environment_names_are_the_default(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    assert machine.default_threads() == 7
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS")
    assert machine.default_threads() == machine.num_cores()
