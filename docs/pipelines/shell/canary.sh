#!/bin/sh
# Canary by hand: deploys to the canary, sends it more and more traffic, verifies at each step, and
# keeps it or goes back.
#
#   DEPLOY='./deploy.sh canary' VERIFY='./error-rate.sh' canary.sh ROUTE STABLE CANARY
#
# STEPS (default: "1 10 50 100") are per cent for the canary; PAUSE (default: 60) is how many
# seconds each step lasts before VERIFY judges it. What else it reads is in lib.sh.
set -eu
. "$(dirname "$0")/lib.sh"
route=${1:?which route? canary.sh ROUTE STABLE CANARY}
stable=${2:?from which backend? canary.sh ROUTE STABLE CANARY}
canary=${3:?to which backend? canary.sh ROUTE STABLE CANARY}
: "${DEPLOY:?DEPLOY is the command that deploys to the canary}"
: "${VERIFY:?VERIFY is the command that says whether the new version is good}"
: "${STEPS:=1 10 50 100}" "${PAUSE:=60}"

before=$(revision_of "$route")
at=$before
say "deploying to $canary"
run "$DEPLOY"

on_failure roll_back "$route" "$before"
step=0
for percent in $STEPS; do
  step=$((step + 1))
  say "sending $percent % of $route to $canary"
  answer=$(change "step-$step" PUT "/weights/$route?wait=healthy&timeout=60s&ttl=${LEASE}s" \
    --header "If-Match: \"$at\"" \
    --data "$stable=$((100 - percent))" --data "$canary=$percent")
  at=$(number_in revision "$answer")
  hold_lease "$at"
  run "sleep $PAUSE"
  say "verifying"
  run "$VERIFY"
done
keep
done_well
