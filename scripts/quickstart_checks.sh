# shellcheck shell=bash
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
  { [ ${#2} -le 5 ] && [ "$2" -le 65535 ]; } || fail "$1 must be at most 65535"
  if [ "$2" -ne 0 ] && (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
    fail "port $2 is taken by another program; give $1 another one, or 0 for any free one"
  fi
}

# check_two_ports PORT VAULT_PORT
check_two_ports() {
  if [ "$1" -ne 0 ] && [ "$1" -eq "$2" ]; then
    fail "--port and --vault-port must differ, and both are $1; 0 is any free one"
  fi
}

# check_folder FOLDER: it is there, or can be made, and can be written.
check_folder() {
  { mkdir -p "$1" 2>/dev/null && [ -w "$1" ]; } ||
    fail "the folder $1 cannot be made or written; run this in a copy of the repository that is yours, on a disk that is not read-only"
}

# check_none_running FOLDER
check_none_running() {
  [ -d "$1" ] || return 0
  case "$(scripts/quickstart_servers.sh status "$1")" in *process*)
    fail "a server of an earlier --keep run is still up; stop it first: scripts/quickstart_servers.sh stop $(printf %q "$1")" ;;
  esac
}

# put_kept_data_aside FOLDER: what --keep has kept is the user's to delete.
put_kept_data_aside() {
  [ -e "$1/kept" ] || return 0
  local aside text
  aside=$1-$(date +%Y%m%d-%H%M%S)
  mv "$1" "$aside"
  if [ -e "$aside/env" ]; then
    text=$(cat "$aside/env")
    printf '%s\n' "${text//"$1"/"$aside"}" >"$aside/env"
  fi
  echo "What an earlier --keep run has kept is now in $aside; remove it when you need it no more."
}
