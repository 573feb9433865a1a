// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tap.h"

#include <fcntl.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netlink/cache.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/socket.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace teal {
namespace {

constexpr std::chrono::seconds kOpenTimeout(2);
constexpr std::chrono::milliseconds kOpenPoll(20);

struct LinkRelease {
  void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  void operator()(nl_cache* cache) const { nl_cache_free(cache); }
  void operator()(rtnl_link* link) const { rtnl_link_put(link); }
};
using LinkPtr = std::unique_ptr<rtnl_link, LinkRelease>;
using LinkSocketPtr = std::unique_ptr<nl_sock, LinkRelease>;

// Requests about interfaces to the kernel.
class Links {
 public:
  static tl::expected<Links, std::string> open() {
    LinkSocketPtr socket(nl_socket_alloc());
    const int error = socket == nullptr ? -NLE_NOMEM : nl_connect(socket.get(), NETLINK_ROUTE);
    if (error < 0) return tl::unexpected(fmt::format("netlink: {}", nl_geterror(error)));
    return Links(std::move(socket));
  }

  // Returns null if no interface has this name.
  LinkPtr find(const std::string& name) const {
    rtnl_link* link = nullptr;
    return LinkPtr(rtnl_link_get_kernel(socket_.get(), 0, name.c_str(), &link) < 0 ? nullptr : link);
  }

  // Applies what is set in `change`. Returns 0 or libnl's negative error.
  int change(const rtnl_link* link, rtnl_link* change) const {
    return rtnl_link_change(socket_.get(), const_cast<rtnl_link*>(link), change, 0);
  }
  int remove(rtnl_link* link) const { return rtnl_link_delete(socket_.get(), link); }

  tl::expected<std::unique_ptr<nl_cache, LinkRelease>, std::string> all() const {
    nl_cache* cache = nullptr;
    if (const int error = rtnl_link_alloc_cache(socket_.get(), AF_UNSPEC, &cache); error < 0)
      return tl::unexpected(fmt::format("interfaces: {}", nl_geterror(error)));
    return std::unique_ptr<nl_cache, LinkRelease>(cache);
  }

 private:
  explicit Links(LinkSocketPtr socket) : socket_(std::move(socket)) {}

  LinkSocketPtr socket_;
};

std::string alias_prefix(const std::string& instance) {
  return fmt::format("teal-dataplane {}: port ", instance);
}

std::string_view alias_of(rtnl_link* link) {
  const char* alias = rtnl_link_get_ifalias(link);
  return alias == nullptr ? "" : alias;
}

bool is_tap(rtnl_link* link) {
  const char* type = rtnl_link_get_type(link);
  return type != nullptr && std::string_view(type) == "tun" && rtnl_link_get_arptype(link) == ARPHRD_ETHER;
}

// Returns whether a process has the TAP open: the kernel then gives the TAP a carrier, until set_carrier()
// takes it away.
bool is_open(rtnl_link* link) {
  return rtnl_link_get_carrier(link) == 1;
}

bool is_open_still(const Links& links, const std::string& interface) {
  const auto end = std::chrono::steady_clock::now() + kOpenTimeout;
  for (;;) {
    const LinkPtr link = links.find(interface);
    if (link == nullptr || !is_open(link.get())) return false;
    if (std::chrono::steady_clock::now() >= end) return true;
    std::this_thread::sleep_for(kOpenPoll);
  }
}

// Opens a queue of the TAP, and makes the TAP if there is none. Returns the descriptor, or the negative
// errno.
int open_queue(const std::string& interface) {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) return -errno;
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
  if (ioctl(fd, TUNSETIFF, &request) == 0) return fd;
  const int error = errno;
  close(fd);
  return -error;
}

// Returns 0 or the negative errno.
int make_persistent(const std::string& interface) {
  const int fd = open_queue(interface);
  if (fd < 0) return fd;
  const int error = ioctl(fd, TUNSETPERSIST, 1) == 0 ? 0 : -errno;
  close(fd);
  return error;
}

std::string open_error(const std::string& interface, int error, bool existed) {
  if (error == EINVAL && existed)
    return fmt::format(
        "TAP {0} was made without multi_queue; remove it (ip link delete {0}), or make it with "
        "`ip tuntap add mode tap multi_queue name {0}`",
        interface);
  if (error == ENOENT || error == ENODEV)
    return fmt::format("TAP {}: there is no /dev/net/tun; load the module tun", interface);
  return fmt::format("TAP {}: {} (uid {})", interface, std::strerror(error), geteuid());
}

