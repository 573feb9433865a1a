# SPDX-License-Identifier: Apache-2.0
#
# fish completion for teal. Printed by: teal completion fish

function __teal_offers
    set -l words (commandline -opc)
    set -e words[1]
    set -l last (commandline -ct)
    set -l offers (teal completion --offer -- $words "$last" 2>/dev/null)
    if test "$offers[1]" = :files
        set -l option (string match -r '^--[^=]*=' -- $last)
        for path in (__fish_complete_path (string replace -r '^--[^=]*=' '' -- $last))
            echo "$option$path"
        end
    else
        string join \n -- $offers
    end
end

complete -c teal -e
complete -c teal -f -a '(__teal_offers)'
