// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "bpf/steer_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "bpf/pinned_maps.h"

namespace teal {
namespace {

template <typename Key>
std::string as_bytes(const Key& key) {
  return std::string(reinterpret_cast<const char*>(&key), sizeof(key));
}

template <typename Key>
Key from_bytes(const std::string& bytes) {
  Key key;
  std::memcpy(&key, bytes.data(), sizeof(key));
  return key;
}

void sort_and_unique(std::vector<std::string>& keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
}

void add_sockets(const std::vector<steer_socket>& sockets, std::vector<std::string>& socket_keys,
                 std::vector<std::string>& address_keys) {
  for (steer_socket socket : sockets) {
    socket.zero = 0;  // keys are compared as bytes
    socket_keys.push_back(as_bytes(socket));
    address_keys.push_back(as_bytes(socket.address));
  }
}

}  // namespace

std::array<SteerMaps::Keys, SteerMaps::kSets> SteerMaps::keys_of(const SteerSet& set) {
  std::array<Keys, kSets> keys;
  add_sockets(set.vips, keys[kVips], keys[kVipAddresses]);
  add_sockets(set.backends, keys[kBackends], keys[kBackendAddresses]);
  for (const steer_address& address : set.local_addresses) keys[kLocalAddresses].push_back(as_bytes(address));
  for (Keys& of_one_map : keys) sort_and_unique(of_one_map);
  return keys;
}

tl::expected<SteerMaps, std::string> SteerMaps::open(const std::string& pin_dir) {
  static_assert(kSets == kSetCount);
  if (auto made = make_pin_dir(pin_dir); !made) return tl::unexpected(made.error());
  SteerMaps maps;
  maps.pin_dir_ = pin_dir;
  for (size_t map = 0; map < kSets; ++map) {
    auto opened = open_pinned_map(pin_dir, kPinnedMaps[map]);
    if (!opened) return tl::unexpected(opened.error());
    maps.sets_[map] = std::move(*opened);
  }
  auto opened = open_pinned_map(pin_dir, kPinnedMaps[kCounters]);
  if (!opened) return tl::unexpected(opened.error());
  maps.counters_ = std::move(*opened);
  return maps;
}

std::string SteerMaps::failed(size_t map, const std::string& what) const {
  const int code = errno;
  return pin_dir_ + "/" + kPinnedMaps[map].name + ": " + what + ": " + std::strerror(code);
}

tl::expected<SteerMaps::Keys, std::string> SteerMaps::present(size_t map) const {
  Keys keys;
  std::string key(kPinnedMaps[map].key_bytes, '\0');
  for (const char* previous = nullptr;; previous = keys.back().data()) {
    if (bpf_map_get_next_key(sets_[map].get(), previous, key.data()) < 0) {
      if (errno == ENOENT) break;
      return tl::unexpected(failed(map, "cannot be read"));
    }
    keys.push_back(key);
  }
  sort_and_unique(keys);
  return keys;
}

tl::expected<void, std::string> SteerMaps::add_missing(const SteerSet& set) {
  const auto wanted = keys_of(set);
  std::array<Keys, kSets> missing;
  for (size_t map = 0; map < kSets; ++map) {
    auto here = present(map);
    if (!here) return tl::unexpected(here.error());
    std::set_difference(wanted[map].begin(), wanted[map].end(), here->begin(), here->end(),
                        std::back_inserter(missing[map]));
    if (here->size() + missing[map].size() > kPinnedMaps[map].max_entries) {
      return tl::unexpected(pin_dir_ + "/" + kPinnedMaps[map].name + ": has room for " +
                            std::to_string(kPinnedMaps[map].max_entries) + " entries and holds " +
                            std::to_string(here->size()) + "; " + std::to_string(missing[map].size()) +
                            " more do not fit");
    }
  }
  const uint32_t value = 1;
  // Local addresses come first, so that a backend on this host is never steered. Addresses come before
  // sockets, so that later fragments are steered as soon as first ones.
  for (size_t map : {kLocalAddresses, kVipAddresses, kVips, kBackendAddresses, kBackends}) {
    for (const std::string& key : missing[map]) {
      if (bpf_map_update_elem(sets_[map].get(), key.data(), &value, BPF_ANY) < 0) {
        return tl::unexpected(failed(map, "cannot be added to"));
      }
    }
  }
  return {};
}

tl::expected<void, std::string> SteerMaps::remove_others(const SteerSet& set) {
  const auto wanted = keys_of(set);
  // The reverse order of add_missing().
  for (size_t map : {kBackends, kBackendAddresses, kVips, kVipAddresses, kLocalAddresses}) {
    auto here = present(map);
    if (!here) return tl::unexpected(here.error());
    Keys others;
    std::set_difference(here->begin(), here->end(), wanted[map].begin(), wanted[map].end(),
                        std::back_inserter(others));
    for (const std::string& key : others) {
      if (bpf_map_delete_elem(sets_[map].get(), key.data()) < 0 && errno != ENOENT) {
        return tl::unexpected(failed(map, "cannot be removed from"));
      }
    }
  }
  return {};
}

tl::expected<SteerSet, std::string> SteerMaps::contents() const {
  SteerSet set;
  for (size_t map : {kVips, kBackends, kLocalAddresses}) {
    auto here = present(map);
    if (!here) return tl::unexpected(here.error());
    for (const std::string& key : *here) {
      if (map == kVips) set.vips.push_back(from_bytes<steer_socket>(key));
      if (map == kBackends) set.backends.push_back(from_bytes<steer_socket>(key));
      if (map == kLocalAddresses) set.local_addresses.push_back(from_bytes<steer_address>(key));
    }
  }
  return set;
}

tl::expected<SteerCounters, std::string> SteerMaps::counters() const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus < 1)
    return tl::unexpected("the number of CPUs cannot be determined: " + std::string(std::strerror(-cpus)));
  SteerCounters sums = {};
  std::vector<uint64_t> per_cpu(static_cast<size_t>(cpus));
  for (uint32_t verdict = 0; verdict < sums.size(); ++verdict) {
    if (bpf_map_lookup_elem(counters_.get(), &verdict, per_cpu.data()) < 0) {
      return tl::unexpected(failed(kCounters, "cannot be read"));
    }
    for (uint64_t packets : per_cpu) sums[verdict] += packets;
  }
  return sums;
}

}  // namespace teal