// Gives the interface of an earlier version the port's name. Returns the name that it has then.
std::string take_over(const Links& links, rtnl_link* former, const Tap::Names& names) {
  const LinkPtr change(rtnl_link_alloc());
  rtnl_link_set_name(change.get(), names.port.c_str());
  if (const int error = links.change(former, change.get()); error < 0) {
    spdlog::warn(
        "port {0}: the TAP {1} of an earlier version serves this port and keeps its name, as it could not be "
        "renamed to {0}: {2}",
        names.port, names.former, nl_geterror(error));
    return names.former;
  }
  spdlog::info("port {}: the TAP {} of an earlier version is taken over and has the port's name now",
               names.port, names.former);
  return names.port;
}

void set_alias(const Links& links, const std::string& interface, const Tap::Names& names) {
  const LinkPtr link = links.find(interface), change(rtnl_link_alloc());
  rtnl_link_set_ifalias(change.get(), (alias_prefix(names.instance) + names.port).c_str());
  const int error = link == nullptr ? -NLE_NODEV : links.change(link.get(), change.get());
  if (error < 0)
    spdlog::warn("TAP {}: its alias could not be set, so --detach will not remove it: {}", interface,
                 nl_geterror(error));
}

}  // namespace

tl::expected<std::unique_ptr<Tap>, std::string> Tap::open(const Names& names) {
  const auto links = Links::open();
  if (!links) return tl::unexpected(links.error());
  std::string interface = names.port;
  LinkPtr link = links->find(interface);
  bool operators = link != nullptr && alias_of(link.get()).empty();
  if (link == nullptr) {
    link = links->find(names.former);
    // A TAP that a process has open belongs to another dataplane of this network namespace.
    if (link != nullptr && is_tap(link.get()) && !is_open(link.get()))
      interface = take_over(*links, link.get(), names);
    else
      link.reset();
  }
  const bool existed = link != nullptr;
  if (existed && !is_tap(link.get()))
    return tl::unexpected(
        fmt::format("the interface {} exists and is not a TAP: give the port another name", interface));
  if (existed && is_open_still(*links, interface))
    return tl::unexpected(fmt::format(
        "another process has the TAP {} open, such as a second dataplane with a port of this name",
        interface));
  if (const int error = make_persistent(interface); error < 0)
    return tl::unexpected(open_error(interface, -error, existed));
  if (!operators) set_alias(*links, interface, names);
  return std::unique_ptr<Tap>(new Tap(interface));
}

Tap::~Tap() {
  if (fd_ >= 0) close(fd_);
}

tl::expected<void, std::string> Tap::take_control() {
  fd_ = open_queue(interface_);
  ifreq request{};
  request.ifr_flags = IFF_DETACH_QUEUE;
  if (fd_ >= 0 && ioctl(fd_, TUNSETQUEUE, &request) == 0) return {};
  return tl::unexpected(open_error(interface_, fd_ < 0 ? -fd_ : errno, true));
}

void Tap::set_carrier(bool up) const {
  int carrier = up ? 1 : 0;
  if (ioctl(fd_, TUNSETCARRIER, &carrier) != 0)
    spdlog::warn("TAP {}: the kernel was not told that the link is {}: {}", interface_, up ? "up" : "down",
                 std::strerror(errno));
}

tl::expected<RemovedTaps, std::string> remove_taps(const std::string& instance,
                                                   const std::vector<std::string>& used) {
  const auto links = Links::open();
  if (!links) return tl::unexpected(links.error());
  const auto all = links->all();
  if (!all) return tl::unexpected(all.error());
  RemovedTaps taps;
  for (nl_object* object = nl_cache_get_first(all->get()); object != nullptr;
       object = nl_cache_get_next(object)) {
    auto* link = reinterpret_cast<rtnl_link*>(object);
    if (!is_tap(link) || !alias_of(link).starts_with(alias_prefix(instance))) continue;
    const std::string name = rtnl_link_get_name(link);
    if (is_open(link) || std::find(used.begin(), used.end(), name) != used.end()) {
      taps.in_use.push_back(name);
      continue;
    }
    if (const int error = links->remove(link); error < 0)
      return tl::unexpected(fmt::format("TAP {} cannot be removed: {}", name, nl_geterror(error)));
    taps.removed.push_back(name);
  }
  return taps;
}

}  // namespace teal
