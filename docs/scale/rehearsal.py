"""The starts that a job goes through, and what must be true of each.

The shell of the user's own file runs as it stands, among the stand-ins of `stand_ins.py`.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stand_ins import WAIT_SECONDS, Call, Scene, Start, Starter, make_scene


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
    """All that a job goes through: begun, stopped early, resumed, finished.

    Args:
        report: Gets the checks.
        start: Of the user's file.
        check_hosts: Gets the cluster's workers, as HOST:PORT.
    """
    with tempfile.TemporaryDirectory() as folder:
        scene = make_scene(folder)
        run = _rehearse_first(report, start(scene), check_hosts)
        if run is None:
            report.note("the starts after the first are not tried before it is right")
            return
        _write_status(run, "failed")
        starts = start(scene)
        report.check(
            _all_train(starts) and not run.exists(),
            "stopped before its manifest was written: put aside by the chief, all begin again",
            f"{run.name} has a directory and no manifest.json, as it stopped before any work: kft "
            "neither begins nor resumes there. Worker 0 must move the directory away before all "
            f"call `kft train`. Found {_list(starts)}.",
        )
        _write_status(run, "interrupted")
        (run / "manifest.json").write_text("{}\n", encoding="utf-8")
        starts = start(scene)
        report.check(
            all(_resumes(one, run) for one in starts),
            f"started again: all call kft train --resume {_get_resumed(starts)}",
            f"{run.name} has a manifest.json: every worker must call `kft train --resume` with its "
            f"directory. Found {_list(starts)}.",
        )
        _write_status(run, "finished")
        starts = start(scene)
        report.check(
            all(one.code == 0 and not one.calls for one in starts),
            "started when the run is finished: all end with 0, none trains",
            f'{run.name} has "state": "finished" in its status.json: kft resumes no finished run. '
            f"Every worker must end with exit code 0 without it. Found {_list(starts)}.",
        )


def rehearse_early_loss(report: Report, start: Starter) -> None:
    """A worker is lost when all have joined, and starts again before the chief has made the run."""
    with tempfile.TemporaryDirectory() as folder:
        scene = make_scene(folder)
        run = find_run(start(scene)[0].calls[0])
        late = Scene(scene.root, {"REHEARSAL_LATE": str(run)})
        starts = start(late)
        report.check(
            all(_resumes(one, run) for one in starts),
            "a worker that starts again waits for the end of those it had joined: all resume",
            "a worker that was lost early starts again while the chief of before still writes "
            f"manifest.json: found {_list(starts)}. It must wait {WAIT_SECONDS} seconds or more "
            "before it looks, or it begins where the others resume.",
        )


def find_run(call: Call) -> Path:
    """The run directory that a call of `kft train` makes.

    Raises:
        ValueError: The call leaves part of it to defaults.
    """
    words = list(call.arguments)
    found = {}
    for position, word in enumerate(words):
        for key in ("runs_directory=", "name=", "--run-id="):
            if word.startswith(key):
                found[key] = word.removeprefix(key)
        if word == "--run-id" and position + 1 < len(words):
            found["--run-id="] = words[position + 1]
    for key in ("runs_directory=", "name=", "--run-id="):
        if not found.get(key):
            raise ValueError(key)
    return call.folder / found["runs_directory="] / found["name="] / found["--run-id="]


def _rehearse_first(
    report: Report,
    starts: Sequence[Start],
    check_hosts: Callable[[Sequence[str]], None],
) -> Path | None:
    """The first start; gives the run directory, or None where the rest cannot be tried."""
    for index, one in enumerate(starts):
        if not report.check(
            one.code == 0 and len(one.calls) == 1,
            f"worker {index}: its shell runs, and calls kft once",
            f"worker {index}: its shell must run, and call kft once, by that name. Found "
            f"{one.describe()}.",
        ):
            return None
    calls = [one.calls[0] for one in starts]
    is_one_cluster = _check_cluster(report, calls, check_hosts)
    said = " ".join(calls[0].arguments)
    if not report.check(
        _all_train(starts) and len({call.arguments for call in calls}) == 1,
        f"all begin the same: kft {said}",
        "where there is no run yet, every worker must call the same `kft train`, without --resume. "
        f"Found {_list(starts)}.",
    ):
        return None
    try:
        run = find_run(calls[0])
    except ValueError as missing:
        report.fail(
            f"kft {said}: does not say {missing}…. State runs_directory=, name= and --run-id, so "
            "that the file finds the run again wherever the pipeline would put it."
        )
        return None
    return run if is_one_cluster else None


def _check_cluster(
    report: Report, calls: Sequence[Call], check_hosts: Callable[[Sequence[str]], None]
) -> bool:
    """That all TF_CONFIG name one cluster, with the right index each."""
    configs = []
    for index, call in enumerate(calls):
        config = parse_config(call.tf_config)
        if config is None:
            report.fail(
                f"worker {index}: found TF_CONFIG={call.tf_config!r}. It must be JSON such as "
                '{"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}.'
            )
            return False
        configs.append(config)
    clusters = [config["cluster"] for config in configs]
    are_equal = report.check(
        all(cluster == clusters[0] for cluster in clusters),
        f"all name one cluster: {', '.join(clusters[0]['worker'])}",
        f"the workers name several clusters: {clusters}. All must build the same list of hosts.",
    )
    indices = [config["task"]["index"] for config in configs]
    are_numbered = report.check(
        indices == list(range(len(calls))),
        f"each has its own index: {', '.join(map(str, indices))}",
        f"the workers take the indices {indices}; it must be {list(range(len(calls)))}.",
    )
    hosts = clusters[0]["worker"]
    are_counted = report.check(
        len(hosts) == len(calls) == len(set(hosts)),
        f"it has {len(calls)} workers",
        f"TF_CONFIG names {len(hosts)} workers ({', '.join(hosts)}), but {len(calls)} start. Let "
        "both come from one number.",
    )
    ports = sorted({host.rpartition(":")[2] for host in hosts})
    has_port = report.check(
        len(ports) == 1 and ports[0].isdigit() and 1024 <= int(ports[0]) <= 65535,
        f"all listen on port {ports[0]}",
        f"TF_CONFIG names the ports {', '.join(ports)}; it must be one, from 1024 to 65535.",
    )
    check_hosts(hosts)
    return are_equal and are_numbered and are_counted and has_port


def parse_config(text: str) -> dict[str, Any] | None:
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


def _write_status(run: Path, state: str) -> None:
    """As kft writes it; the user's file may have moved the directory away."""
    run.mkdir(parents=True, exist_ok=True)
    status = json.dumps({"state": state, "time": "2026-01-01T00:00:00+00:00"}, indent=2)
    (run / "status.json").write_text(status + "\n", encoding="utf-8")


def _all_train(starts: Sequence[Start]) -> bool:
    return all(
        one.code == 0
        and len(one.calls) == 1
        and one.calls[0].arguments[:1] == ("train",)
        and "--resume" not in one.calls[0].arguments
        for one in starts
    )


def _resumes(one: Start, run: Path) -> bool:
    if one.code != 0 or len(one.calls) != 1:
        return False
    call = one.calls[0]
    return call.arguments[:2] == ("train", "--resume") and (
        (call.folder / "".join(call.arguments[2:3])).resolve() == run.resolve()
    )


def _get_resumed(starts: Sequence[Start]) -> str:
    return " ".join(starts[0].calls[0].arguments[2:]) if starts[0].calls else ""


def _list(starts: Sequence[Start]) -> str:
    return "; ".join(f"worker {index}: {one.describe()}" for index, one in enumerate(starts))
