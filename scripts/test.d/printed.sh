# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Tests that print a line for each claim: "ok NAME", "not ok NAME: why" or "skip NAME: why". These are the lab
# tests, scripts/lint and the tests of the scripts. Sourced by scripts/test.

readonly lab_programs=(control/{teal,teald,teal-health} dataplane/teal-dataplane tests/bench/make_pcap)
readonly lab_test_seconds=240 long_lab_test_seconds=1800 script_test_seconds=600
readonly nic_up_seconds=600 nic_test_seconds=900

# record_printed LABEL SECONDS COMMAND...: runs the command with a time limit and counts the lines that it
# prints. Shows the reasons of what was skipped, and the output if something failed. Returns 1 then.
record_printed() {
  local label=$1 limit=$2 code=0 output passed failed skipped
  shift 2
  SECONDS=0
  output=$(timeout "$limit" "$@" 2>&1) || code=$?
  passed=$(grep -c '^ok ' <<<"$output" || true)
  skipped=$(grep -c '^skip ' <<<"$output" || true)
  failed=$(grep -c '^not ok ' <<<"$output" || true)
  # A command that died or was stopped printed no line for the claim that it was testing.
  if ((code != 0 && failed == 0 || passed + failed + skipped == 0)); then failed=$((failed + 1)); fi
  record "$label" "$passed" "$failed" "$skipped" "$SECONDS"
  grep '^skip ' <<<"$output" || true
  if ((failed > 0)); then
    if ((code == 124)); then echo "$label: stopped after $limit s"; fi
    tail -n 60 <<<"$output"
    return 1
  fi
}

# lab_test_file NAME: the path of a test of --lab or --nic; nothing where there is none.
lab_test_file() {
  find "$repo/tests/lab" -mindepth 2 -name "$1.py"
  find "$repo/tests/nic" -name "$1.py" -not -name niclab.py
}

run_lint() {
  local file
  step "lint"
  record_printed "lint" 7200 "$repo/scripts/lint" "${lint_options[@]}" || true
  step "lint: tests of the scripts"
  for file in "$repo"/tests/scripts/*_test.py; do
    record_printed "scripts: $(basename "$file" .py)" "$script_test_seconds" "$file" || true
  done
}

# build_lab_programs PART: does nothing where TEAL_BUILD_DIR has them.
build_lab_programs() {
  if [[ -n ${TEAL_BUILD_DIR:-} ]]; then return; fi
  step "$1: configure"
  if ! configure "$repo/build"; then record "$1: configure" 0 1 0 0; return 1; fi
  step "$1: build"
  if ! run_ninja "$repo/build" "${lab_programs[@]}"; then record "$1: build" 0 1 0 0; return 1; fi
}

# run_lab [NAME...]
run_lab() {
  build_lab_programs lab || return 0
  step "lab: tests"
  test_in_lab "$@"
}

# run_nic [NAME...]
run_nic() {
  build_lab_programs nic || return 0
  step "nic: tests"
  test_in_nic_lab "$@"
}

# Runs three labs at a time, because each one waits most of the time: the NIC lab, a lab apart, and the lab.
# The lines of the first two come at the end.
run_lab_and_nic() {
  local nic apart nic_results apart_results names code
  build_lab_programs "lab, nic" || return 0
  step "lab and nic: tests"
  nic_results=$(mktemp) apart_results=$(mktemp)
  test_in_nic_lab >"$nic_results" 2>&1 &
  nic=$!
  renice --priority 10 "$nic" >/dev/null || true   # it gives way to the lab
  mapfile -t names < <(lab_tests_apart)
  if ((EUID == 0)); then
    TEAL_BUILD_DIR="$repo/build" "$repo/scripts/test.d/apart" "$repo/scripts/test" --lab "${names[@]}" \
      >"$apart_results" 2>&1 &
  else
    test_in_lab "${names[@]}" >"$apart_results" 2>&1 &
  fi
  apart=$!
  mapfile -t names < <(lab_tests | grep -vxFf <(lab_tests_apart))
  test_in_lab "${names[@]}"
  # An exit code of 1 has a line that says what failed.
  code=0
  wait "$apart" || code=$?
  ((code <= 1)) || record "lab apart: ended with $code" 0 1 0 0
  take_over "$apart_results"
  wait "$nic" || record "nic: ended" 0 1 0 0
  take_over "$nic_results"
}

# lab_tests [FIND_WORDS...]: the names of the lab tests that run without --long.
lab_tests() {
  find "$repo/tests/lab" -mindepth 2 -name '*.py' "$@" -exec grep -L '^# only with --long$' {} + |
    sed 's|.*/||; s|\.py$||' | sort
}
# lab_tests_apart: about a third of the tests, by their time.
lab_tests_apart() { lab_tests ! -path '*/flips/*' ! -path '*/drain/*'; }

