# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# clang-tidy on the changed files, or with --long on all. Sourced by scripts/lint, which sets `base` and
# `long`.

# The directory has only what clang-tidy needs: a compilation database for clang without unity builds and
# precompiled headers, and generated headers.
readonly tidy_build=build-lint
# clang 14 does not set the macros by which libstdc++ and Boost 1.74 know that the compiler has coroutines.
readonly coroutine_macros=(
  --extra-arg=-D__cpp_impl_coroutine=201902L
  --extra-arg=-DBOOST_ASIO_HAS_CO_AWAIT
  --extra-arg=-DBOOST_ASIO_HAS_STD_COROUTINE
)

# base_commit: the commit that changed files are compared with.
base_commit() {
  local upstream found head
  if [[ -n $base ]]; then
    git rev-parse "$base"
    return
  fi
  head=$(git rev-parse HEAD)
  for upstream in '@{upstream}' origin/main main; do
    if found=$(git merge-base HEAD "$upstream" 2>/dev/null) && [[ $found != "$head" ]]; then
      echo "$found"
      return
    fi
  done
  if [[ -z $(git status --porcelain) ]] && git rev-parse --quiet --verify HEAD~1 >/dev/null; then
    git rev-parse HEAD~1
  else
    echo "$head"
  fi
}

changed_files() {
  { git diff --name-only --diff-filter=d "$(base_commit)"
    git ls-files --others --exclude-standard; } | sort -u
}

# translation_units: what clang-tidy is run on for the file names on stdin: a source file itself, for a header
# the source file of the same name or else the first one that includes it.
translation_units() {
  local file found
  while IFS= read -r file; do
    case $file in
      *.cc) if [[ $file == *.bpf.* ]]; then continue; else echo "$file"; fi ;;
      *.h)
        if [[ -e ${file%.h}.cc ]]; then
          echo "${file%.h}.cc"
        else
          found=$(git grep -l -F "#include \"$file\"" -- '*.cc' | head -n 1) || true
          if [[ -n $found ]]; then echo "$found"; fi
        fi
        ;;
    esac
  done | sort -u
}

prepare_tidy_build() {
  local log options=(-Dseparate_sources=true -Db_pch=false -Dwerror=false -Dfuzzers=true)
  if [[ -e $tidy_build/compile_commands.json ]]; then return; fi
  log=$(CC=clang CXX=clang++ meson setup "$tidy_build" "${options[@]}" 2>&1) ||
    { tail -n 20 <<<"$log"; return 1; }
}

# Headers that the build makes are needed before a file that includes them can be parsed.
make_generated_headers() {
  local headers
  if [[ ! -e $tidy_build/build.ninja ]]; then return; fi
  mapfile -t headers < <(ninja -C "$tidy_build" -t targets all | sed -n 's/^\([^ ]*\.h\): .*/\1/p')
  if ((${#headers[@]} > 0)); then ninja -C "$tidy_build" --quiet "${headers[@]}" >/dev/null; fi
}

check_tidy() {
  local files units
  need clang-tidy clang-tidy || return 1
  if [[ $long == yes ]]; then files=$(all_files); else files=$(changed_files); fi
  mapfile -t units < <(translation_units <<<"$files")
  if ((${#units[@]} == 0)); then
    note="(no changed file of C++)"
    return
  fi
  note="(${#units[@]} files)"
  prepare_tidy_build || return 1
  make_generated_headers || return 1
  violations filter_tidy run_clang_tidy "${units[@]}"
}

# filter_tidy: the findings in files of the repository. A finding in a system header or in a generated file
# cannot be repaired here. A file that clang-tidy cannot parse, and its crash, count as findings.
filter_tidy() {
  sed -n "s|^$PWD/||; s|^$tidy_build/\.\./||; s|^\.\./||
    s/^Error while processing \(.*\)\.$/\1:1: clang-tidy cannot parse the file, expected that it can/p
    s/^Skipping \(.*\)\. Compile command not found\.$/\1:1: clang-tidy has no compile command, expected one/p
    s/^xargs: /tidy:1: /p
    /^[^ \/][^ ]*:[0-9]*:[0-9]*: \(error\|warning\):/p" | sed "s|^$PWD/||"
}

# run_clang_tidy FILE...: the exit code says nothing that the output does not say.
run_clang_tidy() {
  printf '%s\0' "$@" |
    xargs -0 -P "$(nproc)" -n 1 clang-tidy -p "$tidy_build" --quiet "${coroutine_macros[@]}" || true
}
