// SPDX-License-Identifier: Apache-2.0
//
// Owning pointers for libnl's objects, and the exchange of one request and its answers.
#pragma once

#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

#include <memory>

namespace teal {

struct NetlinkRelease {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  void operator()(nl_msg* message) const { nlmsg_free(message); }
  void operator()(nl_cache* cache) const { nl_cache_free(cache); }
  void operator()(nl_cb* callbacks) const { nl_cb_put(callbacks); }
  void operator()(nl_addr* address) const { nl_addr_put(address); }
  void operator()(rtnl_route* route) const { rtnl_route_put(route); }
  void operator()(rtnl_neigh* neighbour) const { rtnl_neigh_put(neighbour); }
};
using NetlinkSocketPtr = std::unique_ptr<nl_sock, NetlinkRelease>;
using MessagePtr = std::unique_ptr<nl_msg, NetlinkRelease>;
using CachePtr = std::unique_ptr<nl_cache, NetlinkRelease>;
using CallbacksPtr = std::unique_ptr<nl_cb, NetlinkRelease>;
using NetlinkAddressPtr = std::unique_ptr<nl_addr, NetlinkRelease>;
using RoutePtr = std::unique_ptr<rtnl_route, NetlinkRelease>;
using NeighbourPtr = std::unique_ptr<rtnl_neigh, NetlinkRelease>;

// Sends a request and passes each answer to `on_answer` (may be null), up to the acknowledgement or the end
// of a dump. Returns 0 or libnl's negative error. The socket must be blocking. The wait is short: the kernel
// answers a request before sendmsg() returns.
inline int exchange(nl_sock* socket, nl_msg* request, int (*on_answer)(nl_msg*, void*), void* context) {
  const CallbacksPtr callbacks(nl_cb_alloc(NL_CB_DEFAULT));
  if (callbacks == nullptr) return -NLE_NOMEM;
  if (on_answer != nullptr) nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, on_answer, context);
  // The last message is an acknowledgement, an error or the end of a dump. libnl stops reading there.
  bool done = false;
  const auto stop = [](nl_msg*, void* flag) {
    *static_cast<bool*>(flag) = true;
    return static_cast<int>(NL_STOP);
  };
  nl_cb_set(callbacks.get(), NL_CB_ACK, NL_CB_CUSTOM, stop, &done);
  nl_cb_set(callbacks.get(), NL_CB_FINISH, NL_CB_CUSTOM, stop, &done);
  int error = nl_send_auto(socket, request);  // adds NLM_F_ACK
  while (error >= 0 && !done) error = nl_recvmsgs(socket, callbacks.get());
  return error < 0 ? error : 0;
}

}  // namespace teal
