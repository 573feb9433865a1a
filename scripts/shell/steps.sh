# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Steps of a script that takes minutes. Each step is announced when it begins, its progress is shown, and the
# times of all steps are kept for a summary. Sourced by scripts/demo, scripts/setup and scripts/test.
#
#   steps_of demo 3                 the script's name for its lines, and how many steps it has
#   step "packages"                 ends the step before it; prints "demo: [1/3] packages"
#   run_ninja build control/teal    shows ninja's progress
#   end_step                        ends the last step
#   print_step_times                prints "  packages            12.3 s    8.1 s CPU" for each step

readonly progress_every=3   # seconds between two lines of progress where the output is no terminal

steps_program="" steps_count=0 steps_begun=0
step_names=() step_walls=() step_cpus=()

steps_of() { steps_program=$1 steps_count=$2; }

# clock: sets `clock_wall` and `clock_cpu` to milliseconds: of the wall clock, and of the CPU time of this
# shell and of all children that have ended.
clock() {
  local line word minutes seconds
  clock_wall=$((${EPOCHREALTIME/[.,]/} / 1000)) clock_cpu=0
  times >"$steps_scratch"
  while read -r line; do
    for word in $line; do
      minutes=${word%%m*} seconds=${word#*m}
      seconds=${seconds%s}
      clock_cpu=$((clock_cpu + minutes * 60000 + 10#${seconds/[.,]/}))
    done
  done <"$steps_scratch"
}
steps_scratch=$(mktemp)
readonly steps_scratch
steps_cleanup() { rm -f "$steps_scratch"; }

step() {
  if ((steps_begun > 0)); then end_step; fi
  steps_begun=$((steps_begun + 1))
  step_names+=("$1")
  echo "$steps_program: [$steps_begun/$steps_count] $1"
  clock
  step_wall_began=$clock_wall step_cpu_began=$clock_cpu
}

# end_step: ends the running step; does nothing where none runs.
end_step() {
  if ((${#step_names[@]} == ${#step_walls[@]})); then return; fi
  clock
  step_walls+=("$((clock_wall - step_wall_began))")
  step_cpus+=("$((clock_cpu - step_cpu_began))")
}

seconds_of() { printf '%d.%d' "$(($1 / 1000))" "$(($1 % 1000 / 100))"; }

print_step_times() {
  local i
  end_step
  for ((i = 0; i < ${#step_names[@]}; i++)); do
    printf '  %-44s %7s s  %7s s CPU\n' "${step_names[i]}" \
      "$(seconds_of "${step_walls[i]}")" "$(seconds_of "${step_cpus[i]}")"
  done
}

# show_progress PATTERN: reads lines and shows those that match PATTERN: on a terminal each one in place of
# the last, elsewhere one every few seconds. Every other line is printed as it comes.
show_progress() {
  local line next=0 shown="" width=$((${COLUMNS:-80} - 1))
  while IFS= read -r line; do
    if [[ ! $line =~ $1 ]]; then
      if [[ -n $shown ]]; then printf '\r\033[K'; shown=""; fi
      printf '%s\n' "$line"
    elif [[ -t 1 ]]; then
      printf '\r\033[K%s' "${line:0:width}"
      shown=yes
    elif ((EPOCHSECONDS >= next)); then
      printf '  %s\n' "${line:0:110}"
      next=$((EPOCHSECONDS + progress_every))
    fi
  done
  if [[ -n $shown ]]; then printf '\r\033[K'; fi
}

# run_ninja DIRECTORY TARGET...: builds and shows the progress. A failed command is shown with its output.
run_ninja() {
  NINJA_STATUS='[%f/%t] ' ninja -C "$@" | sed -u '/^ninja: Entering directory/d' |
    show_progress '^\[[0-9]+/[0-9]+\] '
}

# run_meson WORDS...: runs "meson setup" and shows the progress. The end of its output is shown when it fails.
run_meson() {
  local log
  log=$(mktemp)
  if meson setup "$@" 2>&1 | tee "$log" | sed -u '/^$/d' | show_progress .; then
    rm -f "$log"
  else
    tail -n 40 "$log" >&2
    rm -f "$log"
    return 1
  fi
}
