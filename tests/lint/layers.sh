#!/bin/bash
# SPDX-License-Identifier: MIT
# The floors of the house: includes go down only, and each outside library has one room.
#
#   main -> shmd -> io -> rpc -> core -> { store, sys } -> protocol;  util serves everybody
#   client, and nothing else of the tree: protocol;  examples: the installed header and what lies beside them
. "$(dirname "$0")/lib.sh"

# The project's own includes that a file may have, as an extended regular expression.
allowed_includes() {
    local down='protocol/|daemon/util/'
    case $1 in
    protocol/*) echo '^protocol/' ;;
    daemon/util/*) echo '^daemon/util/' ;;
    daemon/sys/*) echo "^($down|daemon/sys/)" ;;
    # A tie is to a process, as the seam to processes knows one.
    daemon/store/*) echo "^($down|daemon/store/|daemon/sys/process\.h)" ;;
    # The core knows the seam, and no store behind it.
    daemon/core/*) echo "^($down|daemon/(core|sys)/|daemon/store/store\.h)" ;;
    daemon/rpc/*) echo "^($down|daemon/(rpc|core|sys|store)/)" ;;
    daemon/io/*) echo "^($down|daemon/(io|rpc|core|sys|store)/)" ;;
    daemon/*) echo '^(protocol|daemon)/' ;;
    client/*) echo '^(protocol|client)/' ;;
    examples/*) echo '^(client/shmd|[a-z_]+)\.h$' ;;
    *) echo . ;;
    esac
}

# Outside headers that a file may not have.
forbidden_headers() {
    local rules=()
    case $1 in tests/*) return ;; esac
    case $1 in daemon/io/*) ;; *) rules+=('event2/' 'event\.h') ;; esac
    case $1 in protocol/*) ;; *) rules+=('jansson\.h') ;; esac
    case $1 in daemon/sys/sysv_linux.c | client/* | examples/*) ;; *) rules+=('sys/shm\.h' 'sys/ipc\.h') ;; esac
    case $1 in daemon/*.c | client/* | examples/*) ;; *) rules+=('ini\.h') ;; esac
    # Core decides and protocol translates; neither touches the system. (<sys/queue.h> is macros only.)
    case $1 in
    daemon/core/* | protocol/*)
        rules+=('unistd\.h' 'sys/' 'fcntl\.h' 'signal\.h' 'poll\.h' 'pthread\.h' 'dirent\.h' 'syslog\.h'
            'linux/' 'systemd/')
        ;;
    esac
    local joined
    joined=$(IFS='|' && echo "${rules[*]}")
    echo "^($joined)"
}

# One line for each include of the tree $1 that goes up.
violations() {
    source_files "$1" | grep -E '^(protocol|daemon|client|examples)/.*\.[ch]$' | while IFS= read -r file; do
        sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*"([^"]+)".*/\1/p' "$1/$file" |
            grep -vE "$(allowed_includes "$file")" |
            grep -vE '^config\.h$' | sed "s|.*|$file includes \"&\"|"
        sed -nE 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*<([^>]+)>.*/\1/p' "$1/$file" |
            grep -E "$(forbidden_headers "$file")" | grep -vx 'sys/queue\.h' | sed "s|.*|$file includes <&>|"
    done
    return 0
}

# --- it can fail: one planted include at a time

planted() {
    rm -rf "$scratch/tree"
    mkdir -p "$(dirname "$scratch/tree/$1")"
    printf '#include %s\n' "$2" >"$scratch/tree/$1"
    violations "$scratch/tree" >"$scratch/found"
}

while read -r file include; do
    planted "$file" "$include"
    catches "$include in $file" "$scratch/found"
done <<'END'
protocol/x.c "daemon/util/log.h"
protocol/x.c <unistd.h>
daemon/util/x.c "daemon/core/segment.h"
daemon/sys/x.c "daemon/core/segment.h"
daemon/sys/clock_linux.c <sys/shm.h>
daemon/store/x.c "daemon/rpc/session.h"
daemon/store/x.c "daemon/core/segment.h"
daemon/core/x.c "daemon/store/journal.h"
daemon/core/x.c "daemon/rpc/session.h"
daemon/core/x.c "daemon/io/loop.h"
daemon/core/x.h <sys/socket.h>
daemon/core/x.c <fcntl.h>
daemon/core/x.c <jansson.h>
daemon/rpc/x.c "daemon/io/connection.h"
daemon/rpc/x.c <event2/event.h>
daemon/io/x.c "daemon/shmd.h"
daemon/io/x.c <jansson.h>
daemon/main.c <event2/event.h>
daemon/shmd.c <sys/shm.h>
client/x.c "daemon/core/segment.h"
client/x.c <jansson.h>
examples/x.c "protocol/params.h"
END

while read -r file include; do
    planted "$file" "$include"
    verdict "accepts $include in $file" "$scratch/found"
done <<'END'
protocol/x.c <jansson.h>
daemon/sys/sysv_linux.c <sys/shm.h>
daemon/store/x.c "daemon/sys/process.h"
daemon/core/x.c "daemon/store/store.h"
daemon/core/x.c "daemon/sys/sysv.h"
daemon/core/x.h <sys/queue.h>
daemon/io/x.c <event2/event.h>
daemon/io/x.c "daemon/rpc/session.h"
daemon/main.c "daemon/shmd.h"
client/x.c <sys/shm.h>
END

# --- the tree

violations "$top" >"$scratch/found"
verdict 'includes go down only' "$scratch/found"
finish
