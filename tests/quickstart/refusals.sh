#!/usr/bin/env bash
# Each refusal of the quickstart is one sentence that names what is wrong.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
dir=$(mktemp -d)
trap 'kill "${holder:-}" 2>/dev/null; rm -rf "$dir"' EXIT
failed=0

# refused PATTERN COMMAND…: must fail with one line on standard error that matches.
refused() {
  local pattern=$1 said; shift
  if said=$("$@" 2>&1 >/dev/null); then echo "not refused: $*"; failed=1; return; fi
  if [ "$(wc -l <<<"$said")" -ne 1 ] || ! grep -qE "^quickstart(_servers)?: .*$pattern" <<<"$said"; then
    echo "refused with other words: $* -> $said"; failed=1
  fi
}
check() { bash -c '. scripts/quickstart_checks.sh; "$@"' _ "$@"; }
passes() { check "$@" || { echo "refused: $*"; failed=1; }; }

refused 'unknown option --frob' scripts/quickstart.sh --frob
refused 'port needs a number' scripts/quickstart.sh --port
refused '"x" is none' check check_port --port x
refused 'at most 65535' check check_port --port 70000
refused 'at most 65535' check check_port --port 99999999999999999999
passes check_port --port 0
refused '--port and --vault-port must differ, and both are 17443' scripts/quickstart.sh --port 17443 --vault-port 17443
passes check_two_ports 0 0
passes check_two_ports 17443 17444

touch "$dir/file"
refused "the folder $dir/file cannot be made or written" check check_folder "$dir/file"
refused 'the folder /proc/none cannot be made or written' check check_folder /proc/none
passes check_folder "$dir/new/folder"

printf 'ID=fedora\nVERSION_ID=40\nPRETTY_NAME="Fedora 40"\n' >"$dir/fedora"
printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n' >"$dir/debian"
refused 'runs Fedora 40' check check_system "$dir/fedora"
refused 'an unknown system' check check_system "$dir/none"
passes check_system "$dir/debian"

refused 'needs 1500 MB of memory, and 100 MB are free' check check_room memory 1500 100
passes check_room memory 1500 1500

# A port that something listens on.
python3 - "$dir/port" <<'PY' &
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
open(sys.argv[1] + ".new", "w").write(str(s.getsockname()[1]))
import os; os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(60)
PY
holder=$!
until [ -s "$dir/port" ]; do sleep 0.05; done
refused "port $(cat "$dir/port") is taken" check check_port --port "$(cat "$dir/port")"

# A server of an earlier --keep run, and what it left when it is gone.
mkdir "$dir/kept-run"
cp "$(command -v sleep)" "$dir/cmkstored"
"$dir/cmkstored" 60 & kept=$!
echo "$kept" >"$dir/kept-run/cmkstored.pid"
refused "stop it first: scripts/quickstart_servers.sh stop $dir/kept-run" check check_none_running "$dir/kept-run"
kill "$kept"; wait "$kept" 2>/dev/null
passes check_none_running "$dir/kept-run"
passes check_none_running "$dir/none"
passes put_kept_data_aside "$dir/kept-run"
[ -d "$dir/kept-run" ] || { echo "what a run left that was not kept was put aside"; failed=1; }
touch "$dir/kept-run/kept"
echo "export CMKSTORE_DATA_DIR=\"$dir/kept-run/data\"" >"$dir/kept-run/env"
passes put_kept_data_aside "$dir/kept-run"
aside=$(echo "$dir"/kept-run-2*)
[ -e "$aside/kept" ] || { echo "kept data was not put aside"; failed=1; }
# shellcheck disable=SC1091
[ "$(. "$aside/env" && echo "$CMKSTORE_DATA_DIR")" = "$aside/data" ] ||
  { echo "its env names another folder: $(cat "$aside/env")"; failed=1; }
refused 'there is no folder' check scripts/quickstart_servers.sh start "$dir/none"

# apt without root: no package is there, nobody is root, and there is no sudo on the path.
mkdir "$dir/bin"
printf '#!/bin/sh\necho missing\n' >"$dir/bin/dpkg-query"
printf '#!/bin/sh\necho 1000\n' >"$dir/bin/id"
chmod +x "$dir/bin/"*
said=$(PATH=$dir/bin /bin/bash scripts/install_deps.sh 2>&1) && { echo "installed without root"; failed=1; }
grep -q 'only root can install them' <<<"$said" || { echo "apt without root: $said"; failed=1; }

[ $failed -eq 0 ] && echo "all refusals are as they should be"
exit $failed
