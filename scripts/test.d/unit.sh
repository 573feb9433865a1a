# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Tests that meson runs, in the normal build and in the builds with sanitizers. Sourced by scripts/test.

# GCC warns wrongly in instrumented code (its manual says so): the normal build has the warnings. Without
# optimisation the build takes half of the time.
readonly sanitizer_build=(-Doptimization=0 -Dwerror=false -Dwarning_level=0)

# meson_tests LABEL DIRECTORY MESON_OPTIONS... -- SUITE...: configures, builds the targets that the tests of
# these suites need, and runs the tests. -SUITE leaves the tests of a suite out.
meson_tests() {
  local label=$1 directory=$2 options=() targets
  shift 2
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  step "$label: configure"
  if ! configure "$directory" "${options[@]}"; then
    record "$label: configure" 0 1 0 0
    return
  fi
  step "$label: build"
  mapfile -t targets < <(/usr/bin/python3 "$repo/scripts/test.d/test_targets.py" "$directory" "$@")
  if ((${#targets[@]} == 0)) || ! run_ninja "$directory" "${targets[@]}"; then
    record "$label: build" 0 1 0 0
    return
  fi
  step "$label: tests"
  run_suites "$label" "$directory" "$@"
}

# run_suites LABEL DIRECTORY SUITE...
run_suites() {
  local label=$1 directory=$2 suites=() suite passed failed skipped seconds lines any_failed=0
  shift 2
  for suite in "$@"; do
    if [[ $suite == -* ]]; then suites+=(--no-suite "${suite#-}"); else suites+=(--suite "$suite"); fi
  done
  # Without its report of the last run, a test that crashes cannot be judged by it.
  rm -f "$directory"/*.xml "$directory"/meson-logs/testlog.*
  SECONDS=0
  # The exit code of meson is not needed: the report has every failed test, and count.py fails without a
  # report.
  # One more than cores: tests of a daemon wait for each other's processes and for time limits.
  meson test -C "$directory" --no-rebuild --num-processes "$(($(nproc) + 1))" "${suites[@]}" \
    --print-errorlogs 2>&1 |
    tee "$directory/test-output.log" | only_test_lines | show_progress . || true
  if ! lines=$(/usr/bin/python3 "$repo/scripts/test.d/count.py" "$directory") || [[ -z $lines ]]; then
    tail -n 60 "$directory/test-output.log"
    record "$label: no result from: $*" 0 1 0 "$SECONDS"
    return
  fi
  while read -r suite passed failed skipped seconds; do
    record "$label: $suite" "$passed" "$failed" "$skipped" "$seconds"
    any_failed=$((any_failed + failed))
  done <<<"$lines"
  show_skipped "$directory/meson-logs/testlog.txt"
  if ((any_failed > 0)); then show_failures "$directory/test-output.log"; fi
}

only_test_lines() { grep --line-buffered -E '^ *[0-9]+/[0-9]+ ' || true; }

# The line behind "Skipped" has the reason.
show_skipped() {
  grep -A1 ': Skipped$' "$1" | grep -v -e ': Skipped$' -e '^--$' | sort -u | sed 's/^/  skipped: /' || true
}

show_failures() { grep -v -E '^\[ +(OK|RUN|-+) +\]|^ +[0-9]+/[0-9]+ .* OK ' "$1" | tail -n 80; }

run_unit() {
  # The tests of the suite "sanitized" take much of the build, and the sanitizers see more. The tests of
  # "shm" run with two sanitizers.
  local left_out=()
  if [[ $every_part == yes && -z $sequences ]]; then left_out=(-sanitized -shm); fi
  meson_tests "normal build" "$repo/build" -Dquick=true -- unit shm bpf install "${left_out[@]}"
  if [[ -n $sequences ]]; then
    run_faults
    run_sequences
    run_rollout_sequences
    run_rollouts
  fi
}

run_sanitizers() {
  export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1   # a leak fails a test, too
  export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  export TSAN_OPTIONS=halt_on_error=1
  # Each kill starts a program. With a sanitizer that takes minutes, so only --long does it. The tests of the
  # daemon and of its parts execute what the sequences of rollouts and the requests of openapi.yaml do.
  local left_out=(-cli -judge)
  [[ -n $sequences ]] || left_out+=(-faults -sequences -openapi)
  meson_tests "address and undefined" "$repo/build-asan" \
    -Db_sanitize=address,undefined "${sanitizer_build[@]}" -- unit shm "${left_out[@]}"
  meson_tests "thread" "$repo/build-tsan" -Db_sanitize=thread "${sanitizer_build[@]}" -- shm
}

# Runs the whole table of kills and disk errors (tests/unit/control/change/kill_points_test.cc).
run_faults() {
  step "normal build: every kill and disk error"
  SECONDS=0
  if TMPDIR=/dev/shm TEAL_FAULTS=all quietly \
    "$repo/build/tests/unit/control/faults_test" --gtest_filter='*Faults.*' --gtest_brief=1; then
    record "every kill and disk error" 1 0 0 "$SECONDS"
  else
    record "every kill and disk error" 0 1 0 "$SECONDS"
  fi
}

# Runs more sequences of the models (tests/unit/control/change: sequences_test.cc, rollout_sequences_test.cc),
# with other seeds.
run_sequences() { more_sequences sequences faults_test 'Sequences.*'; }
run_rollout_sequences() {
  more_sequences "sequences of rollouts" rollout_sequences_test 'RolloutSequences.*'
}

# more_sequences WHAT PROGRAM FILTER
more_sequences() {
  step "normal build: $sequences $1"
  SECONDS=0
  if TMPDIR=/dev/shm TEAL_SEED=1000 TEAL_SEQUENCES=$sequences quietly \
    "$repo/build/tests/unit/control/$2" --gtest_filter="$3" --gtest_brief=1; then
    record "$sequences $1" 1 0 0 "$SECONDS"
  else
    record "$sequences $1" 0 1 0 "$SECONDS"
  fi
}

# Simulates more rollouts (tests/unit/control/judge), as many as there are sequences. The figures are printed.
run_rollouts() {
  step "normal build: $sequences simulated rollouts"
  SECONDS=0
  if TEAL_ROLLOUTS=$sequences TEAL_RUNS=200 \
    "$repo/build/tests/unit/control/judge_test" --gtest_filter='Rollouts.*:Musts.*' --gtest_brief=1; then
    record "$sequences simulated rollouts" 1 0 0 "$SECONDS"
  else
    record "$sequences simulated rollouts" 0 1 0 "$SECONDS"
  fi
}
