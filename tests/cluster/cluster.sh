#!/usr/bin/env bash
# cluster.sh COMMAND DIR: a throwaway one-node Slurm in DIR, on loopback, without systemd; COMMAND is start, stop,
# stop-controller, start-controller or start-new-controller. Everything of it is in DIR and its ports are free ones, so
# that clusters run side by side and a killed one is in nobody's way.
# Use it with SLURM_CONF=DIR/slurm.conf and with DIR/bin first on PATH.
set -euo pipefail
command=${1:?what to do}
dir=$(realpath -m "${2:?directory}")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export SLURM_CONF=$dir/slurm.conf

# free_ports: two ports of loopback that nobody listens on, both held until both are known.
free_ports() {
  python3 - <<'END'
import socket
with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
    print(one.getsockname()[1], other.getsockname()[1])
END
}

start() {
  local ports
  read -ra ports < <(free_ports)
  mkdir -p "$dir"/{bin,munge,state,spool}
  # munged and slurmctld refuse folders that others could write.
  chmod 755 "$dir" "$dir/munge"
  chmod 700 "$dir/state"
  sed -e "s|@HOST@|$(hostname -s)|g; s|@DIR@|$dir|g; s|@CPUS@|$(nproc)|" \
    -e "s|@MEMORY@|$(awk '/MemTotal/ {print int($2 / 1024 * 0.8)}' /proc/meminfo)|" \
    -e "s|@CTLD_PORT@|${ports[0]}|; s|@SLURMD_PORT@|${ports[1]}|" \
    "$here/slurm.conf.in" >"$SLURM_CONF"
  cp "$here/gres.conf" "$dir/gres.conf"
  # The plugin that runs a job inside its allocation drops SLURM_CONF, so srun is told again where nobody names one.
  printf '#!/bin/sh\nexport SLURM_CONF="${SLURM_CONF:-%s}"\nexec "%s" "$@"\n' "$SLURM_CONF" "$(command -v srun)" \
    >"$dir/bin/srun"
  chmod 755 "$dir/bin/srun"
  (umask 077 && head -c 128 /dev/urandom >"$dir/munge/munge.key")
  munged --force --key-file="$dir/munge/munge.key" --socket="$dir/munge/munge.socket" \
    --pid-file="$dir/munge/munged.pid" --log-file="$dir/munge/munged.log" \
    --seed-file="$dir/munge/munged.seed" --num-threads=2
  slurmctld -c -f "$SLURM_CONF"
  slurmd -f "$SLURM_CONF"
  # sinfo waits for long where slurmctld died, so each call and the whole wait are bounded.
  local end=$((SECONDS + 30))
  while [ $SECONDS -lt $end ]; do
    if [ "$(timeout 3 sinfo -h -p cpu -o %T 2>/dev/null)" = idle ]; then return; fi
    if grep -q 'fatal:' "$dir"/slurm*.log; then break; fi
    sleep 0.2
  done
  echo "slurm: the node never became idle" >&2
  tail -n 20 "$dir"/slurm*.log >&2
  stop
  exit 1
}

# end FILE: ends the daemon whose process id is in FILE.
end() {
  [ -s "$dir/$1" ] || return 0
  local pid
  pid=$(cat "$dir/$1")
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 50); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
}

stop() {
  # Only this cluster's jobs and the daemons whose process ids it wrote down.
  for job in $(timeout 5 squeue -h -o %A -t PENDING,RUNNING 2>/dev/null || true); do
    timeout 5 scancel --signal=KILL "$job" 2>/dev/null || timeout 5 scancel "$job" 2>/dev/null || true
  done
  for file in slurmd.pid slurmctld.pid munge/munged.pid; do
    end "$file"
  done
}

case $command in
start) start ;;
stop) stop ;;
stop-controller) end slurmctld.pid ;;
# With what it knew of jobs.
start-controller) slurmctld -f "$SLURM_CONF" ;;
# With nothing.
start-new-controller) slurmctld -c -f "$SLURM_CONF" ;;
*) echo "usage: cluster.sh start|stop|stop-controller|start-controller|start-new-controller DIR" >&2 && exit 2 ;;
esac
