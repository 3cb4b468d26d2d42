#!/bin/sh
# A Slurm of one node on this machine, without accounting, to try the profile on. All of it lies in one folder.
#   sh one-node.sh start FOLDER        then: . FOLDER/env
#   sh one-node.sh stop FOLDER
# Needs slurmctld, slurmd, munged and mungekey (Debian: apt install slurm-wlm munge). PORT is the first of two free ports.
set -eu
folder=$(mkdir -p "$2" && cd "$2" && pwd)
port=${PORT:-$((20000 + $$ % 20000))}
name=$(hostname -s)
PATH=$PATH:/usr/sbin:/sbin

stop() {
    for program in slurmd slurmctld munged; do
        [ ! -s "$folder/$program.pid" ] || kill -KILL "$(cat "$folder/$program.pid")" 2>/dev/null || true
        rm -f "$folder/$program.pid"
    done
}

start() {
    mkdir -p "$folder/state" "$folder/spool"
    chmod 700 "$folder"
    [ -e "$folder/munge.key" ] || mungekey --create --keyfile "$folder/munge.key"
    cat > "$folder/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$name(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MailProg=/bin/true
NodeName=$name NodeAddr=127.0.0.1 CPUs=${CPUS:-2} RealMemory=200000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
SlurmdParameters=config_overrides
CONF
    # the plug-in takes SLURM_CONF away from the srun inside a job, which finds /etc/slurm/slurm.conf on a cluster that is there for good
    mkdir -p "$folder/bin"
    printf '#!/bin/sh\nexport SLURM_CONF="%s/slurm.conf"\nexec "%s" "$@"\n' "$folder" "$(command -v srun)" > "$folder/bin/srun"
    chmod 755 "$folder/bin/srun"
    printf 'export SLURM_CONF="%s/slurm.conf" PATH="%s/bin:$PATH"\n' "$folder" "$folder" > "$folder/env"
    export SLURM_CONF="$folder/slurm.conf"
    munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
        --log-file "$folder/munged.log" --seed-file "$folder/munge.seed"
    slurmctld
    slurmd
    for _ in $(seq 100); do
        case "$(sinfo -h -o %T 2>/dev/null)" in idle*) exit 0;; esac
        sleep 0.2
    done
    echo "the node did not come up; see $folder/slurmctld.log and $folder/slurmd.log" >&2
    exit 1
}

case "$1" in
    start) start;;
    stop) stop;;
    *) echo "one-node.sh start|stop FOLDER" >&2; exit 2;;
esac
