#!/bin/sh
# Set up a Prefect server: limits, automations, and the deployments that are named.
#   PREFECT_API_URL=http://127.0.0.1:4200/api sh deploy/set-up.sh nightly yearly
# Run it again after every change of the files; it does not change existing limits.
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
