"""Check a batch script of several workers, without a cluster.

    python docs/scale/check_slurm.py [FILE.sh]

By default the file beside this one is checked. First its lines #SBATCH are; then it runs on this
machine, with stand-ins for kft, srun and scontrol. Needs a shell alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rehearsal import Report, rehearse
from stand_ins import GRACE_SECONDS, Scene, Start, make_scene, read_calls

HERE = Path(__file__).parent
_TIMEOUT_SECONDS = 30
_SHORT = {"-N": "nodes", "-n": "ntasks", "-c": "cpus-per-task", "-t": "time", "-o": "output"}

# The job's list of nodes is not in the order of the alphabet, as it need not be.
_SCONTROL = """#!/bin/sh
case "$1 $2" in
  "show hostnames"*)
    if [ "${3:-$SLURM_JOB_NODELIST}" != "$SLURM_JOB_NODELIST" ]; then exit 1; fi
    i=$SLURM_JOB_NUM_NODES
    while [ "$i" -gt 0 ]; do echo "rack$i"; i=$((i - 1)); done ;;
  "requeue $SLURM_JOB_ID") echo yes > "$REHEARSAL/requeued" ;;
  *) echo "scontrol $*: not known to this check" >&2; exit 1 ;;
esac
"""
# One task after another; its own options are written --NAME=VALUE, or -N 2.
_SRUN = """#!/bin/sh
echo "$@" > "$REHEARSAL/srun"
while [ "$#" -gt 0 ]; do
  case "$1" in
    --) shift; break ;;
    --*|-??*) shift ;;
    -?) shift 2 ;;
    *) break ;;
  esac
done
notes=$REHEARSAL highest=0 task=0
PATH="$REHEARSAL_PROGRAMS:$PATH"
export PATH REHEARSAL SLURM_PROCID SLURM_NODEID SLURM_LOCALID=0
while [ "$task" -lt "$SLURM_NTASKS" ]; do
  REHEARSAL=$notes/$task SLURM_PROCID=$task SLURM_NODEID=$task
  mkdir "$REHEARSAL"
  "$@" 2> "$REHEARSAL/errors"
  code=$?
  echo "$code" > "$REHEARSAL/code"
  if [ "$code" -gt "$highest" ]; then highest=$code; fi
  task=$((task + 1))
