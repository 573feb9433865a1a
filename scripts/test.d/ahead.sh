# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds that go on beside the lab. The lab mostly waits, so they take the CPU time that it leaves. Sourced by
# scripts/test.

ahead_pid=""

# build_ahead PART...: begins "scripts/test PART... --build-only" in the background, with the lowest priority.
# What fails there is built again by the part itself, which shows it. A session of its own, because Linux
# shares the CPUs between sessions first (sched(7), autogroup), and the lab's programs have sessions, too.
build_ahead() {
  # shellcheck disable=SC2016  # the inner shell expands it
  setsid bash -c 'echo 19 >/proc/self/autogroup; exec chrt --idle 0 "$@"' ahead \
    "$repo/scripts/test" "$@" --build-only </dev/null &>/dev/null &
  ahead_pid=$!
}

wait_for_build_ahead() {
  step "the end of the builds beside the lab"
  wait "$ahead_pid" || true
  ahead_pid=""
}

end_build_ahead() {
  if [[ -n $ahead_pid ]]; then kill -- "-$ahead_pid" 2>/dev/null || true; fi
}
