#!/usr/bin/env fish
# SPDX-License-Identifier: Apache-2.0
#
# Prints what fish offers for each command line: the words in one line.
#
# usage: offered.fish SCRIPT LINE...
#   SCRIPT   the completion script
#   LINE     what is typed before the Tab key
source $argv[1]
for line in $argv[2..]
    echo (complete -C $line | string replace -r '\t.*' '' | LC_ALL=C sort)
end
