# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The lab's teald and teal-dataplane run with the users, groups, capabilities and umask of their systemd units
# (scripts/systemd), in the directories of tmpfiles.conf. So an action that a unit forbids also fails in the
# lab. The rest of a unit's sandbox (file system, system calls) is not here. Sourced by scripts/lab.

readonly units=$repo/scripts/systemd
# Numbers for users that are not installed on this machine.
readonly -A spare_ids=([teal]=59990 [teal-dataplane]=59991 [teal-health]=59992)

user_id() { id -u "$1" 2>/dev/null || spare_id "$1"; }
group_id() { getent group "$1" | cut -d: -f3 | grep . || spare_id "$1"; }
spare_id() {
  local id=${spare_ids[$1]:-}
  [[ -n $id ]] || fail "user or group $1 is not installed, and spare_ids of this script has no number for it"
  if getent passwd "$id" >/dev/null || getent group "$id" >/dev/null; then
    fail "user or group $id exists on this machine; the lab needs that number for $1, which is not installed"
  fi
  echo "$id"
}

# read_units: writes the privileges of each service to a file, once per lab. Reading the units takes time, and
# tests measure how soon a killed program is back.
read_units() {
  local unit line user group group_name
  mkdir -p "$run_dir/units"
  for unit in teal-dataplane teald teal-health; do
    local -A of=()
    while IFS= read -r line; do
      if [[ $line =~ ^([A-Za-z]+)=(.*) ]]; then of[${BASH_REMATCH[1]}]=${BASH_REMATCH[2]}; fi
    done <"$units/$unit.service.in"
    user=$(user_id "${of[User]}")
    group=$(group_id "${of[Group]}")
    local groups=--clear-groups capabilities=-all capability
    if [[ -n ${of[SupplementaryGroups]:-} ]]; then
      groups=""
      for group_name in ${of[SupplementaryGroups]}; do groups+=,$(group_id "$group_name"); done
      groups=--groups=${groups#,}
    fi
    for capability in ${of[AmbientCapabilities]}; do
      capability=${capability#CAP_}
      capabilities+=,+${capability,,}
    done
    # shellcheck disable=SC2034  # printed below
    local unit_user=$user unit_group=$group unit_umask=${of[UMask]} unit_directory=${of[RuntimeDirectory]:-}
    # shellcheck disable=SC2034  # printed below
    local privileges=(
      setpriv --reuid "$user" --regid "$group" "$groups"
      --inh-caps="$capabilities" --ambient-caps="$capabilities" --bounding-set="$capabilities" --no-new-privs
    )
    declare -p unit_user unit_group unit_umask unit_directory privileges >"$run_dir/units/$unit"
  done
}

# make_shared_directories: makes the missing directories of tmpfiles.conf for this instance, and lets other
# users enter bpffs. The other lines of tmpfiles.conf are not used.
make_shared_directories() {
  local type path mode user group
  while read -r type path mode user group; do
    case $type in
      d)
        path=${path%/teal}/$instance
        if [[ ! -d ${path%/*} || (-d $path && -g $path) ]]; then continue; fi
        if [[ $user != root ]]; then user=$(user_id "$user"); fi
        install -d -m "$mode" -o "$user" -g "$(group_id "$group")" "$path"
        ;;
      z) if [[ $path == /sys/fs/bpf && -d $path ]]; then chmod o+x "$path"; fi ;;
    esac
  done <"$units/tmpfiles.conf"
}

# share_with_services: makes the directories and files that the two services need.
share_with_services() {
  make_shared_directories
  if [[ ! -e $run_dir/units ]]; then read_units; fi
  (
    # shellcheck disable=SC1091
    source "$run_dir/units/teald"
    install -d -m 0700 -o "$unit_user" -g "$unit_group" "$run_dir/state"
  )
}

# launch_as_unit UNIT NAME LOG PROGRAM ARGUMENT...: runs the program on the edge with the privileges of the
# unit.
launch_as_unit() (
  name=$2 log=$3 program=$4
  make_shared_directories   # "teal-dataplane --detach" removes the one in bpffs
  # shellcheck disable=SC1090  # by read_units
  source "$run_dir/units/$1"
  shift 4
  # Below a home directory that is closed to other users, only an open file leads to the program.
  if ! "${privileges[@]}" test -x "$program"; then
    exec {program_fd}<"$program"
    program=/proc/self/fd/$program_fd
  fi
  umask "$unit_umask"
  # systemd does the same. DPDK puts files there.
  if [[ -n $unit_directory ]]; then
    export RUNTIME_DIRECTORY=$run_dir/$unit_directory
    if [[ ! -d $RUNTIME_DIRECTORY ]]; then
      install -d -m 0700 -o "$unit_user" -g "$unit_group" "$RUNTIME_DIRECTORY"
    fi
  fi
  launch edge "$name" "$log" "${privileges[@]}" "$program" "$@"
)
