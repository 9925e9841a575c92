#!/bin/sh
# Tell a Prefect server what it must know: limits, automations, and the deployments that are named.
#   PREFECT_API_URL=http://127.0.0.1:4200/api sh deploy/set-up.sh nightly yearly
# Again after every change of the files; limits that are there keep what they were changed to.
set -eu
cd "$(dirname "$0")/.."

for limit in cloudmask-gpu:1 cloudmask-catalogue:2; do
    name=${limit%:*}
    prefect gcl create "$name" --limit "${limit#*:}" || prefect gcl inspect "$name"
done

prefect --no-prompt automation delete cloudmask-lost-run > /dev/null 2>&1 || true
prefect automation create --from-file "${AUTOMATIONS:-deploy/automations.yaml}"

for name in "$@"; do
    prefect --no-prompt deploy --prefect-file "${DEPLOYMENTS:-deploy/prefect.yaml}" --name "$name"
done
