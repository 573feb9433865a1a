#!/bin/zsh -f
# SPDX-License-Identifier: Apache-2.0
#
# Prints what zsh offers for each command line: the words in one line. Errors of that zsh are printed, too.
#
# usage: offered.zsh SCRIPT LINE...
#   SCRIPT   the completion script. An interactive zsh on a pseudo terminal sources it after compinit; if it is
#            called _teal, its folder is put into $fpath instead, as for an installed script.
#   LINE     what is typed before the Tab key
# exit codes: 0 done, 1 no answer within 20 s
zmodload zsh/zpty zsh/zselect || exit 1
work=$(mktemp -d) || exit 1
script=$1:a
shift

# Completion functions call compadd to offer words. This wrapper writes the words that match to a file.
cat >$work/setup <<SETUP
exec 2>>$work/offered
LISTMAX=10000
setopt no_auto_list no_beep
autoload -U compinit
if [[ $script:t == _teal ]]; then
  fpath=($script:h \$fpath)
  compinit -u -D
else
  compinit -u -D
  source ${(q)script}
fi
compadd() {
  if [[ "\${@[1,(i)(-|--)]}" != *-(O|A|D)\ * ]]; then
    local -a hits
    builtin compadd -O hits "\$@"
    (( \$#hits )) && print -rl -- \$IPREFIX\$^hits >>$work/offered
  fi
  builtin compadd "\$@"
}
tab() {
  zle complete-word
  BUFFER=
  : >$work/done
}
zle -N tab
bindkey '^I' tab
: >$work/ready
SETUP

wait_for() {
  repeat 400; do
    [[ -e $work/$1 ]] && return
    zselect -t 5   # 50 ms
  done
  print -u2 "offered.zsh: not $1 within 20 s"
  rm -r $work
  exit 1
}

: >$work/offered
zpty -b teal exec zsh -f -i
zpty -w teal "source $work/setup"
wait_for ready
for line in "$@"; do
  zpty -w -n teal "$line"$'\t'
  wait_for done
  print -r -- ${(of)"$(<$work/offered)"}
  : >$work/offered
  rm $work/done
done
zpty -d teal
rm -r $work
