"""The forms for clusters: their checks pass as they stand, and say what is wrong with others."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "scale"
KUBERNETES = FOLDER / "kubernetes.yaml"
SLURM = FOLDER / "slurm.sh"


def run_check(script: str, *files: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / script), *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )


def edit(source: Path, folder: Path, *changes: tuple[str, str]) -> Path:
    text = source.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    copy = folder / source.name
    copy.write_text(text, encoding="utf-8")
    return copy


def failures(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result.stdout + result.stderr
    assert not result.stderr
    return "\n".join(line for line in result.stdout.splitlines() if line.startswith("FAIL"))


@pytest.mark.parametrize("script", ["check_kubernetes.py", "check_slurm.py"])
def test_the_forms_are_right_as_they_stand(script):
    result = run_check(script)
    assert result.returncode == 0, result.stdout + result.stderr
    *lines, last = result.stdout.splitlines()
    assert last == f"{sum(line.startswith('ok ') for line in lines)} checks, 0 failed"
    assert all(line.startswith(("ok    ", "note  ")) for line in lines)
    assert any(line.endswith("--run-id first --or-resume") for line in lines)


def test_a_job_of_other_names_counts_and_paths_is_right_too(tmp_path):
    changed = edit(
        KUBERNETES,
        tmp_path,
        ("completions: 2", "completions: 5"),
        ("parallelism: 2", "parallelism: 5"),
        ("kft-photos", "bees"),
        ("name: kft\nspec:\n  #", "name: hive\nspec:\n  #"),
        ("subdomain: kft", "subdomain: hive"),
        ('"bees-1.kft:2222"', ", ".join(f'"bees-{i}.kft:2222"' for i in range(1, 5))),
        (".kft:", ".hive:"),
        ("2222", "7070"),
        ("/shared", "/mnt/lab"),
        ("photos, training", "/mnt/lab/bees, runs_directory=/mnt/lab/outcomes, training"),
        ("--run-id, first", "--run-id=first"),
        ("claimName: kft-shared", "claimName: lab"),
    )
    result = run_check("check_kubernetes.py", changed)
    assert result.returncode == 0, result.stdout
    assert "bees-3.hive:7070, bees-4.hive:7070" in result.stdout
    assert "note  claim lab is in none of these files" in result.stdout


def test_a_script_of_other_names_counts_and_paths_is_right_too(tmp_path):
    changed = edit(
        SLURM,
        tmp_path,
        ("--nodes=2", "--nodes 4"),
        ("--cpus-per-task=8", "--cpus-per-task=64"),
        ("--run-id first", "--run-id second"),
        ("TERM@120", "SIGTERM@300"),
        ("# What makes", "module load kft\n# What makes"),
    )
    result = run_check("check_slurm.py", changed)
    assert result.returncode == 0, result.stdout
    assert "each has its own index: 0, 1, 2, 3" in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("completions: 2", "completions: 3", "found completions 3, parallelism 2"),
        (', "kft-photos-1.kft:2222"', "", "TF_CONFIG names 1 workers"),
        ("value: /shared/cache", "value: 2", "[2] are no text. Put quotes"),
        ("--run-id, first", "--run-id, 1", "[1] are no text. Put quotes"),
        ("Indexed", "NonIndexed", "completionMode: found NonIndexed. Write Indexed"),
        ("subdomain: kft", "subdomain: other", "Job, subdomain: found other"),
        (".kft:", ".other:", "kft-photos-0.other, kft-photos-1.other, but the pods"),
        ("job-name: kft-photos", "job-name: kft", "Write batch.kubernetes.io/job-name: kft-photos"),
        ("clusterIP: None", "clusterIP: 10.0.0.1", "clusterIP: found 10.0.0.1"),
        ("      port: 2222", "      port: 2223", "Service kft, ports: found [2223]"),
        ("containerPort: 2222", "containerPort: 80", "container, ports: found [80]"),
        (
            "      volumes:\n        - name: shared",
            "      volumes:\n        - name: other",
            "mounted",
        ),
        ("value: /shared/cache", "value: /cache", "KFT_CACHE_DIR: found /cache"),
        ("workingDir: /shared", "workingDir: /work", "workingDir: found /work"),
        ("GracePeriodSeconds: 120", "GracePeriodSeconds: 30", "found 30. Give 60 or more"),
        ("backoffLimit: 20", "backoffLimit: 1", "backoffLimit: found 1"),
        ("restartPolicy: Never", "restartPolicy: OnFailure", "restartPolicy: found OnFailure"),
        ("values: [2]", "values: [3]", "exit code 2 of container 'kft' leads to Count"),
        ("type: DisruptionTarget", "type: Evicted", "condition DisruptionTarget leads to Count"),
        ("cpu:", "processors:", "State cpu and memory"),
        ("  template:", "  templates:", "a field is missing"),
        ("kind: Job", "kind: Jobs", "0 documents of kind Job"),
        ("kind: Job", "kind: [", "cannot be read as YAML"),
        ('"index": $(INDEX)', '"index": 0', "the workers take the indices [0, 0]"),
        # Kubernetes adds that one after all others.
        ("$(INDEX)", "$(JOB_COMPLETION_INDEX)", "$(JOB_COMPLETION_INDEX)}}'. It must be JSON"),
        ("command: [kft,", "command: [sh, -c,", "worker 0: its command must call kft once"),
        (", --or-resume", "", "with --run-id and --or-resume"),
        ("--run-id, first, ", "", "with --run-id and --or-resume"),
        ("--run-id, first", "--run-id, $(INDEX)", "every worker must call the same"),
    ],
)
def test_a_broken_job_is_told(tmp_path, old, new, said):
    changed = edit(KUBERNETES, tmp_path, (old, new))
    assert said in failures(run_check("check_kubernetes.py", changed, FOLDER / "volume.yaml"))


def test_a_claim_for_one_node_is_told(tmp_path):
    changed = edit(FOLDER / "volume.yaml", tmp_path, ("ReadWriteMany]", "ReadWriteOnce]"))
    told = failures(run_check("check_kubernetes.py", KUBERNETES, changed))
    assert "accessModes: found ['ReadWriteOnce']. Write [ReadWriteMany]" in told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("--nodes=2", "--nodes=2-4", "--nodes: found 2-4. Write one number"),
        ("--ntasks-per-node=1", "--ntasks-per-node=2", "--ntasks-per-node: found 2"),
        ("--signal=TERM@120", "--signal=B:TERM@120", "--signal: found B:TERM@120"),
        ("--signal=TERM@120", "--signal=TERM@30", "60 seconds or more"),
        ("#SBATCH --requeue\n", "", "--requeue: missing"),
        ("--open-mode=append", "--open-mode=truncate", "--open-mode: found truncate"),
        ("#SBATCH --nodes=2\n", "set -u\n#SBATCH --nodes=2\n", "no #SBATCH after the first"),
        ('"$SLURM_JOB_NODELIST"', '"$SLURM_JOB_NODELIST" | sort', "Keep its order"),
        ("$host:$port", "$host:80", "it must be one, from 1024 to 65535"),
        (
            'index\\": $SLURM_PROCID',
            'index\\": $SLURM_LOCALID',
            "the workers take the indices [0, 0]",
        ),
        ("--kill-on-bad-exit=0 ", "", "--kill-on-bad-exit=0 is missing"),
        ("--wait=0 ", "", "--wait=0 is missing"),
        (" ${SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK}", "", "Since Slurm 22.05"),
        (" --or-resume", "", "with --run-id and --or-resume"),
        ("--run-id first", '--run-id "$$"', "started again, every worker must call kft as"),
        ("scontrol requeue", "echo", "with 143, this must come of it: saved before the limit"),
        (
            "trap 'is_ended=yes' TERM",
            "trap : TERM",
            "ended by scancel: the job is not queued again",
        ),
        ("-eq 2 ]", "-eq 3 ]", "with 2, this must come of it: wrong data or settings"),
        ('-ge "$most_restarts"', "-lt 0", "lost for the thousandth time"),
    ],
)
def test_a_broken_script_is_told(tmp_path, old, new, said):
    assert said in failures(run_check("check_slurm.py", edit(SLURM, tmp_path, (old, new))))


def test_a_file_that_is_not_there_is_told(tmp_path):
    for script in ("check_kubernetes.py", "check_slurm.py"):
        told = failures(run_check(script, tmp_path / "none"))
        assert "none: cannot be read" in told
