# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# bash completion for teal. Printed by: teal completion bash
# Needs bash 4.4; does not need the package bash-completion.

_teal() {
  # bash splits words at colons and equals signs, which addresses and --option=value contain. A word that
  # follows the previous one without a space is a part of it.
  local line=${COMP_LINE:0:COMP_POINT} words=() word i
  for ((i = 0; i <= COMP_CWORD; i++)); do
    if ((i == 0)) || [[ $line == [[:space:]]* ]]; then words+=(''); fi
    line=${line#"${line%%[![:space:]]*}"}
    word=${COMP_WORDS[i]}
    if ((i == COMP_CWORD)); then word=$line; fi
    words[-1]+=$word
    line=${line#"$word"}
  done
  local last=${words[-1]} offers=() offer
  mapfile -t offers < <(teal completion --offer -- "${words[@]:1}" 2>/dev/null)

  COMPREPLY=()
  if [[ ${offers[0]-} == :files ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "${last#--*=}")
    return
  fi
  # Readline replaces only the text behind the last colon or equals sign, if COMP_WORDBREAKS holds them.
  local breaks=${COMP_WORDBREAKS//[!:=]/} kept=''
  if [[ -n $breaks && $last == *[$breaks]* ]]; then kept=${last%"${last##*["$breaks"]}"}; fi
  for offer in "${offers[@]}"; do
    offer=${offer%%$'\t'*}
    if [[ $offer == "$last"* ]]; then COMPREPLY+=("${offer#"$kept"}"); fi
  done
}

complete -F _teal teal
