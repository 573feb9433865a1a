// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The steering program runs on the ports that the kernel keeps (AF_XDP). For each frame it decides whether
 * the worker that owns this queue gets it, through its AF_XDP socket, or the kernel. The first rule that
 * matches decides:
 *
 *   1. to another MAC address than the port's                            -> kernel
 *   2. to a VIP's address, port and protocol                             -> worker
 *   3. an ICMP error to a VIP's address that quotes a packet from a VIP  -> worker
 *   4. to a local address of this host                                   -> kernel
 *   5. from a backend's socket, on a port with the backend side          -> worker
 *   6. an ICMP error that quotes a packet to a backend's socket, on such
 *      a port                                                            -> worker
 *   7. any other frame                                                   -> kernel
 *
 * A switch floods a frame to every port while it does not know where the frame's MAC address is. Such a frame
 * is for another host, which answers it, so rule 1 comes first. The rule also keeps broadcast and multicast
 * frames out.
 *
 * An operator may have changed the port's MAC address just now, and teal-dataplane has not told the program
 * yet. The kernel would take a frame to the new address as its own: it would reset the connection, or say
 * that the VIP cannot be reached. So rule 1 holds only for addresses that are not new. In the first second
 * after the program has seen a unicast address, the other rules decide about frames to that address. The
 * worker compares the address, too, and gives the frame to the kernel as a frame for another host.
 *
 * A later fragment has no ports, so the rules apply to its addresses alone. A first fragment has ports. A VIP
 * may also be an address of this host, for example announced from a loopback interface. Rule 2 comes before
 * rule 4 then, and the address's other ports stay with the kernel.
 *
 * The kernel also gets the frames that this program cannot read: truncated or invalid headers, VLAN tags,
 * other EtherTypes, more than MAX_EXTENSIONS extension headers. It gets those that it has to answer, too:
 * with a TTL of 1 or less, or source routed through this host. A worker would only hand them on. A frame for
 * a worker is dropped if its queue has no AF_XDP socket. Otherwise the kernel would answer for the VIP or
 * forward an untranslated reply, and either would reset clients.
 *
 * libxdp 1.3 to 1.6 finds this program by the name of the function, the name xsks_map and xsk_prog_version,
 * when the AF_XDP driver is started without a program of its own (lib/libxdp/xsk.c: xsk_lookup_program).
 * There must not be a map called "xsk_def_.data": libxdp would use its first word as a reference count and
 * detach the program with the last socket.
 */
#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "steer_map.h"

#define NEW_MAC_NS 1000000000ull
#define MULTICAST_BIT 1 /* of the first byte; also set in the broadcast address */

#define MAX_EXTENSIONS 6
#define MAX_OFFSET 0x7fff

/* From RFC 791, 3.1. */
#define OPTION_END 0
#define OPTION_NO_OPERATION 1
#define OPTION_LOOSE_SOURCE_ROUTE 131
#define OPTION_STRICT_SOURCE_ROUTE 137
#define MAX_OPTION_BYTES 40

#define FRAGMENT_OFFSET_V4 0x1fff
#define FRAGMENT_OFFSET_V6 0xfff8

/* From RFC 792. <linux/icmp.h> cannot be included for this target without a 32-bit C library. */
#define ICMP_DEST_UNREACH 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12

/* From RFC 4443. */
#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_PARAMPROB 4

/* From RFC 8200. <linux/ipv6.h> defines them for the kernel only. */
#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_DESTINATION_OPTIONS 60

/* steer_side bits of the port, set before the program is loaded. */
const volatile __u32 side = 0;

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, STEER_MAX_QUEUES);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct steer_mac);
} port_mac SEC(".maps");

