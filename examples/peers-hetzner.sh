#!/bin/sh
# The servers of a Hetzner Cloud project that have a label, as quorate's peers:
#
#   quorate run --peers 'exec:///usr/local/bin/peers-hetzner.sh' …
#
# HCLOUD_TOKEN        a read-only token of the project; or
# HCLOUD_TOKEN_FILE   the file that holds it (default /etc/quorate/hcloud-token)
# HCLOUD_SELECTOR     the label selector (default etcd)
# HCLOUD_NETWORK      the id of the private network to use (default: the only one)
# HCLOUD_SIZE         the wanted number of voters (default: not said)
# HCLOUD_ENDPOINT     the API (default https://api.hetzner.cloud/v1)
#
# It needs curl and jq. All pages are read, and any doubt is an error, which
# quorate takes for "unknown". Only so may the answer be authoritative: a server
# that the whole list lacks is deleted.
set -eu

endpoint=${HCLOUD_ENDPOINT:-https://api.hetzner.cloud/v1}
selector=${HCLOUD_SELECTOR:-etcd}
if [ -z "${HCLOUD_TOKEN:-}" ]; then
	HCLOUD_TOKEN=$(cat "${HCLOUD_TOKEN_FILE:-/etc/quorate/hcloud-token}")
fi

# get prints one page. The token goes in by a file descriptor, so that no list
# of processes shows it.
get() {
	printf 'header = "Authorization: Bearer %s"\n' "$HCLOUD_TOKEN" |
		curl --config - --silent --show-error --fail --max-time 8 --get \
			--data-urlencode "label_selector=$selector" --data per_page=50 --data "page=$1" "$endpoint/servers"
}

page=1
all='[]'
while [ "$page" != null ]; do
	answer=$(get "$page")
	all=$(printf '%s\n%s\n' "$all" "$answer" | jq -s -e '.[0] + .[1].servers')
	page=$(printf '%s' "$answer" | jq '.meta.pagination | if . == null then error("no pagination in the answer") else .next_page end')
done

printf '%s' "$all" | jq --arg network "${HCLOUD_NETWORK:-}" --arg size "${HCLOUD_SIZE:-0}" '
	# Hetzner says: running initializing starting stopping off deleting migrating rebuilding unknown.
	# A server that is off still has its disk and may come back.
	def state: {initializing: "pending", starting: "pending", deleting: "terminating"}[.] // "running";
	def address: [.private_net[] | select($network == "" or (.network | tostring) == $network) | .ip]
		| if length == 1 then .[0] else error("want one private address, and there are \(length)") end;
	{
		authoritative: true,
		size: ($size | tonumber),
		peers: map({
			name, id: (.id | tostring), host: address, state: (.status | state), launched: .created,
			zone: (.datacenter.name // .location.name), region: (.location // .datacenter.location).network_zone
		})
	}'
