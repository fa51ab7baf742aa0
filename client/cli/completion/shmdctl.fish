# SPDX-License-Identifier: MIT
# fish completion for shmdctl: `shmdctl __complete` knows what may follow.

function __shmdctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null </dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path (string replace -r '^.*=' '' -- "$current")
        case 'command *'
            # What follows is another command's.
            __fish_complete_subcommand --fcs-skip=(math (string replace 'command ' '' -- $lines[1]) + 1)
        case '*'
            printf '%s\n' $lines[2..-1]
    end
end

complete -c shmdctl -f -a '(__shmdctl_complete)'
