#!/bin/sh
# Blue-green: deploys to the idle backend, sends all traffic there, verifies, and keeps it or goes
# back.
#
#   DEPLOY='./deploy.sh green' VERIFY='./smoke.sh' blue-green.sh ROUTE TO
#
# DEPLOY and VERIFY are commands of yours, run by sh. What else it reads is in lib.sh.
set -eu
. "$(dirname "$0")/lib.sh"
route=${1:?which route? blue-green.sh ROUTE TO}
to=${2:?to which backend? blue-green.sh ROUTE TO}
: "${DEPLOY:?DEPLOY is the command that deploys to the idle backend}"
: "${VERIFY:?VERIFY is the command that says whether the new version is good}"

before=$(revision_of "$route")
say "deploying to $to"
run "$DEPLOY"

on_failure roll_back "$route" "$before"
say "sending all of $route to $to"
# If-Match: nobody shifted meanwhile. wait=healthy: the new version passes its probes. ttl: should
# this script die, traffic goes back by itself.
answer=$(change switch POST "/switch/$route?wait=healthy&timeout=60s&ttl=${LEASE}s" \
  --header "If-Match: \"$before\"" --data "to=$to")
hold_lease "$(number_in revision "$answer")"

say "verifying"
run "$VERIFY"
keep
done_well
