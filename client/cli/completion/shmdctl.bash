# SPDX-License-Identifier: MIT
# bash completion for shmdctl: `shmdctl __complete` knows what may follow.
# shellcheck shell=bash

_shmdctl() {
    local line=${COMP_LINE:0:COMP_POINT} words lines kept=''
    # bash takes words apart at characters that names have, such as : and =. Spaces part them here.
    read -ra words <<<"$line"
    [[ $line != *[[:space:]] ]] || words+=('')
    local current=${words[-1]}
    mapfile -t lines < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null </dev/null)
    COMPREPLY=()
    case ${lines[0]-} in
    files)
        # The path alone, where the option is --from=PATH.
        mapfile -t COMPREPLY < <(compgen -f -- "${current##*=}")
        compopt -o filenames 2>/dev/null
        return
        ;;
    command\ *)
        # What follows is another command's.
        ! declare -F _command_offset >/dev/null || _command_offset $((${lines[0]#command } + 1))
        return
        ;;
    list) compopt -o nospace 2>/dev/null ;;
    esac
    mapfile -t COMPREPLY < <(printf '%s\n' "${lines[@]:1}" | cut -f1)
    [ -n "${COMPREPLY[*]-}" ] || COMPREPLY=()
    # Readline replaces only what follows the last of those characters.
    if [[ $current == *["$COMP_WORDBREAKS"]* ]]; then
        kept=${current%"${current##*["$COMP_WORDBREAKS"]}"}
        COMPREPLY=("${COMPREPLY[@]#"$kept"}")
    fi
}

complete -F _shmdctl shmdctl
