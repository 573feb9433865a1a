# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Teal on the edge: its config, teal-dataplane and teald. Sourced by scripts/lab.

readonly dataplane_binary=$build/dataplane/teal-dataplane
readonly daemon_binary=$build/control/teald
readonly health_binary=$build/control/teal-health
readonly dataplane_log=$run_dir/log/dataplane.log
readonly daemon_log=$run_dir/log/daemon.log
readonly health_log=$run_dir/log/health.log

check_binaries() {
  local binary
  for binary in "$dataplane_binary" "$daemon_binary" "$health_binary" "$build/control/teal"; do
    [[ -x $binary ]] || fail "$binary is missing; build it (ninja -C build) or set TEAL_BUILD_DIR"
  done
}

edge_environment() {
  export PATH=$build/control:$build/dataplane:$PATH TEAL_SOCKET=$run_dir/control.sock
}

on_edge() { (edge_environment; in_host edge "$@"); }

# write_config WORKERS DRIVER IDLE CPU EXTRA
write_config() {
  echo "$1" >"$run_dir/workers"
  sed -e "s/@WORKERS@/$1/" -e "s/@FRONT@/$2:front/" -e "s/@BACK@/$2:back/" -e "s/@IDLE@/$3/" \
    -e "s/@CPUS@/${4:+cpus = [$4]}/" "$repo/scripts/lab.d/teal.toml.in" | cat - "$5" >"$run_dir/teal.toml"
}

# With --driver af_packet the dataplane gets a copy of each packet, and the kernel gets the original, because
# no steering program runs. The kernel would forward a backend's reply without translation, and the client
# would answer it with RST. The kernel would also answer for a VIP that no interface has. So rules drop the
# dataplane's packets. Packets to a VIP are dropped before connection tracking sees them. Packets from a
# backend's socket are dropped if the kernel has not seen the other direction: then they are replies to
# packets that came by the VIP. A connection straight to a backend is tracked and passes.
keep_kernel_off_the_services() {
  in_host edge nft -f - <<'END'
table inet teal_lab {
  chain to_vip {
    type filter hook prerouting priority raw;
    iifname { front, back } ip daddr { 198.18.0.10, 198.18.0.110 } tcp dport 80 drop
    iifname { front, back } ip daddr { 198.18.0.10, 198.18.0.110 } udp dport 5300 drop
    iifname { front, back } ip6 daddr { fd18:0::10, fd18:0::110 } tcp dport 80 drop
  }
  chain from_backend {
    type filter hook forward priority filter;
    iifname back ip saddr 198.18.2.0/24 tcp sport 8080 ct state new,invalid drop
    iifname back ip saddr 198.18.2.0/24 udp sport 5300 ct state new,invalid drop
    iifname back ip6 saddr fd18:2::/64 tcp sport 8080 ct state new,invalid drop
  }
}
END
}

# start_dataplane WORKERS: returns when the workers poll.
start_dataplane() {
  if running dataplane@edge; then fail "the dataplane runs already, pid $(pid_of dataplane@edge)"; fi
  use_queues "$1"
  local from_line
  touch "$dataplane_log"
  from_line=$(($(wc -l <"$dataplane_log") + 1))
  launch_as_unit teal-dataplane dataplane@edge "$dataplane_log" \
    "$dataplane_binary" --config "$run_dir/teal.toml" --run-dir "$run_dir" --workers "$1"
  wait_until 15 dataplane_ready_or_dead "$from_line" || program_failed dataplane "not ready after 15 s"
  running dataplane@edge || program_failed dataplane "it ended at its start"
}

# detach_dataplane: its programs on the ports outlive it.
detach_dataplane() {
  if [[ ! -e $run_dir/teal.toml ]]; then return; fi   # a bare lab
  in_host edge "$dataplane_binary" --config "$run_dir/teal.toml" --run-dir "$run_dir" --detach >/dev/null ||
    fail "cannot detach the dataplane"
}

dataplane_ready_or_dead() {
  tail -n "+$1" "$dataplane_log" | grep -q 'ready:' || ! running dataplane@edge
}

start_daemon() {
  if running daemon@edge; then fail "the daemon runs already, pid $(pid_of daemon@edge)"; fi
  launch_as_unit teald daemon@edge "$daemon_log" \
    "$daemon_binary" --config "$run_dir/teal.toml" --run-dir "$run_dir" --state-dir "$run_dir/state" \
    --health-user "$(user_id teal-health)"
  if ! wait_until 15 daemon_answers_or_dead; then
    on_edge teal list >&2 || true   # says why
    program_failed daemon "no answer on its socket after 15 s"
  fi
  running daemon@edge || program_failed daemon "it ended at its start"
}

# start_health: starts the prober. The tests that want checks start it.
start_health() {
  if running health@edge; then fail "teal-health runs already, pid $(pid_of health@edge)"; fi
  launch_as_unit teal-health health@edge "$health_log" "$health_binary" --run-dir "$run_dir"
  wait_until 15 health_connected_or_dead || program_failed health "teald has not got it after 15 s"
  running health@edge || program_failed health "it ended at its start"
}

health_connected_or_dead() {
  on_edge teal health -o json | grep -q '"connected": true' || ! running health@edge
}

daemon_answers_or_dead() { on_edge teal list >/dev/null 2>&1 || ! running daemon@edge; }

wait_for_services() {
  wait_until 15 http_answers client1 198.18.0.10 80 "" || services_failed "service-a, HTTP over IPv4"
  wait_until 15 http_answers client1 '[fd18:0::10]' 80 "" || services_failed "service-b, HTTP over IPv6"
  wait_until 15 udp_answers client1 198.18.0.10 5300 "" || services_failed "service-c, UDP"
}

services_failed() {
  tail -n 20 "$dataplane_log" "$daemon_log" >&2
  fail "no flow from client1 came through $1 within 15 s, although the backends answer without Teal"
}

# program_failed dataplane|daemon|health WHAT
program_failed() {
  tail -n 20 "$run_dir/log/$1.log" >&2
  fail "the $1: $2; above is the end of $run_dir/log/$1.log"
}
