#!/usr/bin/env bash
# Instructions per request on the header path, by callgrind: the difference of two runs, so that the
# start of the program does not count. Needs valgrind (Debian package `valgrind`).
set -euo pipefail
cd "$(dirname "$0")/.."
command -v valgrind >/dev/null || { echo "valgrind is missing; apt-get install valgrind" >&2; exit 1; }
binary=$(cargo bench --bench header_path --no-run --message-format=json 2>/dev/null |
  grep -o '"executable":"[^"]*header_path[^"]*"' | tail -n 1 | cut -d'"' -f4)
instructions() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$1" 2>&1 |
    awk '/Collected/ { print $4 }'
}
few=$(instructions 1000)
many=$(instructions 11000)
# Making a request to be passed is measured along; it is the same work before and after a change.
echo "header path, 12 headers: $(((many - few) / 10000)) instructions a request, making it included"
