#!/bin/sh
# Rolling update: takes the servers of a backend out of traffic one by one, deploys to each, and puts
# it back once a probe has passed.
#
#   DEPLOY='./deploy.sh' UNDO='./deploy.sh --previous' rolling.sh BACKEND
#
# DEPLOY and UNDO (default: nothing is undone) are commands of yours, run by sh with the server's
# name in $SERVER and its address in $ADDRESS. When a step fails, UNDO is run for that server and
# those before it, the last first, each drained. A script that is killed leaves at most one server
# drained, and traffic on the others; run it again. What else it reads is in lib.sh.
set -eu
. "$(dirname "$0")/lib.sh"
backend=${1:?which backend? rolling.sh BACKEND}
: "${DEPLOY:?DEPLOY is the command that deploys to the server \$SERVER}"
: "${UNDO:=}" "${WAIT:=60}"

# The servers, as lines of NAME ADDRESS.
table=$(sluice GET "/backends/$backend?format=text")
servers=$(printf '%s\n' "$table" | awk 'NR > 1 { print $2, $3 }')
touched=

# on WHAT SERVER COMMAND: with the server out of traffic, and back in it when the command has
# succeeded.
on() {
  SERVER=$2
  ADDRESS=$(printf '%s\n' "$servers" | awk -v name="$2" '$1 == name { print $2 }')
  export SERVER ADDRESS
  at=/servers/$backend/$2
  change "$1-drain-$2" POST "$at/drain?wait=${WAIT}s" >/dev/null &&
    run "$3" &&
    change "$1-resume-$2" POST "$at/resume?wait=${WAIT}s" >/dev/null
}

undo() {
  [ -n "$UNDO" ] || {
    say "servers that were touched: ${touched:-none}"
    return 0
  }
  for name in $touched; do
    say "undoing $name"
    on undo "$name" "$UNDO" || say "$name could not be undone; it stays as it is"
  done
}

on_failure undo
for name in $(printf '%s\n' "$servers" | awk '{ print $1 }'); do
  say "updating $name"
  touched="$name $touched"
  on update "$name" "$DEPLOY"
done
done_well
