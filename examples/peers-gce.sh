#!/bin/sh
# The instances of a Google Cloud project that have a label, as quorate's peers:
#
#   quorate run --peers 'exec:///usr/local/bin/peers-gce.sh?timeout=30s' …
#
# GCE_FILTER    which instances, as gcloud filters (default labels.etcd=true)
# GCE_PROJECT   the project (default: gcloud's own)
# GCE_SIZE      the wanted number of voters (default: not said)
# GCLOUD        the gcloud program (default gcloud)
#
# It needs gcloud, with a service account that may list instances
# (compute.instances.list), and jq. gcloud reads all zones and all pages, and
# fails when it cannot; only so may the answer be authoritative.
set -eu

set -- compute instances list --format=json --quiet --filter "${GCE_FILTER:-labels.etcd=true}"
if [ -n "${GCE_PROJECT:-}" ]; then
	set -- "$@" --project "$GCE_PROJECT"
fi

# Of a zone that does not answer gcloud only warns, and lists the others.
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
list=$("${GCLOUD:-gcloud}" "$@" 2>"$errors") || {
	cat "$errors" >&2
	exit 1
}
if grep -q -i 'some requests did not succeed\|unreachable' "$errors"; then
	cat "$errors" >&2
	exit 1
fi

printf '%s' "$list" | jq --arg size "${GCE_SIZE:-0}" '
	# GCE says: PROVISIONING STAGING RUNNING PENDING_STOP STOPPING SUSPENDING SUSPENDED REPAIRING TERMINATED.
	# TERMINATED is a machine that is stopped: it still has its disk and may come back.
	def state: {PROVISIONING: "pending", STAGING: "pending"}[.] // "running";
	{
		authoritative: true,
		size: ($size | tonumber),
		peers: map({
			name, id: (.id | tostring), host: .networkInterfaces[0].networkIP, state: (.status | state),
			launched: .creationTimestamp,
			zone: (.zone | split("/") | last), region: (.zone | split("/") | last | sub("-[a-z]$"; ""))
		})
	}'