/* Unicast MAC addresses that are not the port's, and when the program saw each first (ns). A flood of
 * addresses makes others look new again, which does no harm. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, STEER_MAX_OTHER_MACS);
  __type(key, struct steer_mac);
  __type(value, __u64);
} other_macs SEC(".maps");

#define PINNED_SET(name, key_type, entries) \
  struct {                                  \
    __uint(type, BPF_MAP_TYPE_HASH);        \
    __uint(max_entries, entries);           \
    __type(key, key_type);                  \
    __type(value, __u32);                   \
    __uint(pinning, LIBBPF_PIN_BY_NAME);    \
  } name SEC(".maps")

PINNED_SET(vips, struct steer_socket, STEER_MAX_VIPS);
PINNED_SET(vip_addresses, struct steer_address, STEER_MAX_VIPS);
PINNED_SET(backends, struct steer_socket, STEER_MAX_BACKENDS);
PINNED_SET(backend_addresses, struct steer_address, STEER_MAX_BACKENDS);
PINNED_SET(local_addresses, struct steer_address, STEER_MAX_LOCAL_ADDRESSES);

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, STEER_VERDICT_COUNT);
  __type(key, __u32);
  __type(value, __u64);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} steer_counters SEC(".maps");

/* The fields of an IP packet, or of a quoted one, that the rules need. Offsets are from the frame's start. */
struct packet {
  struct steer_socket source; /* the ports are 0 unless `has_ports` */
  struct steer_socket destination;
  __u32 offset; /* in: of the IP header; out: of the transport header */
  __u32 end;    /* in: the end of the bytes that are present; out: the end of the packet by its IP length */
  __u8 v6;      /* in */
  __u8 quoted;  /* in: an ICMP error quotes the packet, and the quote may end after the ports */
  __u8 protocol;
  __u8 has_ports;
  __u8 later_fragment;
};

/* Returns the bytes [offset, offset + length), or NULL if they exceed the frame or the packet's end `end`. */
static __always_inline void* bytes_at(struct xdp_md* ctx, __u64 offset, __u64 length, __u64 end) {
  void* data_end = (void*)(long)ctx->data_end;
  void* start = (void*)(long)ctx->data;
  /* The verifier refuses a packet pointer that may exceed 0xffff. No header begins that far in. */
  if (offset > MAX_OFFSET || offset + length > end) return NULL;
  start += offset;
  if (start + length > data_end) return NULL;
  return start;
}

static __always_inline void map_v4(__u8* address, __be32 v4) {
  __u32* words = (__u32*)address;
  words[0] = 0;
  words[1] = 0;
  words[2] = bpf_htonl(0xffff);
  words[3] = v4;
}

/* Returns false for an IPv4-mapped address: it would match the IPv4 VIP. It is not valid on a wire. */
static __always_inline bool copy_v6(__u8* address, const struct in6_addr* v6) {
  const __u32* from = v6->in6_u.u6_addr32;
  __u32* words = (__u32*)address;
  words[0] = from[0];
  words[1] = from[1];
  words[2] = from[2];
  words[3] = from[3];
  return from[0] || from[1] || from[2] != bpf_htonl(0xffff);
}

/* Sets the packet's end. Returns false if a packet is not whole. A quoted packet need not be whole. */
static __always_inline bool limit(struct packet* packet, __u32 ip_bytes) {
  __u32 end = packet->offset + ip_bytes;
  if (end > packet->end) return packet->quoted;
  packet->end = end;
  return true;
}

/*
 * Returns true if the IPv4 options [offset, end) have a source route. Invalid options have none. The loop
 * looks at each byte and skips those inside of options: the verifier understands constant offsets best. This
 * is a global function for the same reason as read_packet().
 */
__noinline int has_source_route(struct xdp_md* ctx, __u32 offset, __u32 end) {
  __u32 next = 0;       /* where the next option begins */
  offset &= MAX_OFFSET; /* changes nothing, but the verifier does not know */
  for (__u32 at = 0; at < MAX_OPTION_BYTES; at++) {
    if (at != next) continue;
    __u8* option = bytes_at(ctx, offset + at, 1, end);
    if (!option || *option == OPTION_END) return false;
    if (*option == OPTION_LOOSE_SOURCE_ROUTE || *option == OPTION_STRICT_SOURCE_ROUTE) return true;
    if (*option == OPTION_NO_OPERATION) {
      next = at + 1;
      continue;
    }
    __u8* length = bytes_at(ctx, offset + at + 1, 1, end);
    if (!length || *length < 2) return false;
    next = at + *length;
  }
  return false;
}

static __always_inline bool read_v4(struct xdp_md* ctx, struct packet* packet) {
  struct iphdr* ip = bytes_at(ctx, packet->offset, sizeof(*ip), packet->end);
  if (!ip || ip->version != 4 || ip->ihl < 5) return false;
  __u32 header_bytes = ip->ihl * 4;
  __u32 ip_bytes = bpf_ntohs(ip->tot_len);
  if (ip_bytes < header_bytes || !limit(packet, ip_bytes)) return false;
  if (!packet->quoted && ip->ttl <= 1) return false;
  map_v4(packet->source.address, ip->saddr);
  map_v4(packet->destination.address, ip->daddr);
  packet->protocol = ip->protocol;
  packet->later_fragment = (ip->frag_off & bpf_htons(FRAGMENT_OFFSET_V4)) != 0;
  __u32 options = packet->offset + sizeof(*ip);
  packet->offset += header_bytes;
  return packet->quoted || header_bytes == sizeof(*ip) || !has_source_route(ctx, options, packet->offset);
}

