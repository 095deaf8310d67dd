#!/bin/sh
# Says whether a backend gets none of a route's traffic, so that it may be deployed to: exit 0 if so.
#
#   idle.sh ROUTE BACKEND
#
# What else it reads is in lib.sh.
set -eu
. "$(dirname "$0")/lib.sh"
route=${1:?which route? idle.sh ROUTE BACKEND}
backend=${2:?which backend? idle.sh ROUTE BACKEND}

table=$(sluice GET "/weights/$route?format=text")
weight=$(printf '%s\n' "$table" | awk -v name="$backend" 'NR > 1 && $2 == name { print $3 }')
[ "$weight" = 0 ] || {
  say "$backend has weight ${weight:-none} in $route: deploying to it would touch users"
  exit 1
}
say "$backend gets no traffic of $route"
