#!/bin/bash
# Trains on two nodes, one worker each, and goes on after the time limit or the loss of a node.
#
# Yours to set: the lines #SBATCH, the environment, the line `kft train`. Then, from the folder that
# holds the data, on a disk that all nodes see:
#
#   sbatch --test-only slurm.sh
#   sbatch slurm.sh
#
#SBATCH --job-name=kft-photos
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
##SBATCH --gpus-per-node=1
#SBATCH --time=12:00:00
# To the workers, not to this script, two minutes before the limit: a step, and a checkpoint.
#SBATCH --signal=TERM@120
#SBATCH --requeue
# A job that was requeued goes on in the same file.
#SBATCH --open-mode=append
#SBATCH --output=kft-photos-%j.out

# What makes `kft` known on every node: module load …, or
# export PATH="$PWD/venv/bin:$PATH"

most_restarts=20
export KFT_CACHE_DIR="$PWD/cache"

# Another port for each job, below those that the system deals out: jobs may share a node.
port=$((12000 + SLURM_JOB_ID % 20000))
hosts=
for host in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do
  hosts="$hosts${hosts:+, }\"$host:$port\""
done
export CLUSTER="{\"worker\": [$hosts]}"

# Comes when the job as a whole is ended: by scancel, by the limit, by preemption. Slurm then decides
# whether it is queued again.
is_ended=no
trap 'is_ended=yes' TERM

# Workers that have lost one end by themselves. The chief is not to be killed before, at its checkpoint
# or its export. At every start the same command; another run needs another --run-id.
srun --kill-on-bad-exit=0 --wait=0 ${SLURM_CPUS_PER_TASK:+--cpus-per-task=$SLURM_CPUS_PER_TASK} sh -c '
  task="{\"type\": \"worker\", \"index\": $SLURM_PROCID}"
  export TF_CONFIG="{\"cluster\": $CLUSTER, \"task\": $task}"
  exec "$@"' worker \
  kft train photos training.global_batch_size=64 --run-id first --resume-if-started
code=$? # The highest of all workers.

# 0: done. 2: data or settings must change first.
if [ "$code" -eq 0 ] || [ "$code" -eq 2 ] || [ "$is_ended" = yes ]; then
  exit "$code"
fi
# 143: saved before the limit. All else: a worker was lost.
if [ "${SLURM_RESTART_COUNT:-0}" -ge "$most_restarts" ]; then
  echo "exit code $code, after $most_restarts restarts; submit the job again to go on"
  exit "$code"
fi
echo "exit code $code; the job is queued again"
scontrol requeue "$SLURM_JOB_ID"
exit "$code"
