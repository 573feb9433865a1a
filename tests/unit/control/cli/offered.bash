#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints what bash offers for each command line: the words in one line.
#
# usage: offered.bash SCRIPT LINE...
#   SCRIPT   the completion script
#   LINE     what is typed before the Tab key
set -u
# shellcheck source=/dev/null
source "$1"
shift
for COMP_LINE in "$@"; do
  # As readline splits: words keep their quotes, and colons and equals signs are words of their own.
  mapfile -t COMP_WORDS < <(grep -oE "'[^']*'|[:=]+|[^[:space:]:=]+" <<<"$COMP_LINE")
  if [[ $COMP_LINE == *' ' ]]; then COMP_WORDS+=(''); fi
  COMP_POINT=${#COMP_LINE}
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _teal teal "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  mapfile -t COMPREPLY < <(printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort)
  echo "${COMPREPLY[*]}"
done
