# What the pipeline scripts beside this one share. POSIX sh; needs curl 7.76 or later.
#
# From the environment:
#   SLUICE_ADMIN    http://127.0.0.1:9901 (default), https://HOST:9901 or unix:/run/sluice/admin.sock
#   SLUICE_TOKEN    a token to show; or SLUICE_TOKEN_FILE, a file that has it
#   SLUICE_CA_FILE  certificates that https may end in; default: the system's
#   SLUICE_AUTHOR   who asks, for the history; default: USER@HOST
#   PIPELINE_ID     names this run, once each time that it is run: a retried job has another
#   LEASE           seconds after which what was shifted goes back, if this script dies; default: 60

: "${SLUICE_ADMIN:=http://127.0.0.1:9901}"
: "${SLUICE_AUTHOR:=$(id -un)@$(uname -n)}"
: "${PIPELINE_ID:=$(uname -n)-$$-$(date +%s)}"
: "${LEASE:=60}"

say() { echo "$(date +%H:%M:%S) $*" >&2; }

# sluice METHOD PATH [curl's words…]: one call; its answer on the standard output. A refusal is an
# error, and its reason goes to the standard error.
sluice() {
  sluice_method=$1
  sluice_path=$2
  shift 2
  sluice_url=$SLUICE_ADMIN
  case $SLUICE_ADMIN in
    unix:*)
      sluice_url=http://localhost
      set -- --unix-socket "${SLUICE_ADMIN#unix:}" "$@"
      ;;
  esac
  [ -z "${SLUICE_CA_FILE:-}" ] || set -- --cacert "$SLUICE_CA_FILE" "$@"
  sluice_token=${SLUICE_TOKEN:-}
  [ -z "${SLUICE_TOKEN_FILE:-}" ] || sluice_token=$(head -n 1 "$SLUICE_TOKEN_FILE")
  # Up to three times more where the connection failed (a restart), never after a whole answer: a
  # wait that lapsed has lapsed.
  for sluice_pause in 1 2 4 0; do
    # A command line can be read by others: the token goes through a pipe.
    sluice_status=0
    sluice_answer=$(printf '%s\n' ${sluice_token:+"Authorization: Bearer $sluice_token"} |
      curl --silent --show-error --fail-with-body --max-time 700 \
        --request "$sluice_method" --header @- "$@" "$sluice_url/v1$sluice_path") || sluice_status=$?
    # 7: no connection; 52 and 56: it ended without an answer.
    case $sluice_status in
      7 | 52 | 56) [ "$sluice_pause" = 0 ] || sleep "$sluice_pause" ;;
      *) break ;;
    esac
  done
  if [ "$sluice_status" = 0 ]; then
    printf '%s\n' "$sluice_answer"
  else
    printf '%s %s: %s\n' "$sluice_method" "$sluice_path" "$sluice_answer" >&2
    return "$sluice_status"
  fi
}

# change STEP METHOD PATH [curl's words…]: a call that changes something. It is recorded with its
# author and its reason. STEP names it within this run: however often it is repeated, it is done once.
change() {
  change_key=$PIPELINE_ID-$1
  change_method=$2
  change_path=$3
  shift 3
  sluice "$change_method" "$change_path" --header "Idempotency-Key: $change_key" \
    --data-urlencode "author=$SLUICE_AUTHOR" --data-urlencode "reason=pipeline $PIPELINE_ID" "$@"
}

# The first number of that name in an answer: number_in revision "$answer".
number_in() { printf '%s\n' "$2" | sed -n "s/.*\"$1\": *\([0-9][0-9]*\).*/\1/p" | head -n 1; }

# The revision that a route is at.
revision_of() {
  answer=$(sluice GET "/weights/$1")
  number_in revision "$answer"
}

# run COMMAND: one of your commands. A signal is heeded at once, and ends the command too.
child=
run() {
  sh -c "$1" &
  child=$!
  run_status=0
  wait "$child" || run_status=$?
  child=
  return "$run_status"
}

# A process that has ended but was not waited for is not alive.
is_alive() {
  kill -0 "$1" 2>/dev/null || return 1
  case $(ps -o stat= -p "$1" 2>/dev/null) in Z*) return 1 ;; esac
}

# As long as this script lives, the lease is renewed. One that is killed leaves it to lapse, and
# Sluice takes back what was shifted.
leased=
renewer=
hold_lease() {
  leased=$1
  [ -z "$renewer" ] || kill "$renewer" 2>/dev/null || :
  (
    trap - EXIT
    while sleep "$(((LEASE + 2) / 3))" && is_alive $$; do
      sluice POST "/leases/$leased/renew" --data "ttl=${LEASE}s" || exit 0
    done
  ) >/dev/null 2>&1 &
  renewer=$!
}
end_lease() {
  [ -z "$renewer" ] || kill "$renewer" 2>/dev/null || :
  renewer=
  leased=
}

# What was shifted stays.
keep() {
  kept=$leased
  end_lease
  change keep DELETE "/leases/$kept" >/dev/null
}

# roll_back ROUTE REVISION: the setting of before this script, unless somebody else has shifted since.
roll_back() {
  [ -n "$leased" ] || return 0
  mine=$leased
  end_lease
  say "rolling $1 back to what was in force at revision $2"
  change rollback POST "/rollback/$1" --header "If-Match: \"$mine\"" --data "to=$2" >/dev/null
}

# on_failure COMMAND…: done when the script ends before it calls `done_well`, however it ends but by
# SIGKILL; for that there is the lease.
on_failure() {
  failure=$*
  trap 'fail_with "$?"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}
fail_with() {
  trap - EXIT
  trap '' HUP INT TERM
  [ -z "$child" ] || kill "$child" 2>/dev/null || :
  say "failed"
  $failure || say "what was begun could not be undone"
  exit "$1"
}
done_well() {
  trap - EXIT HUP INT TERM
  say "done"
}
