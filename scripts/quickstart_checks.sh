# What must hold before the quickstart begins; each refusal is one sentence. Sourced by quickstart.sh and its test.

fail() { echo "quickstart: $*" >&2; exit 1; }

# check_system OS_RELEASE_FILE
check_system() {
  local name
  # shellcheck disable=SC1090
  name=$(. "$1" 2>/dev/null && echo "${PRETTY_NAME:-unknown}")
  # shellcheck disable=SC1090
  (. "$1" 2>/dev/null && [ "${ID:-}" = debian ] && [ "${VERSION_ID:-}" = 12 ]) ||
    fail "this needs the packages of Debian 12, and this machine runs ${name:-an unknown system}; a debian:12 container will do"
}

# check_room WHAT NEEDED_MB HAVE_MB
check_room() {
  [ "$3" -ge "$2" ] || fail "building needs $2 MB of $1, and $3 MB are free"
}

# check_port FLAG PORT; 0 is any free one
check_port() {
  case "$2" in ''|*[!0-9]*) fail "$1 must be a port number, and \"$2\" is none" ;; esac
  [ "$2" -le 65535 ] || fail "$1 must be at most 65535"
  if [ "$2" -ne 0 ] && (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
    fail "port $2 is taken by another program; give $1 another one, or 0 for any free one"
  fi
}

# check_none_running PID_FILE
check_none_running() {
  [ -s "$1" ] || return 0
  local pid running=
  while read -r pid; do
    case "$(cat "/proc/$pid/comm" 2>/dev/null)" in cmkstored|cmkdevvault) running="$running $pid" ;; esac
  done <"$1"
  [ -z "$running" ] || fail "the servers of an earlier --keep run are still up; stop them first: kill$running"
}
