# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The topology of the lab, made of the hosts and links of links.sh. Sourced by scripts/lab, which has the
# picture.
#
# Edge's two interfaces are named front and back, as the two switches; the first interface of every other host
# is eth0.

readonly hosts=(client1 client2 client3 router edge blue1 blue2 green1 green2)
readonly bridges=(front back)
readonly queues=8   # of the veth ports of edge, at most as many workers

make_topology() {
  local name
  for name in "${hosts[@]}"; do make_namespace "$name"; done
  for name in "${bridges[@]}"; do make_bridge "$name"; done

  plug edge front front
  plug edge back back
  # Each queue makes the start of the dataplane longer. So these are enough for most tests only; while a
  # dataplane has the port, a change of their number loses packets.
  for name in front back; do
    set_channels edge "$name" 4
    set_channels "$name" edge 4
  done
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
