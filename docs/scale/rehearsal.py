"""Two starts of a job, and what must be true of them.

The user's own file runs as it stands, among the stand-ins of `stand_ins.py`.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from stand_ins import Call, Start, Starter, make_scene


class Report:
    """Prints a line for each check, and counts those that failed."""

    def __init__(self) -> None:
        self.checks = 0
        self.failures = 0

    def check(self, is_right: object, what: str, mend: str) -> bool:
        """One check.

        Args:
            is_right: Whether it holds.
            what: What holds then.
            mend: Else: where, what was found, and how to mend it.
        """
        if not is_right:
            self.fail(mend)
            return False
        self.checks += 1
        print(f"ok    {what}")
        return True

    def fail(self, mend: str) -> None:
        """A check that failed: where, what was found, and how to mend it."""
        self.checks += 1
        self.failures += 1
        print(f"FAIL  {mend}")

    def note(self, text: str) -> None:
        """What no check can know."""
        print(f"note  {text}")

    def finish(self) -> int:
        """The last line; gives the exit code."""
        print(f"{self.checks} checks, {self.failures} failed")
        return 1 if self.failures else 0


def rehearse(report: Report, start: Starter, check_hosts: Callable[[Sequence[str]], None]) -> None:
    """A job's first start, and the one after a stop.

    Args:
        report: Gets the checks.
        start: Of the user's file.
        check_hosts: Gets the cluster's workers, as HOST:PORT.
    """
    with tempfile.TemporaryDirectory() as folder:
        scene = make_scene(folder)
        first, second = start(scene), start(scene)
    for index, one in enumerate(first):
        if not report.check(
            one.code == 0 and len(one.calls) == 1,
            f"worker {index}: calls kft once",
            f"worker {index}: its command must call kft once, by that name. Found "
            f"{one.describe()}.",
        ):
            return
    calls = [one.calls[0] for one in first]
    _check_cluster(report, calls, check_hosts)
    words = calls[0].arguments
    is_named = any(word == "--run-id" or word.startswith("--run-id=") for word in words)
    report.check(
        {call.arguments for call in calls} == {words}
        and words[:1] == ("train",)
        and is_named
        and "--or-resume" in words,
        f"all say the same: kft {' '.join(words)}",
        "every worker must call the same `kft train`, with --run-id and --or-resume: then kft "
        f"begins the run or goes on with it. Found {_list(first)}.",
    )
    report.check(
        [one.calls for one in second] == [one.calls for one in first],
        "started again: all say it again",
        "started again, every worker must call kft as at its first start. Found at first "
        f"{_list(first)}; then {_list(second)}.",
    )


def _check_cluster(
    report: Report, calls: Sequence[Call], check_hosts: Callable[[Sequence[str]], None]
) -> None:
    """That all TF_CONFIG name one cluster, with the right index each."""
    configs = []
    for index, call in enumerate(calls):
        config = _parse_config(call.tf_config)
        if config is None:
            report.fail(
                f"worker {index}: found TF_CONFIG={call.tf_config!r}. It must be JSON such as "
                '{"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}.'
            )
            return
        configs.append(config)
    clusters = [config["cluster"] for config in configs]
    hosts = clusters[0]["worker"]
    report.check(
        all(cluster == clusters[0] for cluster in clusters),
        f"all name one cluster: {', '.join(hosts)}",
        f"the workers name several clusters: {clusters}. All must build the same list of hosts.",
    )
    indices = [config["task"]["index"] for config in configs]
    report.check(
        indices == list(range(len(calls))),
        f"each has its own index: {', '.join(map(str, indices))}",
        f"the workers take the indices {indices}; it must be {list(range(len(calls)))}.",
    )
    report.check(
        len(hosts) == len(calls) == len(set(hosts)),
        f"it has {len(calls)} workers",
        f"TF_CONFIG names {len(hosts)} workers ({', '.join(hosts)}), but {len(calls)} start. Name "
        "each once.",
    )
    ports = sorted({host.rpartition(":")[2] for host in hosts})
    report.check(
        len(ports) == 1 and ports[0].isdigit() and 1024 <= int(ports[0]) <= 65535,
        f"all listen on port {ports[0]}",
        f"TF_CONFIG names the ports {', '.join(ports)}; it must be one, from 1024 to 65535.",
    )
    check_hosts(hosts)


def _parse_config(text: str) -> dict[str, Any] | None:
    """TF_CONFIG; None where it is not of the form."""
    try:
        config = json.loads(text)
        hosts, task = config["cluster"]["worker"], config["task"]
    except (ValueError, TypeError, KeyError):
        return None
    is_right = (
        isinstance(hosts, list)
        and all(isinstance(host, str) and re.fullmatch(r"[^:\s]+:\d+", host) for host in hosts)
        and isinstance(task, dict)
        and task.get("type") == "worker"
        and isinstance(task.get("index"), int)
    )
    return config if is_right else None


def _list(starts: Sequence[Start]) -> str:
    return "; ".join(f"worker {index}: {one.describe()}" for index, one in enumerate(starts))
