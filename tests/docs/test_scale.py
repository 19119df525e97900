"""The templates for clusters are valid by their schemas, and meet kft's requirements."""

import json
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

FOLDER = Path(__file__).parents[2] / "docs" / "scale"
SLURM = FOLDER / "slurm.sh"
# What a step and a checkpoint on a shared disk may take.
GRACE_SECONDS = 60


@pytest.fixture(scope="module")
def documents() -> dict[str, dict]:
    """Read the Kubernetes templates by kind."""
    texts = [(FOLDER / name).read_text("utf-8") for name in ("kubernetes.yaml", "volume.yaml")]
    return {one["kind"]: one for text in texts for one in YAML(typ="safe").load_all(text)}


@pytest.mark.parametrize("kind", ["Service", "Job", "PersistentVolumeClaim"])
@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
def test_kubernetes_knows_every_field_from_the_oldest_version_named_to_the_newest(
    documents, kind, version
):
    checked = kubernetes_validate.validate(documents[kind], version, strict=True)
    assert version.startswith(checked)
    with pytest.raises(kubernetes_validate.ValidationError, match="unheard_of"):
        unknown = {**documents[kind], "unheard_of": 1}
        kubernetes_validate.validate(unknown, version, strict=True)


def test_all_places_that_name_the_workers_agree(documents):
    job, service = documents["Job"], documents["Service"]
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] > 1
    name, subdomain = job["metadata"]["name"], service["metadata"]["name"]
    assert pod["subdomain"] == subdomain
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": name}
    (port,) = {one["port"] for one in service["spec"]["ports"]}
    assert [one["containerPort"] for one in container["ports"]] == [port]
    hosts = [f"{name}-{index}.{subdomain}:{port}" for index in range(spec["completions"])]
    variables = {one["name"]: one for one in container["env"]}
    # Only what stands above a value can be put into it.
    assert list(variables).index("INDEX") < list(variables).index("TF_CONFIG")
    path = variables["INDEX"]["valueFrom"]["fieldRef"]["fieldPath"]
    assert path == "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    config = json.loads(variables["TF_CONFIG"]["value"].replace("$(INDEX)", "1"))
    assert config == {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": 1}}


def test_a_worker_that_ended_starts_again_by_the_same_command_and_finds_the_run(documents):
    spec = documents["Job"]["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    assert container["command"][:2] == ["kft", "train"]
    assert {"--run-id", "--resume-if-started"} < set(container["command"])
    assert pod["restartPolicy"] == "Never", "podFailurePolicy needs it"
    # Each loss ends all workers.
    assert spec["backoffLimit"] >= spec["completions"]
    assert pod["terminationGracePeriodSeconds"] >= GRACE_SECONDS
    rules = spec["podFailurePolicy"]["rules"]
    # 2: data or settings are wrong. 143: stopped and saved.
    of_codes = {"containerName": container["name"], "operator": "In"}
    assert rules == [
        {"action": "FailJob", "onExitCodes": of_codes | {"values": [2]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore", "onExitCodes": of_codes | {"values": [143]}},
    ]
    claim = documents["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    (volume,), (mount,) = pod["volumes"], container["volumeMounts"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert (mount["name"], container["workingDir"]) == (volume["name"], mount["mountPath"])
    folders = [one["value"] for one in container["env"] if one["name"].startswith("KFT_")]
    assert [str(Path(folder).parent) for folder in folders] == [mount["mountPath"]] * 2


def test_shellcheck_finds_nothing_in_the_batch_script():
    # Beside this Python, whether or not its environment is activated.
    places = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    program = shutil.which("shellcheck", path=places)
    assert program is not None, "the extra `dev` brings it"
    # SC2016: what stands in single quotes is for the shell of each worker.
    subprocess.run([program, "--exclude=SC2016", SLURM], check=True)


# Stand-ins: two nodes, whose list is not in the order of the alphabet; kft notes its call.
PROGRAMS = {
    "scontrol": """case "$1 $2" in
        "show hostnames") printf 'rack7\\nrack3\\n' ;;
        *) echo "$*" >> asked ;;
    esac""",
    "srun": """echo "$@" > srun; while [ "${1#-}" != "$1" ]; do shift; done
    for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; code=$?; done
    if [ -n "$CANCELLED" ]; then kill -TERM "$PPID"; fi; exit "$code" """,
    "kft": 'echo "$TF_CONFIG" >> configs; echo "$@" >> calls; exit "$CODE"',
}


@pytest.mark.parametrize(
    ("code", "variables", "is_requeued"),
    [
        pytest.param(0, {}, False, id="finished"),
        pytest.param(1, {}, True, id="a worker was lost"),
        pytest.param(1, {"SLURM_RESTART_COUNT": "1000"}, False, id="lost for the 1000th time"),
        pytest.param(2, {}, False, id="data or settings are wrong"),
        pytest.param(137, {}, True, id="a worker was killed"),
        pytest.param(143, {}, True, id="saved before the limit"),
        pytest.param(143, {"CANCELLED": "yes"}, False, id="ended by scancel"),
    ],
)
def test_the_batch_script_starts_all_workers_and_is_queued_again_where_that_helps(
    tmp_path, code, variables, is_requeued
):
    for name, text in PROGRAMS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    job = {"SLURM_JOB_ID": "20007", "SLURM_JOB_NODELIST": "rack[7,3]", "SLURM_CPUS_PER_TASK": "8"}
    given = {"PATH": f"{tmp_path}:{os.defpath}", "CODE": str(code), **job, **variables}
    (tmp_path / "asked").touch()
    done = subprocess.run(["bash", SLURM], cwd=tmp_path, env=given, check=False)
    assert done.returncode == code
    assert (tmp_path / "asked").read_text() == ("requeue 20007\n" if is_requeued else "")
    configs = [json.loads(line) for line in (tmp_path / "configs").read_text().splitlines()]
    cluster = {"worker": ["rack7:12007", "rack3:12007"]}
    task = {"type": "worker"}
    assert configs == [{"cluster": cluster, "task": {**task, "index": i}} for i in range(2)]
    first, second = (tmp_path / "calls").read_text().splitlines()
    assert first == second
    assert re.fullmatch(r"train \S+ .*--run-id \S+ --resume-if-started", first)
    options = {"--kill-on-bad-exit=0", "--wait=0", "--cpus-per-task=8"}
    assert options <= set((tmp_path / "srun").read_text().split())


def test_slurm_gives_a_step_and_a_checkpoint_time_and_keeps_the_output():
    options = re.findall(r"^#SBATCH --(.*)$", SLURM.read_text("utf-8"), re.MULTILINE)
    given = dict(option.partition("=")[::2] for option in options)
    assert int(given["nodes"]) > int(given["ntasks-per-node"]) == 1
    # With B: it would signal the script alone.
    assert int(given["signal"].removeprefix("TERM@")) >= GRACE_SECONDS
    assert "requeue" in given
    assert given["open-mode"] == "append"