static __always_inline bool read_v6(struct xdp_md* ctx, struct packet* packet) {
  struct ipv6hdr* ip = bytes_at(ctx, packet->offset, sizeof(*ip), packet->end);
  if (!ip || ip->version != 6 || (!packet->quoted && ip->hop_limit <= 1)) return false;
  if (!limit(packet, sizeof(*ip) + bpf_ntohs(ip->payload_len))) return false;
  if (!copy_v6(packet->source.address, &ip->saddr) || !copy_v6(packet->destination.address, &ip->daddr))
    return false;
  __u8 next = ip->nexthdr;
  __u32 offset = packet->offset + sizeof(*ip);
  for (int count = 0; count < MAX_EXTENSIONS; count++) {
    if (next != NEXT_HOP_BY_HOP && next != NEXT_ROUTING && next != NEXT_DESTINATION_OPTIONS &&
        next != NEXT_FRAGMENT)
      break;
    /* Each has at least 8 bytes: the next header, the length in units of 8 bytes without the first unit, and
     * fields that depend on the type. */
    __u8* extension = bytes_at(ctx, offset, 8, packet->end);
    if (!extension) return false;
    if (next == NEXT_FRAGMENT) {
      packet->later_fragment = (*(__u16*)(extension + 2) & bpf_htons(FRAGMENT_OFFSET_V6)) != 0;
      next = extension[0];
      offset += 8;
      if (packet->later_fragment) break;
      continue;
    }
    /* While segments are left, the destination is a waypoint, not the final destination (RFC 8200, 4.4). */
    if (next == NEXT_ROUTING && extension[3] != 0) return false;
    next = extension[0];
    offset += (extension[1] + 1) * 8;
  }
  packet->protocol = next;
  packet->offset = offset;
  return true;
}

/* Reads the ports of TCP and UDP. A quote need not reach further than the ports: RFC 792 promises 8 bytes. */
static __always_inline bool read_ports(struct xdp_md* ctx, struct packet* packet) {
  if (packet->later_fragment || (packet->protocol != IPPROTO_TCP && packet->protocol != IPPROTO_UDP))
    return true;
  __u32 header_bytes = packet->protocol == IPPROTO_TCP ? 20 : 8;
  if (!packet->quoted && packet->offset + header_bytes > packet->end) return false;
  __u16* ports = bytes_at(ctx, packet->offset, 4, packet->end);
  if (!ports) return false;
  packet->source.port_be = ports[0];
  packet->destination.port_be = ports[1];
  packet->source.protocol = packet->destination.protocol = packet->protocol;
  packet->has_ports = 1;
  return true;
}

/*
 * Reads a packet whose inputs are set and whose other fields are zero. Returns false if the packet cannot be
 * read; the kernel gets it. This is a global function, so that the verifier checks it once and not again for
 * the quoted packet on each path through the outer headers.
 */
__noinline int read_packet(struct xdp_md* ctx, struct packet* packet) {
  if (!packet) return false;
  return (packet->v6 ? read_v6(ctx, packet) : read_v4(ctx, packet)) && read_ports(ctx, packet);
}

/* Returns true and fills `quoted` for an ICMP error about a TCP or UDP packet or its first fragment. */
static __always_inline bool read_icmp_error(struct xdp_md* ctx, const struct packet* packet,
                                            struct packet* quoted) {
  if (packet->protocol != (packet->v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)) return false;
  __u8* icmp = bytes_at(ctx, packet->offset, 8, packet->end);
  if (!icmp) return false;
  bool error = packet->v6 ? icmp[0] >= ICMPV6_DEST_UNREACH && icmp[0] <= ICMPV6_PARAMPROB
                          : icmp[0] == ICMP_DEST_UNREACH || icmp[0] == ICMP_TIME_EXCEEDED ||
                                icmp[0] == ICMP_PARAMETERPROB;
  if (!error) return false;
  quoted->offset = packet->offset + 8;
  quoted->end = packet->end;
  quoted->v6 = packet->v6;
  quoted->quoted = 1;
  return read_packet(ctx, quoted) && quoted->has_ports;
}

