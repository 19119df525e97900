"""Check a Job of several workers, without a cluster.

    python docs/scale/check_kubernetes.py [FILE.yaml ...]

By default the files beside this one are checked. First the fields that matter are; then the
container's command runs on this machine, twice for each index, with a stand-in for kft.
Needs PyYAML, and a shell.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rehearsal import Report, rehearse
from stand_ins import GRACE_SECONDS, Scene, Start
from workload import JOB_LABEL, SHARED_VOLUMES, Workload, start_pod

HERE = Path(__file__).parent


def main(names: Sequence[str]) -> int:
    """Check the files; gives the exit code."""
    report = Report()
    paths = [Path(name) for name in names] or [HERE / "kubernetes.yaml", HERE / "volume.yaml"]
    try:
        _check(report, paths)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        report.fail(
            f"{', '.join(map(str, paths))}: a field is missing, or of another kind than Kubernetes "
            f"expects ({type(error).__name__}: {error}). Compare with {HERE / 'kubernetes.yaml'}."
        )
    return report.finish()


def _check(report: Report, paths: Sequence[Path]) -> None:
    workload = _read(report, paths)
    if workload is None:
        return
    _check_job(report, workload)
    _check_failures(report, workload)
    _check_names(report, workload)
    _check_volumes(report, workload)
    _check_container(report, workload)

    def start(scene: Scene) -> list[Start]:
        return [start_pod(workload, scene, index) for index in range(workload.num_workers)]

    def check_hosts(hosts: Sequence[str]) -> None:
        _check_hosts(report, workload, hosts)

    rehearse(report, start, check_hosts)


def _read(report: Report, paths: Sequence[Path]) -> Workload | None:
    documents = []
    for path in paths:
        try:
            read = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            report.fail(f"{path}: cannot be read as YAML: {error}")
            return None
        documents += [one for one in read if one is not None]
    jobs = [one for one in documents if one.get("kind") == "Job"]
    if not report.check(
        len(jobs) == 1,
        "one Job",
        f"{', '.join(map(str, paths))}: {len(jobs)} documents of kind Job; there must be one.",
    ):
        return None
    return Workload(jobs[0], documents)


def _check_job(report: Report, workload: Workload) -> None:
    spec = workload.spec
    report.check(
        workload.job.get("apiVersion") == "batch/v1",
        f"{workload.name}: of batch/v1",
        f"Job, apiVersion: found {workload.job.get('apiVersion')}; it is batch/v1.",
    )
    report.check(
        spec.get("completionMode") == "Indexed",
        "Indexed: each pod has an index, and a name by it",
        f"Job, completionMode: found {spec.get('completionMode')}. Write Indexed, else pods have "
        "neither an index nor a name that lasts.",
    )
    report.check(
        spec.get("completions") == spec.get("parallelism") and workload.num_workers > 1,
        f"{workload.num_workers} completions, as many at once",
        f"Job: found completions {spec.get('completions')}, parallelism {spec.get('parallelism')}. "
        "Both are the number of workers, 2 or more: none trains before all have joined.",
    )
    grace = workload.pod.get("terminationGracePeriodSeconds", 30)
    report.check(
        grace >= GRACE_SECONDS,
        f"{grace} seconds from SIGTERM to SIGKILL",
        f"Job, terminationGracePeriodSeconds: found {grace}. Give {GRACE_SECONDS} or more: a step, "
        "and a checkpoint on the shared volume.",
    )


def _check_failures(report: Report, workload: Workload) -> None:
    spec, count = workload.spec, workload.num_workers
    limit = spec.get("backoffLimit", 6)
    report.check(
        limit >= count,
        f"{limit} failures allowed: {limit // count} losses of a worker",
        f"Job, backoffLimit: found {limit}. One lost worker ends all {count}: allow {count} for "
        "each loss that the run is to outlive.",
    )
    report.check(
        workload.pod.get("restartPolicy") == "Never",
        "a lost worker comes back as a new pod",
        f"Job, restartPolicy: found {workload.pod.get('restartPolicy')}. podFailurePolicy needs "
        "Never.",
    )
    rules = (spec.get("podFailurePolicy") or {}).get("rules") or []
    container = str(workload.container.get("name"))
    for code, right, what in (
        (1, "Count", "a lost worker starts again, and is counted"),
        (2, "FailJob", "wrong data or settings end the Job"),
        (143, "Ignore", "a worker that was stopped and saved starts again, and is not counted"),
    ):
        action = _find_action(rules, container, code=code)
        report.check(
            action == right,
            f"exit code {code}: {what}",
            f"Job, podFailurePolicy: exit code {code} of container {container!r} leads to "
            f"{action}; it must lead to {right}: {what}.",
        )
    action = _find_action(rules, container, condition="DisruptionTarget")
    report.check(
        action == "Ignore",
        "evicted: a pod starts again, and is not counted",
        f"Job, podFailurePolicy: the condition DisruptionTarget leads to {action}. Write a rule "
        "with action Ignore: an eviction is no fault of the run.",
    )


def _find_action(
    rules: Sequence[Mapping[str, Any]],
    container: str,
    *,
    code: int | None = None,
    condition: str | None = None,
) -> str:
    """What the first rule that fits does; Count where none fits."""
    for rule in rules:
        codes = rule.get("onExitCodes") or {}
        is_ours = codes and code is not None and codes.get("containerName") in (None, container)
        if is_ours and (code in codes["values"]) == (codes["operator"] == "In"):
            return str(rule["action"])
        if any(one["type"] == condition for one in rule.get("onPodConditions") or ()):
            return str(rule["action"])
    return "Count"


def _check_names(report: Report, workload: Workload) -> None:
    subdomain = workload.pod.get("subdomain")
    service = workload.find("Service", subdomain)
    names = [one["metadata"]["name"] for one in workload.documents if one["kind"] == "Service"]
    report.check(
        service is not None,
        f"subdomain {subdomain}: the name of the Service",
        f"Job, subdomain: found {subdomain}, but the Services are named {names}. Write the name of "
        "the Service: under it the pods have their names.",
    )
    if service is None:
        return
    spec = service["spec"]
    report.check(
        spec.get("clusterIP") == "None",
        f"Service {subdomain}: headless",
        f"Service {subdomain}, clusterIP: found {spec.get('clusterIP')}. Write clusterIP: None, so "
        "that each pod has a name of its own.",
    )
    selector = spec.get("selector") or {}
    report.check(
        selector and selector.items() <= workload.labels.items(),
        f"Service {subdomain}: selects the pods of {workload.name}",
        f"Service {subdomain}, selector: found {selector}, but the pods have {workload.labels}. "
        f"Write {JOB_LABEL}: {workload.name}.",
    )
    spaces = [one["metadata"].get("namespace") for one in (service, workload.job)]
    report.check(
        spaces[0] == spaces[1],
        "Service and Job: in one namespace",
        f"metadata.namespace: found {spaces[0]} of the Service and {spaces[1]} of the Job. Write "
        "the same.",
    )
    longest = f"{workload.name}-{workload.num_workers - 1}"
    report.check(
        len(longest) <= 63,
        f"host names such as {longest}: short enough",
        f"Job, metadata.name: the host name {longest} has {len(longest)} characters. 63 are "
        "allowed.",
    )


def _check_volumes(report: Report, workload: Workload) -> None:
    missing = [one["name"] for one in workload.mounts if one["name"] not in workload.volumes]
    report.check(
        not missing,
        "every mount has its volume",
        f"Job, volumes: found {list(workload.volumes)}, but {missing} are mounted. Write a volume "
        "for each.",
    )
    environment = workload.make_environment(0)
    for what, path in (
        ("workingDir", workload.container.get("workingDir")),
        ("KFT_CACHE_DIR", environment.get("KFT_CACHE_DIR")),
    ):
        shared = workload.shared_paths
        report.check(
            path and any(Path(path).is_relative_to(one) for one in shared),
            f"{what} {path}: on a shared volume",
            f"container, {what}: found {path}, but shared volumes are mounted at {shared}. All "
            "workers must see the same data, runs and caches: give it a path on a volume of kind "
            f"{', '.join(SHARED_VOLUMES)} that is not readOnly.",
        )
    for volume in workload.volumes.values():
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if name is not None:
            _check_claim(report, workload, name)


def _check_claim(report: Report, workload: Workload, name: str) -> None:
    claim = workload.find("PersistentVolumeClaim", name)
    if claim is None:
        report.note(
            f"claim {name} is in none of these files: `kubectl get pvc {name}` must say RWX and "
            "Bound"
        )
        return
    modes = claim["spec"].get("accessModes")
    report.check(
        modes and "ReadWriteMany" in modes,
        f"claim {name}: ReadWriteMany",
        f"PersistentVolumeClaim {name}, accessModes: found {modes}. Write [ReadWriteMany], and a "
        "storage class that offers it: pods on several nodes write to it.",
    )


def _check_container(report: Report, workload: Workload) -> None:
    container = workload.container
    values = [
        *(one.get("value", "") for one in container.get("env") or []),
        *(container.get("command") or []),
        *(container.get("args") or []),
    ]
    numbers = [value for value in values if not isinstance(value, str)]
    report.check(
        not numbers,
        "env, command, args: all values are text",
        f"container, env, command, args: {numbers} are no text. Put quotes round them.",
    )
    limits = (container.get("resources") or {}).get("limits") or {}
    report.check(
        {"cpu", "memory"} <= limits.keys(),
        f"limits: {', '.join(f'{key} {value}' for key, value in limits.items())}",
        f"container, resources.limits: found {limits}. State cpu and memory: kft takes a thread "
        "for each core of the limit, and without one for each core of the node.",
    )
    image = str(container.get("image"))
    if "example.com" in image:
        report.note(f"image {image} does not exist: put yours in its place")


def _check_hosts(report: Report, workload: Workload, hosts: Sequence[str]) -> None:
    """That the cluster's workers are the pods, by their names under the Service."""
    subdomain = workload.pod.get("subdomain")
    pods = [f"{workload.name}-{index}.{subdomain}" for index in range(workload.num_workers)]
    names = [host.rpartition(":")[0] for host in hosts]
    report.check(
        len(names) == len(pods)
        # The rest of a full name, as .default.svc.cluster.local, changes nothing.
        and all(f"{one}.".startswith(f"{pod}.") for one, pod in zip(names, pods, strict=True)),
        "they are the names of the pods",
        f"TF_CONFIG names {', '.join(names)}, but the pods are {', '.join(pods)}: JOB-INDEX, and "
        "the name of the Service, in the order of the indices.",
    )
    named = sorted({int(host.rpartition(":")[2]) for host in hosts})
    service = workload.find("Service", subdomain) or {"spec": {}}
    for what, ports in (
        (f"Service {subdomain}", [one["port"] for one in service["spec"].get("ports") or []]),
        ("container", [one["containerPort"] for one in workload.container.get("ports") or []]),
    ):
        report.check(
            set(named) <= set(ports),
            f"{what}: has that port",
            f"{what}, ports: found {ports}, but TF_CONFIG names {named}. Write the same.",
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
