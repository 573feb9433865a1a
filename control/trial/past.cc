// SPDX-License-Identifier: Apache-2.0
#include "control/trial/past.h"

#include <numeric>

namespace teal {

namespace {

// Whether failures are counted by client now (pipeline/trials.h).
bool counts_clients(const ServiceState& service) {
  return service.affinity_client && service.ramp;
}

}  // namespace

Past::Point Past::point_of(const ServiceState& service, const TrialSource& source, Clock::Time now) {
  return {.at = now,
          .cells = source.cells(service.id, service.active),
          .begun_other = sum_of(source.cells(service.id, other(service.active))).begun,
          .answer_times = source.answer_times(service.id, service.active)};
}

void Past::sample(const Catalogue& catalogue, const TrialSource& source, Clock::Time now) {
  const bool is_due = now >= next_;
  if (is_due) next_ = now + kEvery;
  std::unordered_map<uint16_t, Points> kept;
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    Points& points = kept[service.id];
    if (const auto known = services_.find(service.id);
        known != services_.end() && known->second.flip_generation == state.flip_generation &&
        known->second.active == state.active)
      points = std::move(known->second);
    const bool is_new = points.points.empty();
    points.flip_generation = state.flip_generation;
    points.active = state.active;
    if ((!is_due || counts_clients(state)) && !is_new) continue;
    Point point = point_of(state, source, now);
    if (!is_new && !follows(points.points.back().cells, point.cells)) points.points.clear();
    points.points.push_back(std::move(point));
    while (points.points.size() > 1 && now - points.points[1].at >= kWindow) points.points.pop_front();
  }
  services_ = std::move(kept);
}

Past::Window Past::of(const ServiceState& service, const TrialSource& source, Clock::Time now) const {
  const auto known = services_.find(service.id);
  if (known == services_.end() || known->second.points.empty() || known->second.active != service.active)
    return {};
  const std::deque<Point>& points = known->second.points;
  const Point& first = points.front();
  const Point last = counts_clients(service) ? points.back() : point_of(service, source, now);
  if (!follows(first.cells, last.cells)) return {};
  Window window{.cells = since(first.cells, last.cells)};
  const double seconds = std::chrono::duration<double>(last.at - first.at).count();
  const uint64_t others = last.begun_other > first.begun_other ? last.begun_other - first.begun_other : 0;
  if (seconds > 0)
    window.flows_per_second = static_cast<double>(sum_of(window.cells).begun + others) / seconds;
  AnswerTimes times;
  for (size_t i = 0; i < times.size(); ++i)
    times[i] = last.answer_times[i] - std::min(first.answer_times[i], last.answer_times[i]);
  window.slow_us = slow_bound_us(times);
  return window;
}

uint32_t slow_bound_us(const AnswerTimes& times) {
  constexpr uint64_t kFewest = 100;
  constexpr uint64_t kSecondUs = 1'000'000;
  if (std::accumulate(times.begin(), times.end(), uint64_t{0}) < kFewest) return 0;
  const uint64_t bound = TimeHistogram::percentile_us(times, 99).value_or(kSecondUs);
  return bound < kSecondUs ? static_cast<uint32_t>(bound) : 0;
}

}  // namespace teal
