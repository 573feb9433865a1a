# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The usage of a script, from the comment at its head. Sourced by scripts.

# print_usage FILE: prints the comment from the line "usage: ..." to its end.
print_usage() { sed -n '/^# usage/,/^[^#]/s/^# \?//p' "$1"; }
