# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The lab's hosts, links, addresses and routes. Sourced by scripts/lab, which has the picture.
#
# A host is a network namespace. The two switches, front and back, are bridges in namespaces of their own. A
# bridge's port has the name of the host behind it. Edge's two interfaces are named front and back; the first
# interface of every other host is eth0.

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
  # Without redirects: edge would tell client1 about the router of client3, and packets would go around edge.
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
  # Clients that open thousands of connections a second need many ports.
  for name in client1 client2 client3; do
    set_sysctls "$name" net.ipv4.ip_local_port_range="10000 65000" net.ipv4.tcp_tw_reuse=1
  done
}

# Duplicate address detection would delay each IPv6 address for seconds. Reverse-path filters would drop
# punted packets, because these come in by another interface than the route to their source.
make_namespace() {
  ip netns add "$prefix$1"
  set_sysctls "$1" net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
    net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
  ip -n "$prefix$1" link set lo up
}

set_sysctls() { in_host "$1" sysctl -q -w "${@:2}"; }

# plug HOST INTERFACE BRIDGE: connects a host to a bridge. Each end gets enough queues for the maximum of
# workers. The start of the dataplane sets how many queues edge uses.
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

# use_queues N: makes edge's ports receive on at least N queues, one for each worker. veth delivers a packet
# to the receive queue with the number of the sender's transmit queue. So the transmit queues of the far end
# count, and XDP needs at least as many receive queues here. The number is never lowered: the kernel cannot
# remove a queue that a socket of a killed dataplane still has, and a worker can poll several queues.
use_queues() {
  local port now
  for port in front back; do
    now=$(in_host edge ethtool -l "$port" | awk '/^Current/ { now = 1 } now && /^RX:/ { print $2 }')
    if ((now < $1)); then set_channels edge "$port" "$1"; fi
    if ((now < $1)); then set_channels "$port" edge "$1"; fi
  done
}

# set_channels HOST INTERFACE N: ethtool fails when nothing would change, so it is called only for a change.
set_channels() {
  local now
  now=$(in_host "$1" ethtool -l "$2" | awk '/^Current/ { now = 1 } now && /^[RT]X:/ { printf "%s ", $2 }')
  if [[ $now != "$3 $3 " ]]; then in_host "$1" ethtool -L "$2" rx "$3" tx "$3"; fi
}
