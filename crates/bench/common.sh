# Shared by `run` and `compare-synapse`: sourced, not run.
# shellcheck shell=bash

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
bench=$target/release/greenroom-bench
greenroom=${GREENROOM_BIN:-$target/release/greenroom}
scratch=
server_pid=
server_url=

say() { printf '\n== %s\n' "$*" >&2; }

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Ends the server of this run, and waits: the next one gets the whole machine.
stop_server() {
    if [ -n "$server_pid" ]; then
        kill "$server_pid" 2>/dev/null || true
        wait "$server_pid" 2>/dev/null || true
        server_pid=
    fi
}

# Makes the scratch directory, on the file system that is to be measured.
make_scratch() {
    mkdir -p "${1:?}"
    scratch=$(mktemp -d "$1/greenroom-bench.XXXXXX")
    scratch=$(cd "$scratch" && pwd)
}

# A port nobody listens on.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits until a server answers; fails if its process ends.
wait_for() {
    local url=$1 pid=$2 log=$3
    for _ in $(seq 1 600); do
        if curl -fso /dev/null --max-time 2 "$url/_matrix/client/versions"; then return 0; fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 30 "$log" >&2
    die "the server did not start: see above"
}

# start_greenroom NAME WORKERS: a fresh Greenroom on an empty directory.
start_greenroom() {
    local data=$scratch/$1
    rm -rf "$data"
    mkdir -p "$data"
    local port
    port=$(free_port)
    server_url=http://127.0.0.1:$port
    launched_at=$EPOCHREALTIME
    "$greenroom" serve --listen "127.0.0.1:$port" --data-dir "$data" --server-name localhost \
        --registration open --rate-limits off --tls-listen off --workers "$2" --log warn \
        >"$scratch/$1.log" 2>&1 &
    server_pid=$!
}

# measure LABEL FILE SCENARIO [OPTION...]: one scenario against the running server.
measure() {
    local label=$1 file=$2 scenario=$3
    shift 3
    local pids=()
    if [ -n "$server_pid" ]; then pids+=(--pid "$server_pid"); fi
    if [ -n "${database_pid:-}" ]; then pids+=(--pid "$database_pid"); fi
    if ! "$bench" --url "$server_url" --label "$label" --scenario "$scenario" "${pids[@]}" \
        --json "$results/$file.json" "$@"; then
        failed=$((failed + 1))
        printf '%s of %s failed\n' "$scenario" "$label" >&2
    fi
}

# Whether the server knows simplified sliding sync: without a token it says so by a 401.
has_sliding_sync() {
    local path=_matrix/client/unstable/org.matrix.simplified_msc3575/sync
    [ "$(curl -so /dev/null -w '%{http_code}' -X POST -d '{}' "$server_url/$path")" = 401 ]
}

# measure_commits LABEL FILE: the machine's own commit, on the file system of the databases.
measure_commits() {
    "$bench" --scenario commit-latency --dir "$scratch" --label "$1" --json "$results/$2.json"
}

# What the report says about where, when and what was measured.
describe_machine() {
    local revision
    revision=$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)
    "$bench" machine --dir "$scratch" --note "measured on $(date -u +%Y-%m-%d) at revision $revision" \
        --json "$results/machine.json"
}

# Builds what is missing, unless told not to.
build() {
    if [ "${skip_build:-no}" = yes ]; then
        [ -x "$bench" ] || die "$bench is not built"
        return
    fi
    say "building the release binaries"
    (cd "$root" && cargo build --release -p greenroom -p greenroom-bench)
}

# Ten thousand waiting syncs need as many sockets, in the server too.
ulimit -n "$(ulimit -Hn)" || true
