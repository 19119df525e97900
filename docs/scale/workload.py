"""A Job of Kubernetes as its files state it, and its pods as processes of this machine."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stand_ins import Scene, Start, read_calls

JOB_LABEL = "batch.kubernetes.io/job-name"
# Volumes that several nodes can write to.
SHARED_VOLUMES = ("persistentVolumeClaim", "nfs", "cephfs", "csi")
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Workload:
    """The Job of the files, and what belongs to it.

    Attributes:
        job: Its document.
        documents: All of the files.
    """

    job: Mapping[str, Any]
    documents: Sequence[Mapping[str, Any]]

    @property
    def name(self) -> str:
        """Of the Job."""
        return str(self.job["metadata"]["name"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """Of the Job."""
        return self.job["spec"]

    @property
    def pod(self) -> Mapping[str, Any]:
        """The pods' spec."""
        return self.spec["template"]["spec"]

    @property
    def container(self) -> Mapping[str, Any]:
        """The first one, which calls kft."""
        return self.pod["containers"][0]

    @property
    def num_workers(self) -> int:
        """As many as are to complete; 1 where no number says so."""
        count = self.spec.get("completions")
        return count if isinstance(count, int) else 1

    @property
    def labels(self) -> dict[str, str]:
        """Of its pods: its own, and those that Kubernetes adds."""
        own = (self.spec["template"].get("metadata") or {}).get("labels") or {}
        return {**own, JOB_LABEL: self.name, "job-name": self.name}

    @property
    def volumes(self) -> dict[str, Mapping[str, Any]]:
        """Of its pods, by name."""
        return {one["name"]: one for one in self.pod.get("volumes") or []}

    @property
    def mounts(self) -> Sequence[Mapping[str, Any]]:
        """Of the container."""
        return self.container.get("volumeMounts") or []

    @property
    def shared_paths(self) -> list[str]:
        """Paths in the container that all workers see and can write to."""
        return [
            mount["mountPath"].rstrip("/")
            for mount in self.mounts
            if any(kind in self.volumes.get(mount["name"], {}) for kind in SHARED_VOLUMES)
            and not mount.get("readOnly")
        ]

    def find(self, kind: str, name: object) -> Mapping[str, Any] | None:
        """The document of that kind and name."""
        for document in self.documents:
            if document.get("kind") == kind and document["metadata"].get("name") == name:
                return document
        return None

    def make_environment(self, index: int) -> dict[str, str]:
        """The container's variables in the pod of that index."""
        variables: dict[str, str] = {}
        for one in self.container.get("env") or []:
            source = (one.get("valueFrom") or {}).get("fieldRef") or {}
            value = one.get("value", self._read_field(str(source.get("fieldPath")), index))
            variables[one["name"]] = expand(str(value), variables)
        # Kubernetes adds it as the last one: no value above can refer to it.
        return {"JOB_COMPLETION_INDEX": str(index), **variables}

    def _read_field(self, path: str, index: int) -> str:
        """What the downward API gives; empty for what only a cluster knows."""
        found = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
        if found:
            key = "batch.kubernetes.io/job-completion-index"
            return {**self.labels, key: str(index)}.get(found[2], "")
        name = f"{self.name}-{index}-abcde"
        return {"metadata.name": name, "metadata.namespace": "default"}.get(path, "")


def start_pod(workload: Workload, scene: Scene, index: int) -> Start:
    """Run the container's command as the pod of that index would."""
    notes = scene.make_notes(index)
    variables = workload.make_environment(index)
    mounts = sorted(workload.shared_paths, key=len, reverse=True)
    words = [
        _move(expand(str(word), variables), mounts, scene.root)
        for part in ("command", "args")
        for word in workload.container.get(part) or []
    ]
    variables = {key: _move(value, mounts, scene.root) for key, value in variables.items()}
    folder = Path(_move(str(workload.container.get("workingDir")), mounts, scene.root))
    if not folder.is_relative_to(scene.root):
        folder = scene.root
    folder.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env={**variables, **scene.make_environment(notes)},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, IndexError, subprocess.TimeoutExpired) as error:
        return Start((), 127, f"{type(error).__name__}: {error}")
    return Start(read_calls(notes), done.returncode, done.stderr)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """As Kubernetes does: $(NAME) becomes its value, $$ one dollar, all else stays."""

    def replace(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else variables.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


def _move(text: str, mounts: Sequence[str], root: Path) -> str:
    """Paths on a shared volume, led into the scene's folder."""
    for mount in mounts:
        text = re.sub(rf"(?<![\w.-]){re.escape(mount)}(?![\w.-])", f"{root}{mount}", text)
    return text
