/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The interface between the steering program and user space: keys, values and limits of the maps.
 *
 * An address is always 16 bytes; IPv4 is mapped (::ffff:a.b.c.d), as in dataplane/packet/ip_address.h.
 * `port` is in network order. Keys are compared as bytes, so `zero` must be zero.
 *
 * map              type     key            value  written by  read by
 * vips             hash     steer_socket   u32 1  teald       program
 * vip_addresses    hash     steer_address  u32 1  teald       program (fragments, ICMP errors)
 * backends         hash     steer_socket   u32 1  teald       program
 * backend_addresses hash    steer_address  u32 1  teald       program (fragments, ICMP errors)
 * local_addresses  hash     steer_address  u32 1  teald       program
 * steer_counters   percpu   u32 verdict    u64    program     teald, steer_loader
 * xsks_map         xskmap   u32 queue      fd     driver      program; one per port, never pinned
 * other_macs       lru hash steer_mac      u64 ns program     program; one per port, never pinned
 * port_mac         array    u32 0          steer_mac  steer_loader  program; one per port, never pinned
 */
#ifndef TEAL_BPF_STEER_MAP_H
#define TEAL_BPF_STEER_MAP_H

#include <linux/types.h>

struct steer_address {
  __u8 bytes[16];
};

struct steer_socket {
  __u8 address[16];
  __u16 port_be;
  __u8 protocol; /* IPPROTO_TCP or IPPROTO_UDP */
  __u8 zero;
};

/* A MAC address, as its bytes lie in a frame. */
struct steer_mac {
  __u16 words[3];
};

enum steer_limit {
  STEER_MAX_VIPS = 2048,     /* two generations of 1,024 while a reload is under way */
  STEER_MAX_BACKENDS = 8192, /* two generations of 4,096 */
  STEER_MAX_LOCAL_ADDRESSES = 1024,
  STEER_MAX_QUEUES = 64,
  STEER_MAX_OTHER_MACS = 1024,
};

/* Bits of a port's side. They decide which tests apply to its packets. */
enum steer_side {
  STEER_SIDE_CLIENT = 1,
  STEER_SIDE_BACKEND = 2,
};

enum steer_verdict {
  STEER_PASS,         /* to the kernel, unchanged */
  STEER_TO_VIP,       /* to the worker of this queue: a packet to a VIP and its port */
  STEER_FROM_BACKEND, /* to the worker of this queue: a packet from a backend's socket */
  STEER_ICMP_ERROR,   /* to the worker of this queue: an ICMP error that quotes one of these two */
  STEER_FRAGMENT,     /* to the worker of this queue: a later fragment, by its addresses alone */
  STEER_NO_SOCKET,    /* dropped: a packet for the worker, but no dataplane has a socket on this queue */
  STEER_VERDICT_COUNT,
};

#endif
