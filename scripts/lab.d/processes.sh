# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The processes on the hosts of a lab: each has a file with its pid below $run_dir/pid. Sourced by scripts/lab
# and scripts/niclab.

# in_host HOST COMMAND...: runs a command on the host. "ip netns exec" would hide bpffs, as it mounts a new
# /sys.
in_host() { nsenter --net="/run/netns/$prefix$1" "${@:2}"; }

# launch HOST NAME LOG COMMAND...: runs a program in the background and appends its output to LOG. nsenter and
# setsid exec, so $! is the pid of the program.
launch() {
  local host=$1 name=$2 log=$3
  shift 3
  setsid nsenter --net="/run/netns/$prefix$host" "$@" </dev/null >>"$log" 2>&1 &
  echo $! >"$run_dir/pid/$name"
}

# A zombie that its parent has not collected yet counts as dead.
alive() {
  local pid=$1 state
  state=$(awk '/^State:/ { print $2 }' "/proc/$pid/status" 2>/dev/null) || return 1
  [[ -n $state && $state != Z && $state != X ]]
}

pid_of() { cat "$run_dir/pid/$1" 2>/dev/null; }
running() { local pid; pid=$(pid_of "$1") && alive "$pid"; }

# wait_until SECONDS COMMAND...: repeats the command every 50 ms until it succeeds; fails after SECONDS.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    if ((SECONDS >= deadline)); then return 1; fi
    sleep 0.05
  done
}

none_alive() {
  local pid
  for pid in "$@"; do
    if alive "$pid"; then return 1; fi
  done
}

# end_all_but_servers: ends every other process on the hosts.
end_all_but_servers() {
  local namespace servers pids
  servers=$(cat "$run_dir/pid/"{nginx,udp_echo}@*)
  servers+=$'\n'$(for pid in $servers; do cat "/proc/$pid/task/$pid/children"; done | tr ' ' '\n')
  mapfile -t pids < <(for namespace in $(lab_namespaces); do ip netns pids "$namespace"; done |
    grep -vx -e $$ -f <(grep . <<<"$servers"))
  end_by_kill "${pids[@]}"
}

end_by_kill() {
  (($# > 0)) || return 0
  kill -9 "$@" 2>/dev/null || true
  wait_until 5 none_alive "$@" || fail "still running after kill -9: $*"
}

# remove_hosts: ends every process in the lab's namespaces, also clients that tests left behind, but not this
# script, and removes the namespaces.
remove_hosts() {
  local namespaces pids namespace
  mapfile -t namespaces < <(lab_namespaces)
  mapfile -t pids < <(for namespace in "${namespaces[@]}"; do ip netns pids "$namespace"; done | grep -vx $$)
  end_by_kill "${pids[@]}"
  for namespace in "${namespaces[@]}"; do ip netns delete "$namespace"; done
}
