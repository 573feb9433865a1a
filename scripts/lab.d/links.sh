# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Hosts of a lab and the links between them. Sourced by scripts/lab and scripts/niclab, which name the hosts
# and switches in `hosts` and `bridges`.
#
# A host is a network namespace. A switch is a bridge in a namespace of its own. A bridge's port has the name
# of the host behind it.

readonly backends=(blue1 blue2 green1 green2)

# Last byte of a backend's addresses 198.18.2.N and fd18:2::N.
declare -Ar backend_byte=([blue1]=11 [blue2]=12 [green1]=21 [green2]=22)

lab_namespaces() {
  local name
  for name in "${hosts[@]}" "${bridges[@]}"; do
    if [[ -e /run/netns/$prefix$name ]]; then echo "$prefix$name"; fi
  done
}

# make_bridge NAME
make_bridge() {
  make_namespace "$1"
  ip -n "$prefix$1" link add bridge type bridge mcast_snooping 0
  ip -n "$prefix$1" link set bridge up
}

# Duplicate address detection would delay each IPv6 address for seconds. Reverse-path filters would drop
# punted packets, because these come in by another interface than the route to their source.
make_namespace() {
  ip netns add "$prefix$1"
  set_sysctls "$1" net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
    net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
    net.ipv6.conf.all.keep_addr_on_down=1 net.ipv6.conf.default.keep_addr_on_down=1 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
  ip -n "$prefix$1" link set lo up
}

set_sysctls() { in_host "$1" sysctl -q -w "${@:2}"; }

# flush_rules: removes what a test left in nftables.
flush_rules() {
  local name
  for name in "${hosts[@]}"; do in_host "$name" nft flush ruleset; done
}

# plug HOST INTERFACE BRIDGE: connects a host to a bridge. Each end gets `queues` queues, enough for the
# maximum of workers. The start of the dataplane sets how many queues edge uses.
plug() {
  ip link add "$2" netns "$prefix$1" numtxqueues "$queues" numrxqueues "$queues" \
    type veth peer name "$1" netns "$prefix$3" numtxqueues "$queues" numrxqueues "$queues"
  ip -n "$prefix$3" link set "$1" master bridge up
  no_checksum_offload "$1" "$2"
  ip -n "$prefix$1" link set "$2" up
}

# connect HOST INTERFACE HOST INTERFACE: connects two hosts.
connect() {
  ip link add "$2" netns "$prefix$1" type veth peer name "$4" netns "$prefix$3"
  no_checksum_offload "$1" "$2"
  no_checksum_offload "$3" "$4"
  ip -n "$prefix$1" link set "$2" up
  ip -n "$prefix$3" link set "$4" up
}

# A veth pair leaves checksums unfinished, because the packet never leaves the machine. The dataplane updates
# checksums and does not compute new ones. So an unfinished checksum would stay unfinished, and the receiver
# would drop the packet.
no_checksum_offload() { in_host "$1" ethtool -K "$2" tx off >/dev/null; }

# address HOST INTERFACE NET BYTE: adds the addresses 198.18.NET.BYTE and fd18:NET::BYTE
address() {
  ip -n "$prefix$1" address add "198.18.$3.$4/24" dev "$2"
  ip -n "$prefix$1" address add "fd18:$3::$4/64" dev "$2" nodad
}

# default_route HOST NET BYTE
default_route() {
  ip -n "$prefix$1" route add default via "198.18.$2.$3"
  ip -n "$prefix$1" -6 route add default via "fd18:$2::$3"
}