static __always_inline bool has(void* set, const void* key) {
  return bpf_map_lookup_elem(set, key) != NULL;
}

static __always_inline enum steer_verdict judge_later_fragment(const struct packet* packet) {
  if (has(&vip_addresses, packet->destination.address)) return STEER_FRAGMENT;
  if (has(&local_addresses, packet->destination.address)) return STEER_PASS;
  if ((side & STEER_SIDE_BACKEND) && has(&backend_addresses, packet->source.address)) return STEER_FRAGMENT;
  return STEER_PASS;
}

/* The kernel inlines the lookup, because the map is an array. 16-bit loads are aligned on every port. */
static __always_inline bool is_for_port(const struct ethhdr* eth) {
  const __u32 key = 0;
  const struct steer_mac* own = bpf_map_lookup_elem(&port_mac, &key);
  const __u16* to = (const __u16*)eth->h_dest;
  return own && to[0] == own->words[0] && to[1] == own->words[1] && to[2] == own->words[2];
}

/* Returns true if the frame's MAC address, which is not the port's, may be the port's new one. */
static __always_inline bool may_be_new_mac(const struct ethhdr* eth) {
  const __u64 now = bpf_ktime_get_ns();
  const __u16* to = (const __u16*)eth->h_dest;
  const struct steer_mac mac = {{to[0], to[1], to[2]}};
  if (eth->h_dest[0] & MULTICAST_BIT) return false;
  const __u64* seen = bpf_map_lookup_elem(&other_macs, &mac);
  if (seen) return now - *seen < NEW_MAC_NS;
  bpf_map_update_elem(&other_macs, &mac, &now, BPF_ANY);
  return true;
}

static __always_inline enum steer_verdict judge(struct xdp_md* ctx) {
  __u32 frame_bytes = ctx->data_end - ctx->data;
  struct ethhdr* eth = bytes_at(ctx, 0, sizeof(*eth), frame_bytes);
  if (!eth || (eth->h_proto != bpf_htons(ETH_P_IP) && eth->h_proto != bpf_htons(ETH_P_IPV6)))
    return STEER_PASS;
  if (!is_for_port(eth) && !may_be_new_mac(eth)) return STEER_PASS;

  struct packet packet = {
      .offset = sizeof(*eth), .end = frame_bytes, .v6 = eth->h_proto == bpf_htons(ETH_P_IPV6)};
  if (!read_packet(ctx, &packet)) return STEER_PASS;
  if (packet.later_fragment) return judge_later_fragment(&packet);
  struct packet quoted = {};
  bool icmp_error = read_icmp_error(ctx, &packet, &quoted);

  if (packet.has_ports && has(&vips, &packet.destination)) return STEER_TO_VIP;
  if (icmp_error && has(&vip_addresses, packet.destination.address) && has(&vips, &quoted.source))
    return STEER_ICMP_ERROR;
  if (!packet.has_ports && !icmp_error) return STEER_PASS;
  if (has(&local_addresses, packet.destination.address)) return STEER_PASS;
  if (!(side & STEER_SIDE_BACKEND)) return STEER_PASS;
  if (packet.has_ports && has(&backends, &packet.source)) return STEER_FROM_BACKEND;
  if (icmp_error && has(&backends, &quoted.destination)) return STEER_ICMP_ERROR;
  return STEER_PASS;
}

static __always_inline void count(__u32 verdict) {
  __u64* packets = bpf_map_lookup_elem(&steer_counters, &verdict);
  if (packets) (*packets)++;
}

SEC("xdp")
int xsk_def_prog(struct xdp_md* ctx) {
  enum steer_verdict verdict = judge(ctx);
  if (verdict == STEER_PASS) {
    count(STEER_PASS);
    return XDP_PASS;
  }
  __u32 queue = ctx->rx_queue_index;
  if (!bpf_map_lookup_elem(&xsks_map, &queue)) {
    count(STEER_NO_SOCKET);
    return XDP_DROP;
  }
  count(verdict);
  /* XDP_DROP applies if the socket was closed between the two lookups. */
  return bpf_redirect_map(&xsks_map, queue, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
__uint(xsk_prog_version, 1) SEC("xdp_metadata");
