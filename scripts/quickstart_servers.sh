#!/usr/bin/env bash
# Starts and stops the two servers of a quickstart. Started again, after a stop or a crash, they have the ports and the data
# that they had before. Two at once take turns.
#   scripts/quickstart_servers.sh start|stop|status [FOLDER [PROGRAMS]]
#     FOLDER     where their data, ports, process ids and logs are; default: build/quickstart
#     PROGRAMS   folder of cmkstored and cmkdevvault; default: build/release/bin
set -euo pipefail
fail() { echo "quickstart_servers: $*" >&2; exit 1; }

case "${1:-}" in
  start|stop|status) verb=$1 ;;
  --help|-h) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) fail "unknown command \"${1:-}\"; --help shows those there are" ;;
esac
root=$(cd "$(dirname "$0")/.." && pwd)
work=${2:-$root/build/quickstart}
bin=${3:-$root/build/release/bin}
[ -d "$work" ] || fail "there is no folder $work; scripts/quickstart.sh --keep makes it"
# shellcheck source=scripts/dev_vault.sh
. "$root/scripts/dev_vault.sh"

# pid_of NAME: its process id, if it runs.
pid_of() {
  local pid
  pid=$(cat "$work/$1.pid" 2>/dev/null) || return 1
  [ "$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -o "/$1 ")" = "/$1 " ] && echo "$pid"
}

# start NAME READY_FILE ARGUMENTS…: runs it and waits until it says that it serves.
start() {
  local name=$1 ready=$2 pid
  shift 2
  # One that was killed just now may take a moment to go.
  if pid_of "$name" >/dev/null && sleep 0.3 && pid_of "$name" >/dev/null; then return 0; fi
  rm -f "$ready"
  "$bin/$name" "$@" >>"$work/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  echo "$pid" >"$work/$name.pid"
  for _ in $(seq 3000); do  # a machine may be busy with other things
    [ ! -s "$ready" ] || return 0
    kill -0 "$pid" 2>/dev/null || fail "$name did not start: $(tail -n 1 "$work/$name.log")"
    sleep 0.1
  done
  fail "$name did not begin to serve within 5 minutes; see $work/$name.log"
}

# port NAME: the one it had before, or was given; else any free one.
port() { cat "$work/$1.port" 2>/dev/null || echo 0; }

start_both() {
  start cmkdevvault "$work/vault/ready.json" --state-dir "$work/vault" --port "$(port cmkdevvault)"
  ready url | sed 's/.*://' >"$work/cmkdevvault.port"
  start cmkstored "$work/address" --data-dir "$work/data" --development --listen "127.0.0.1:$(port cmkstored)" \
    --ready-file "$work/address" --vault-host "localhost:$(port cmkdevvault)" --vault-ca "$(ready ca_file)" \
    --identity client-secret --authority "$(ready authority)" --identity-tenant "$(ready tenant_id)" \
    --identity-client "$(ready client_id)" --identity-secret-file "$(ready secret_file)"
  sed 's/.*://' "$work/address" >"$work/cmkstored.port"
}

stop_both() {
  local name pid
  for name in cmkstored cmkdevvault; do
    pid=$(pid_of "$name") || continue
    kill "$pid"
    for _ in $(seq 600); do
      [ -d "/proc/$pid" ] || continue 2
      sleep 0.1
    done
    fail "$name (process $pid) did not stop within 60 s"
  done
}

# Another start or stop must not see a process id that is being replaced. The servers themselves do not keep the lock.
take_turn() {
  exec 9>"$work/turn"
  flock -w 900 9 || fail "another start or stop of these servers is still under way"
}

case $verb in
  start) take_turn; start_both ;;
  stop) take_turn; stop_both ;;
  status)
    for name in cmkdevvault cmkstored; do
      if pid=$(pid_of $name); then echo "$name: process $pid, port $(port $name)"; else echo "$name: stopped"; fi
    done ;;
esac
