// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "control/change/rollout.h"
#include "control/loop/clock.h"

namespace teal {

// The flips and ramps that wait for their hook pre_flip. A way back of one of their services calls them off:
// an operator who goes back does not want the release to come a moment later.
class WaitingReleases {
 public:
  struct Release {
    std::vector<std::string> services;
    Colour to = Colour::kBlue;
    std::string user;
    int64_t since_ms = 0;            // since 1970, UTC
    std::string called_off_by = {};  // a user; "": nobody did
    Clock::Time called_off_at = {};
    std::function<bool()> is_given_up = [] { return false; };  // its client has gone
  };

  // A release waits as long as its place lives.
  class Place {
   public:
    Place(std::list<Release>& list, Release release)
        : list_(list), at_(list.insert(list.end(), std::move(release))) {}
    Place(const Place&) = delete;
    ~Place() { list_.erase(at_); }
    const Release& operator*() const { return *at_; }

   private:
    std::list<Release>& list_;
    std::list<Release>::iterator at_;
  };
  [[nodiscard]] std::shared_ptr<Place> add(Release release) {
    return std::make_shared<Place>(list_, std::move(release));
  }

  // A second way back, by another operator at the same moment, must not go further than the first one.
  static constexpr std::chrono::seconds kSameMoment{10};

  size_t size() const { return list_.size(); }
  // Null: none of this service waits.
  const Release* of(const std::string& service) const {
    for (const Release& release : list_)
      if (waits(release) && moves(release, service)) return &release;
    return nullptr;
  }
  // Returns whether a rollback leaves the service where it is, because its latest step is a release that
  // waits, or that was called off just now.
  bool holds(const std::string& service, Clock::Time now) const {
    const auto is_just_off = [&](const Release& release) {
      return !release.called_off_by.empty() && now < release.called_off_at + kSameMoment &&
             moves(release, service);
    };
    return of(service) != nullptr || std::any_of(list_.begin(), list_.end(), is_just_off);
  }
  // Returns a sentence for each release of these services that waits.
  std::vector<std::string> call_off(const std::vector<std::string>& services, const std::string& user,
                                    Clock::Time now) {
    std::vector<std::string> sentences;
    for (Release& release : list_) {
      const auto is_moved = [&](const std::string& service) { return moves(release, service); };
      if (!waits(release) || std::none_of(services.begin(), services.end(), is_moved)) continue;
      release.called_off_by = user;
      release.called_off_at = now;
      sentences.push_back(
          fmt::format("the release of {} to {} by {}, which waits for its hook pre_flip, is called off",
                      listed(release.services), name_of(release.to), release.user));
    }
    return sentences;
  }

 private:
  static bool waits(const Release& release) {
    return release.called_off_by.empty() && !release.is_given_up();
  }
  static bool moves(const Release& release, const std::string& service) {
    return std::find(release.services.begin(), release.services.end(), service) != release.services.end();
  }

  std::list<Release> list_;
};

}  // namespace teal
