# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The libFuzzer targets of tests/fuzz. Sourced by scripts/test.

run_fuzz() {
  local directory=$repo/build-fuzz targets target name
  step "fuzz: configure"
  if ! CC=clang CXX=clang++ configure "$directory" -Dfuzzers=true; then
    record "fuzz: configure" 0 1 0 0
    return
  fi
  step "fuzz: build"
  mapfile -t targets < <(meson introspect --targets "$directory" |
    /usr/bin/python3 "$repo/scripts/test.d/fuzz_targets.py" "$directory")
  if ((${#targets[@]} == 0)); then record "fuzz: no target in tests/fuzz" 0 1 0 0; return; fi
  if ! run_ninja "$directory" "${targets[@]}"; then record "fuzz: build" 0 1 0 0; return; fi
  step "fuzz: $fuzz_seconds s for each of ${#targets[@]} targets"
  rm -f "$directory"/*.passed
  for target in "${targets[@]}"; do
    while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n || true; done
    fuzz_one "$directory" "$target" &
  done
  wait
  for target in "${targets[@]}"; do
    name=${target##*/}
    if [[ -e $directory/$name.passed ]]; then
      record "fuzz: $name" 1 0 0 "$fuzz_seconds"
    else
      tail -n 60 "$directory/$name.log"
      record "fuzz: $name" 0 1 0 "$fuzz_seconds"
    fi
  done
}

# fuzz_one DIRECTORY TARGET: writes DIRECTORY/NAME.log, and makes NAME.passed if nothing was found.
fuzz_one() {
  local directory=$1 name=${2##*/} corpora
  # libFuzzer writes to the first corpus; the second one has the seeds of the repository.
  corpora=("$directory/corpus/$name" "$repo/tests/fuzz/corpus/${name#fuzz_}")
  if [[ ! -d ${corpora[1]} ]]; then unset 'corpora[1]'; fi
  mkdir -p "${corpora[0]}"
  "$directory/$2" -max_total_time="$fuzz_seconds" -timeout=5 -rss_limit_mb=2048 \
    -artifact_prefix="$directory/$name-" "${corpora[@]}" &>"$directory/$name.log" || return 0
  touch "$directory/$name.passed"
}
