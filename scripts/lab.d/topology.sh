# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The lab's hosts, links, addresses and routes. Sourced by scripts/lab, which holds the picture.
#
# A host is a network namespace. The two switches, front and back, are bridges in namespaces of their own; a
# host's port on one is called by the host's name. Edge's two interfaces are named front and back, all other
# hosts' first one is eth0.

readonly hosts=(client1 client2 client3 router edge blue1 blue2 green1 green2)
readonly bridges=(front back)
readonly backends=(blue1 blue2 green1 green2)
readonly queues=8   # of the veth ports of edge, at most as many workers

# Last byte of a backend's addresses 198.18.2.N and fd18:2::N.
declare -Ar backend_byte=([blue1]=11 [blue2]=12 [green1]=21 [green2]=22)

lab_namespaces() {
  local name
  for name in "${hosts[@]}" "${bridges[@]}"; do
    if [[ -e /run/netns/$prefix$name ]]; then echo "$prefix$name"; fi
  done
}

make_topology() {
  local name
  for name in "${hosts[@]}" "${bridges[@]}"; do make_namespace "$name"; done
  for name in "${bridges[@]}"; do
    ip -n "$prefix$name" link add bridge type bridge mcast_snooping 0
    ip -n "$prefix$name" link set bridge up
  done

  plug edge front front
  plug edge back back
  address edge front 1 1
  address edge back 2 1
  # Between client1 and client3, edge would tell the one about the other's router, and the picture would not
  # hold.
  set_sysctls edge net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
    net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.front.send_redirects=0

  plug router eth0 front
  address router eth0 1 2
  connect client3 eth0 router eth1
  address router eth1 3 1
  address client3 eth0 3 103
  set_sysctls router net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  default_route router 1 1
  default_route client3 3 1
  ip -n "${prefix}edge" route add 198.18.3.0/24 via 198.18.1.2
  ip -n "${prefix}edge" -6 route add fd18:3::/64 via fd18:1::2

  local byte=101
  for name in client1 client2; do
    plug "$name" eth0 front
    address "$name" eth0 1 $((byte++))
    default_route "$name" 1 1
  done
  for name in "${backends[@]}"; do
    plug "$name" eth0 back
    address "$name" eth0 2 "${backend_byte[$name]}"
    default_route "$name" 2 1
  done
  # Clients that open thousands of connections a second run out of ports else.
  for name in client1 client2 client3; do
    set_sysctls "$name" net.ipv4.ip_local_port_range="10000 65000" net.ipv4.tcp_tw_reuse=1
  done
}

# Duplicate address detection would hold back each IPv6 address for seconds. Reverse-path filters would drop
# what the dataplane punts: it comes in by another interface than the one that its source is routed to.
make_namespace() {
  ip netns add "$prefix$1"
  set_sysctls "$1" net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
    net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
  ip -n "$prefix$1" link set lo up
}

set_sysctls() { in_host "$1" sysctl -q -w "${@:2}"; }

# plug HOST INTERFACE BRIDGE: a cable from a host to a switch. Each end gets queues enough for the most
# workers; how many of them are in use at the edge is set when the dataplane starts.
plug() {
  ip link add "$2" netns "$prefix$1" numtxqueues "$queues" numrxqueues "$queues" \
    type veth peer name "$1" netns "$prefix$3" numtxqueues "$queues" numrxqueues "$queues"
  ip -n "$prefix$3" link set "$1" master bridge up
  no_checksum_offload "$1" "$2"
  ip -n "$prefix$1" link set "$2" up
}

# connect HOST INTERFACE HOST INTERFACE: a cable between two hosts.
connect() {
  ip link add "$2" netns "$prefix$1" type veth peer name "$4" netns "$prefix$3"
  no_checksum_offload "$1" "$2"
  no_checksum_offload "$3" "$4"
  ip -n "$prefix$1" link set "$2" up
  ip -n "$prefix$3" link set "$4" up
}

# A veth pair leaves checksums unfinished, as the packet never meets a wire. The dataplane updates checksums,
# it does not make new ones: an unfinished one would leave it unfinished, and the receiver would drop the
# packet.
no_checksum_offload() { in_host "$1" ethtool -K "$2" tx off >/dev/null; }

# address HOST INTERFACE NET BYTE: 198.18.NET.BYTE and fd18:NET::BYTE
address() {
  ip -n "$prefix$1" address add "198.18.$3.$4/24" dev "$2"
  ip -n "$prefix$1" address add "fd18:$3::$4/64" dev "$2" nodad
}

# default_route HOST NET BYTE
default_route() {
  ip -n "$prefix$1" route add default via "198.18.$2.$3"
  ip -n "$prefix$1" -6 route add default via "fd18:$2::$3"
}

# use_queues N: the edge's ports receive on at least N queues, one a worker. veth delivers to the queue of the number that the sender
# used, so it is the far end's transmit queues that count, and XDP wants at least as many receive queues here. Never fewer than
# before: the kernel refuses to take a queue away from a socket that a killed dataplane has not let go of yet, and a worker
# polls several queues just as well.
use_queues() {
  local port now
  for port in front back; do
    now=$(in_host edge ethtool -l "$port" | awk '/^Current/ { now = 1 } now && /^RX:/ { print $2 }')
    if ((now < $1)); then set_channels edge "$port" "$1"; fi
    if ((now < $1)); then set_channels "$port" edge "$1"; fi
  done
}

# set_channels HOST INTERFACE N. ethtool fails when nothing would change.
set_channels() {
  local now
  now=$(in_host "$1" ethtool -l "$2" | awk '/^Current/ { now = 1 } now && /^[RT]X:/ { printf "%s ", $2 }')
  if [[ $now != "$3 $3 " ]]; then in_host "$1" ethtool -L "$2" rx "$3" tx "$3"; fi
}
