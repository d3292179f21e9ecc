#!/usr/bin/env bash
# Tests sweeps on a real single-node Slurm, with every fault that one node can simulate. Installs
# Slurm on Debian and Ubuntu (as root), or skips with a message. Not covered by one node: a network
# file system, and differing clocks.
#
#   scripts/cluster-test.sh [PROGRAM] [TEST…]        default: target/debug/specbook, all tests
set -uo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/debug/specbook}"); shift || true
tests=("$@"); [ ${#tests[@]} -gt 0 ] || tests=(same nothing_twice arrays killed cancelled time_limit preempted node_down restarted no_accounting odd_names)
skip() { echo "skipped: $1"; exit 0; }
[ -x "$program" ] || { echo "no program at $program: build it first"; exit 1; }
[ "$(id -u)" = 0 ] || skip "Slurm's daemons have to be started as root"
if ! command -v slurmctld > /dev/null || ! command -v munged > /dev/null; then
  command -v apt-get > /dev/null || skip "no Slurm, and no apt-get to install it with"
  apt-get install -y --no-install-recommends slurm-wlm munge > /dev/null 2>&1 || skip "Slurm cannot be installed here"
fi

L=$(mktemp -d); host=$(hostname -s); export SLURM_CONF=$L/slurm.conf
mkdir -p "$L"/{state,spool,log} /run/munge
conf() { # conf MAX_ARRAY_SIZE
  cat > "$SLURM_CONF" <<END
ClusterName=lab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=17817
SlurmdPort=17818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$L/state
SlurmdSpoolDir=$L/spool
SlurmctldPidFile=$L/slurmctld.pid
SlurmdPidFile=$L/slurmd.pid
SlurmctldLogFile=$L/log/slurmctld.log
SlurmdLogFile=$L/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=10
MaxArraySize=$1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,bf_interval=1,sched_interval=1
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
END
}
pgrep -x munged > /dev/null || { chown munge:munge /run/munge /var/log/munge /var/lib/munge; runuser -u munge -- /usr/sbin/munged; }
start_controller() { slurmctld "$@"; for _ in $(seq 100); do scontrol ping 2> /dev/null | grep -q 'is UP' && return; sleep 0.2; done; }
stop_controller() { local pid; pid=$(cat "$L/slurmctld.pid"); kill "$pid"; while kill -0 "$pid" 2> /dev/null; do sleep 0.1; done; }
conf 1001; start_controller -c; slurmd; pids=()
finish() {
  scancel --me 2> /dev/null; sleep 1
  for pid in "${pids[@]}" "$(cat "$L/slurmd.pid" 2> /dev/null)" "$(cat "$L/slurmctld.pid" 2> /dev/null)"; do [ -n "$pid" ] && kill "$pid" 2> /dev/null; done
  [ "${failed:-0}" = 0 ] && rm -rf "$L" || echo "kept: $L"
}
trap finish EXIT
until sinfo -h -o %T | grep -q idle; do sleep 0.5; done
# Requeued jobs wait for two minutes (BeginTime), which is shortened here to a few seconds: a node
# refuses a task that it has just killed.
( before=; while sleep 3; do
    now=$(squeue -h -t PD -o '%A %r' 2> /dev/null | awk '$2 == "BeginTime" {print $1}')
    for job in $now; do case " $before " in *" $job "*) scontrol update job="$job" StartTime=now 2> /dev/null ;; esac; done
    before=$(echo $now)
  done ) & pids+=($!)

mkdir -p "$L/p/.git"
. scripts/sweeps.sh
spec grid 10 '[16, 32, 48]' '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]'
spec slow "${SLOW_STEPS:-20000}" '[32]' '[0, 1]'
# Slurm may signal the end of a task's time up to half a minute late.
spec long "$((6 * ${SLOW_STEPS:-20000}))" '[32]' '[0, 1]'
sb() { "$program" "$@"; }
failed=0; began=$(date +%s)
check() { if eval "$2"; then echo "  ok: $1"; else echo "  FAILED: $1"; failed=1; fi; }
missing() { echo $(( $(ls "$L/ref-$1"/runs-v1/*/*/record.json | wc -l) - $(ls "$L/$2"/runs-v1/*/*/record.json | wc -l) )); }
reference() { # once per spec
  [ -d "$L/ref-$1" ] || sb run "$L/p/specs/$1.yaml" --jobs 2 --no-report --quiet --store "$L/ref-$1" || failed=1
}
submit() { # submit SPEC STORE ARGUMENTS…
  local name=$1 store=$2; shift 2
  sb submit "$L/p/specs/$name.yaml" --to slurm --store "$L/$store" --out "$L/reports-$store" --mem 500 "$@" > "$L/log/$store.txt" 2>&1
}
# Waits until a task is training (its lease exists), with or without a checkpoint.
wait_for() { for _ in $(seq 600); do eval "$1" > /dev/null 2>&1 && return; sleep 0.2; done; echo "  waited in vain for: $1"; }
drained() { [ -z "$(squeue -h --me 2>&1)" ]; }
worker_pid() { pgrep -f "$program worker $L/$1/jobs-v1" | head -1; }

test_same() {
  reference grid
  submit grid same --task-minutes 0 --time 5 --wait; check "36 runs by an array, waited for" "[ $? = 0 ]"
  check "the same digests as --jobs 2" "equal grid same"
  check "the dependent job wrote the report" "wait_for drained; [ -s $L/reports-same/grid/index.html ]"
}
test_nothing_twice() {
  submit grid same --task-minutes 0 --time 5; check "a second submit has nothing to do" "grep -q 'nothing to submit: all 36 runs are cached' $L/log/same.txt"
  submit slow twice --task-minutes 0 --time 9; wait_for "training twice"
  submit slow twice --task-minutes 0 --time 9; check "what is in the queue is not queued again" "grep -q '2 are in the queue' $L/log/twice.txt"
  sb status "$L/p/specs/slow.yaml" --store "$L/twice" > "$L/log/status.txt"; check "status explains" "grep -qE 'in the queue: .*(running|pending)' $L/log/status.txt"
  sb cancel "$L/p/specs/slow.yaml" --store "$L/twice" > "$L/log/cancel.txt" 2>&1; check "cancel names the jobs" "grep -q 'cancelled: jobs' $L/log/cancel.txt"
  wait_for drained; check "after cancel nothing is in the queue" drained
}
test_arrays() {
  reference grid; stop_controller; conf 4; start_controller
  submit grid arrays --task-minutes 0 --time 5 --wait; check "36 tasks with MaxArraySize=4" "[ $? = 0 ] && equal grid arrays"
  check "nine arrays" "[ $(grep -o '"chunks"' "$L"/arrays/jobs-v1/*/jobs.json | wc -l) = 9 ]"
  stop_controller; conf 1001; start_controller
}
test_killed() {
  reference slow; submit slow killed --task-minutes 0 --time 9 --max-running 1; wait_for "training killed"; sleep 2
  kill -9 "$(worker_pid killed)"; wait_for drained
  check "the killed task's run is missing, the other is there" "[ $(ls "$L"/killed/runs-v1/*/*/record.json | wc -l) = 1 ]"
  submit slow killed --task-minutes 0 --time 9 --wait; check "only it is queued again" "grep -q '1 run in 1 task,' $L/log/killed.txt"
  check "the same digests" "equal slow killed"
}
test_cancelled() {
  reference slow; submit slow cancelled --task-minutes 0 --time 9; wait_for "training cancelled"; sleep 2
  scancel --me; wait_for drained; sleep 3
  check "a cancelled task does not put itself into the queue again" drained
  submit slow cancelled --task-minutes 0 --time 9 --wait; check "the same digests" "equal slow cancelled"
}
test_time_limit() {
  reference long; submit long limit --task-minutes 0 --time 1 --max-running 1 -- --signal=B:USR1@55; wait_for "training limit"
  wait_for "grep -q 'in the queue again' $L/limit/jobs-v1/*/logs/*"; check "a task told that its time ends puts itself into the queue again" "grep -q 'in the queue again' $L/limit/jobs-v1/*/logs/*"
  for job in $(squeue -h --me -o %A); do scontrol update job="$job" TimeLimit=9 2> /dev/null; done
  wait_for drained; wait_for drained
  check "it goes on from its checkpoint" "grep -rhE 'steps from step [1-9]' $L/limit/runs-v1/*/*/log.txt"
  check "the same digests" "equal long limit"
}
test_preempted() {
  reference slow; submit slow preempted --task-minutes 0 --time 9; wait_for "training preempted"; sleep 2
  sbatch -p urgent -n1 -c2 -o /dev/null --wrap 'sleep 3' > /dev/null; wait_for drained; wait_for drained
  check "preempted tasks come back, the same digests" "equal slow preempted"
}
test_node_down() {
  reference slow; submit slow down --task-minutes 0 --time 9; wait_for "training down"; sleep 2
  scontrol update nodename="$host" state=down reason=test; sleep 2
  # The node may already be back up.
  scontrol update nodename="$host" state=resume 2> /dev/null
  wait_for drained; wait_for drained; check "node down and back, the same digests" "equal slow down"
}
test_restarted() {
  reference grid; submit grid restarted --task-minutes 0 --time 5 & local submitting=$!; wait $submitting
  wait_for "training restarted"; stop_controller; sleep 2; start_controller; wait_for drained; wait_for drained
  # A restarted slurmd may mistake a task's script for a leftover and remove it before it starts
  # ("vestigial job script"); its run is then missing.
  local left; left=$(missing grid restarted); echo "  tasks that Slurm lost: $left"
  submit grid restarted --task-minutes 0 --time 5 --wait
  check "slurmctld restarted in the middle, only what Slurm lost is queued again" "[ $left = 0 ] || grep -q '^$left runs\? in ' $L/log/restarted.txt"
  check "the same digests" "equal grid restarted"
}
test_odd_names() { # a Latin-1 letter, what a shell reads, and what Slurm replaces in names of logs
  reference grid
  for name in $'caf\xe9' "a 'b' \$(c) 10%j" 'back\slash'; do
    local word; word=$(printf %q "$name")
    submit grid "$name" --task-minutes 0 --time 5 --wait; check "a store called $word: the same digests" "[ $? = 0 ] && equal grid $word"
    check "its logs are in it" "ls $L/$word/jobs-v1/*/logs | grep -qE '_(35|%a)\.log'"
  done
}
test_no_accounting() { check "sacct has nothing to say, and nobody asked it" "! sacct > /dev/null 2>&1"; }

for test in "${tests[@]}"; do echo "$test"; "test_$test"; echo "  $(( $(date +%s) - began )) s so far"; done
[ "$failed" = 0 ] && echo "all well" || exit 1