# take_over FILE: shows and counts what record() printed in another process, and removes the file.
take_over() {
  local passed failed skipped
  sed '1,/^test: .* lab: tests$/{/^test: /d}; /^test: seconds of each part$/,$d' "$1"
  read -r passed failed skipped < <(
    awk '/ passed, [0-9]+ failed, [0-9]+ skipped \([0-9]+ s\)$/ {
        p += $(NF - 7); f += $(NF - 5); s += $(NF - 3)
      } END { print p + 0, f + 0, s + 0 }' "$1")
  rm "$1"
  if ((passed + failed + skipped == 0)); then failed=1; fi
  total_passed=$((total_passed + passed))
  total_failed=$((total_failed + failed))
  total_skipped=$((total_skipped + skipped))
}

# Each file gets a fresh Teal: the flows, generations and dead programs of one file cannot disturb the next
# one. After a failure the hosts are fresh, too. A line "# lab: OPTIONS" in a file has options for scripts/lab
# up.
test_in_lab() {
  local files=() options file name seconds
  if (($# > 0)); then
    for name in "$@"; do files+=("$(lab_test_file "$name")"); done
  else
    mapfile -t files < <(find "$repo/tests/lab" -mindepth 2 -name '*.py' | sort)
  fi
  if ((EUID == 0)); then quietly "$repo/scripts/lab" down || true; fi   # it may be of another checkout
  for file in "${files[@]}"; do
    name=$(basename "$file" .py)
    seconds=$lab_test_seconds
    if [[ -n $sequences ]]; then seconds=$long_lab_test_seconds; fi
    if grep -q '^# only with --long$' "$file"; then
      if (($# == 0)) && [[ -z $sequences ]]; then continue; fi
      seconds=$long_lab_test_seconds
    fi
    if ((EUID != 0)); then
      record "lab: $name: skipped, it needs root" 0 0 1 0
      continue
    fi
    read -r -a options < <(sed -n 's/^# lab: //p' "$file"; echo)
    SECONDS=0
    if ! quietly "$repo/scripts/lab" renew "${options[@]}"; then
      record "lab: $name: the lab did not come up" 0 1 0 "$SECONDS"
      quietly "$repo/scripts/lab" down || record "lab: $name: down" 0 1 0 0
      continue
    fi
    if ! record_printed "lab: $name" "$seconds" "$repo/scripts/lab" run "$name"; then
      tail -n 20 /run/teal-lab/log/dataplane.log /run/teal-lab/log/daemon.log || true
      quietly "$repo/scripts/lab" down || record "lab: $name: down" 0 1 0 0
    fi
  done
  if ((EUID == 0)); then quietly "$repo/scripts/lab" down || record "lab: down" 0 1 0 0; fi
}

# All files share one boot of the machine. With --long, the machine is booted again with other NICs and other
# numbers of workers.
test_in_nic_lab() {
  local files=() name
  if (($# > 0)); then
    files=("$@")
  else
    for name in "$repo"/tests/nic/*.py; do
      name=$(basename "$name" .py)
      if [[ $name != niclab ]]; then files+=("$name"); fi
    done
  fi
  run_nic_tests --nic virtio-net --workers 2 -- "${files[@]}"
  if [[ -z $sequences ]]; then return; fi
  run_nic_tests --nic e1000e --workers 1 -- owned_nics
  run_nic_tests --nic virtio-net --workers 1 -- owned_nics
  run_nic_tests --nic virtio-net --workers 4 -- owned_nics
}

# run_nic_tests UP_OPTION... -- NAME...
run_nic_tests() {
  local options=() label output code=0 name
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  label="nic: ${options[*]}"
  if ((EUID == 0)) && ! quietly "$repo/scripts/niclab" down; then
    record "$label: the lab before did not go down" 0 1 0 0
    return
  fi
  SECONDS=0
  output=$(timeout "$nic_up_seconds" "$repo/scripts/niclab" up "${options[@]}" 2>&1) || code=$?
  if ((code == 3)); then
    record "$label: skipped" 0 0 1 "$SECONDS"
    echo "skip $label: $(tail -n 1 <<<"$output")"
    return
  fi
  if ((code != 0)); then
    tail -n 60 <<<"$output"
    record "$label: the lab did not come up" 0 1 0 "$SECONDS"
  else
    echo "$label: up ($SECONDS s)"
    for name in "$@"; do
      record_printed "$label: $name" "$nic_test_seconds" "$repo/scripts/niclab" run "$name" ||
        tail -n 20 /run/teal-nic-lab/exchange/log/{dataplane,daemon}.log || true
    done
  fi
  quietly "$repo/scripts/niclab" down || record "nic: down" 0 1 0 0
}
