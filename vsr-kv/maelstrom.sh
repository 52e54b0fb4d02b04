#!/usr/bin/env bash
# Builds the node and lets Maelstrom test it: lin-kv with partitions. docs/maelstrom.md tells what to look for in the results.
#
#   vsr-kv/maelstrom.sh [nodes [seconds [further options of maelstrom test]]]
#
# MAELSTROM names the program, if it is not on the PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

maelstrom=${MAELSTROM:-maelstrom}
if ! maelstrom=$(command -v "$maelstrom"); then
    cat >&2 <<'END'
Maelstrom is not here. It needs Java; its releases are at https://github.com/jepsen-io/maelstrom/releases. Unpack one, then
    MAELSTROM=/where/it/is/maelstrom vsr-kv/maelstrom.sh
Without it: cargo run --release -p vsr-test -- maelstrom --partition
END
    exit 127
fi
nodes=${1:-3} seconds=${2:-60}
shift $(($# < 2 ? $# : 2))

cargo build --release --locked -p vsr-kv
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
# Maelstrom leaves its results in the directory `store` of wherever it runs.
mkdir -p "$target/maelstrom"
cd "$target/maelstrom"
# 5 s of partition, 5 s without: long enough for another primary, and for the old one to come back. Latency that varies.
exec "$maelstrom" test -w lin-kv --bin "$target/release/vsr-kv" --node-count "$nodes" --time-limit "$seconds" \
    --rate 100 --concurrency 4n --latency 10 --latency-dist exponential --nemesis partition --nemesis-interval 5 \
    "$@" -- maelstrom
