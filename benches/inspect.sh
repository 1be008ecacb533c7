#!/usr/bin/env bash
# Instructions per event of a stream, by callgrind: the difference of two runs, so that the start of the
# program does not count. Then times, as this machine has them just now. Prints both, and keeps them in
# benches/results. Needs valgrind (Debian package `valgrind`).
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "valgrind is missing; apt-get install valgrind" >&2; exit 1; }
binary=$(cargo bench "$@" --bench inspect --no-run --message-format=json 2>/dev/null |
  grep -o '"executable":"[^"]*/inspect-[0-9a-f]*"' | tail -n 1 | cut -d'"' -f4)
instructions() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$@" 2>&1 |
    awk '/Collected/ { print $4 }'
}
measure() {
  echo "benches/inspect.sh $*, commit $(git rev-parse --short HEAD), $(rustc --version)"
  echo "$(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1), load $(cut -d' ' -f1 /proc/loadavg)"
  for event in vllm-chat llama-server-chat messages responses; do
    few=$(instructions "$event" 1000)
    many=$(instructions "$event" 11000)
    echo "$event: $(((many - few) / 10000)) instructions an event"
  done
  "$binary"
}
mkdir -p benches/results
measure "$@" | tee "benches/results/inspect-$(date +%F)-$(git rev-parse --short HEAD).txt"