done
if [ -n "${REHEARSAL_CANCEL-}" ]; then kill -TERM "$PPID"; fi
exit "$highest"
"""


@dataclass(frozen=True)
class Script:
    """A batch script.

    Attributes:
        path: Its file.
        options: Of its lines #SBATCH, by their long names.
        late: Such lines after the first command, which Slurm does not read.
    """

    path: Path
    options: Mapping[str, str]
    late: Sequence[str]

    @property
    def num_nodes(self) -> int:
        """1 where it is not stated, or not one number."""
        stated = self.options.get("nodes", "")
        return int(stated) if stated.isdigit() else 1


@dataclass(frozen=True)
class Batch:
    """What a start of the script did.

    Attributes:
        starts: Of each worker; the script itself where it started none.
        code: It ended with.
        was_requeued: Whether it asked for that.
        srun: Options and command; empty where it was not called.
    """

    starts: tuple[Start, ...]
    code: int
    was_requeued: bool
    srun: str


def main(names: Sequence[str]) -> int:
    """Check the script; gives the exit code."""
    report = Report()
    path = Path(names[0]) if names else HERE / "slurm.sh"
    try:
        script = _read(path)
    except (OSError, UnicodeDecodeError) as error:
        report.fail(f"{path}: cannot be read as text: {error}")
        return report.finish()
    _check_options(report, script)
    rehearse(
        report,
        lambda scene: _start(script, scene).starts,
        lambda hosts: _check_hosts(report, script, hosts),
    )
    report.note(
        "the folder that it is submitted from, and KFT_CACHE_DIR, must be on a disk that all nodes "
        "see"
    )
    # What comes of an end means something only where a start is right.
    if not report.failures:
        _check_srun(report, script)
        _check_ends(report, script)
    return report.finish()


def _read(path: Path) -> Script:
    options: dict[str, str] = {}
    late = []
    has_begun = False
    for line in path.read_text(encoding="utf-8").splitlines():
        found = re.match(r"#SBATCH\s+(--?[\w-]+)(?:[=\s]\s*([^#\s]*))?", line)
        if found and has_begun:
            late.append(line)
        elif found:
            options[_SHORT.get(found[1], found[1].lstrip("-"))] = found[2] or ""
        elif line.strip() and not line.startswith("#"):
            has_begun = True
    return Script(path, options, late)


def _check_options(report: Report, script: Script) -> None:
    options = script.options
    report.check(
        not script.late,
        "#SBATCH: all before the first command",
        f"{script.path}: Slurm reads no #SBATCH after the first command. Move up: {script.late}.",
    )
    report.check(
        script.num_nodes > 1,
        f"--nodes={script.num_nodes}",
        f"#SBATCH --nodes: found {options.get('nodes')}. Write one number, 2 or more.",
    )
    tasks = options.get("ntasks", str(script.num_nodes))
    report.check(
        options.get("ntasks-per-node") == "1" and tasks == str(script.num_nodes),
        "--ntasks-per-node=1: one worker a node",
        f"#SBATCH --ntasks-per-node: found {options.get('ntasks-per-node')}, and --ntasks {tasks}. "
        "Write --ntasks-per-node=1 alone: a worker takes all cores and devices of its node.",
    )
    signal, _, seconds = options.get("signal", "").removeprefix("SIG").partition("@")
    report.check(
        signal == "TERM" and seconds.isdigit() and int(seconds) >= GRACE_SECONDS,
        f"--signal=TERM@{seconds}: the workers save before the limit",
        f"#SBATCH --signal: found {options.get('signal')}. Write TERM@{GRACE_SECONDS * 2}: without "
        f"B:, which would reach this script alone, and {GRACE_SECONDS} seconds or more before the "
        "limit, for a step and a checkpoint.",
    )
    report.check(
        "requeue" in options and "no-requeue" not in options,
        "--requeue: a lost node, or another job's priority, puts it back into the queue",
        "#SBATCH --requeue: missing. Without it a lost node ends the job.",
    )
    report.check(
        options.get("open-mode") == "append",
        "--open-mode=append: its output is kept",
        f"#SBATCH --open-mode: found {options.get('open-mode')}. Write append: a job that was "
        "requeued would empty its output.",
    )


def _check_hosts(report: Report, script: Script, hosts: Sequence[str]) -> None:
    nodes = _list_nodes(script)
    names = [host.rpartition(":")[0] for host in hosts]
    report.check(
        names == nodes,
        "they are the job's nodes, in their order",
        f"TF_CONFIG names {', '.join(names)}, but `scontrol show hostnames` says "
        f"{', '.join(nodes)}. Keep its order: task i runs on the i-th.",
    )


def _list_nodes(script: Script) -> list[str]:
    """As the stand-in of scontrol names them."""
    return [f"rack{number}" for number in range(script.num_nodes, 0, -1)]


def _start(script: Script, scene: Scene) -> Batch:
    """Run the script as Slurm would on the first node."""
    scene.add_program("scontrol", _SCONTROL)
    scene.add_program("srun", _SRUN)
    # Environments are loaded by it on many clusters; the stand-ins need none.
    scene.add_program("module", "#!/bin/sh\n")
    notes = scene.make_notes(0)
    count = str(script.num_nodes)
    given = {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NODELIST": f"rack[1-{count}]",
        "SLURM_JOB_NUM_NODES": count,
        "SLURM_NNODES": count,
        "SLURM_NTASKS": count,
        "SLURM_SUBMIT_DIR": str(scene.root),
        "REHEARSAL_PROGRAMS": str(scene.programs),
    }
    if "cpus-per-task" in script.options:
        given["SLURM_CPUS_PER_TASK"] = script.options["cpus-per-task"]
    try:
        done = subprocess.run(
            ["bash", str(script.path.resolve())],
            cwd=scene.root,
            env={**given, **scene.make_environment(notes)},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        start = Start((), 127, f"{type(error).__name__}: {error}")
        return Batch((start,) * script.num_nodes, 127, False, "")
    starts = tuple(_read_task(notes / str(index)) for index in range(script.num_nodes))
    called = notes / "srun"
    if not called.exists():
        starts = (Start((), done.returncode, done.stderr),) * script.num_nodes
    return Batch(
        starts,
        done.returncode,
        (notes / "requeued").exists(),
        called.read_text(encoding="utf-8") if called.exists() else "",
    )


def _read_task(notes: Path) -> Start:
    if not (notes / "code").exists():
        return Start((), 127, "srun did not start it")
    code = int((notes / "code").read_text(encoding="utf-8"))
    return Start(read_calls(notes), code, (notes / "errors").read_text(encoding="utf-8"))


def _check_srun(report: Report, script: Script) -> None:
    with tempfile.TemporaryDirectory() as folder:
        called = _start(script, make_scene(folder)).srun
    for option, reason in (
        (
            "--kill-on-bad-exit=0",
            "the chief is not killed at its checkpoint when another has ended",
        ),
        ("--wait=0", "nor at its evaluation and export"),
    ):
        report.check(
            option in called.split(),
            f"srun {option}: {reason}",
            f"srun: {option} is missing. A cluster's defaults may be others; with it {reason}.",
        )
    cores = script.options.get("cpus-per-task")
    if cores is not None:
        report.check(
            f"--cpus-per-task={cores}" in called.split(),
            f"srun --cpus-per-task={cores}: a worker has the cores that were asked for",
            f"srun: --cpus-per-task={cores} is missing. Since Slurm 22.05 srun does not take it "
            "from sbatch.",
        )


def _check_ends(report: Report, script: Script) -> None:
    """What comes of each exit code."""
    for code, environment, is_requeued, what in (
        (0, {}, False, "finished: the job ends"),
        (1, {}, True, "a worker was lost: the job is queued again"),
        (1, {"SLURM_RESTART_COUNT": "1000"}, False, "lost for the thousandth time: the job ends"),
        (2, {}, False, "wrong data or settings: the job ends"),
        (137, {}, True, "a worker was killed: the job is queued again"),
        (143, {}, True, "saved before the limit: the job is queued again"),
        (143, {"REHEARSAL_CANCEL": "yes"}, False, "ended by scancel: the job is not queued again"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            scene = make_scene(folder, {"REHEARSAL_CODE": str(code), **environment})
            batch = _start(script, scene)
        found = "queued again" if batch.was_requeued else "not queued again"
        report.check(
            batch.was_requeued == is_requeued and batch.code == code,
            f"exit code {code}: {what}",
            f"where all workers end with {code}, this must come of it: {what}, and the script's "
            f"exit code is {code}. Found exit code {batch.code}, {found}.",
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
