// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/signal_metrics.h"

#include <string>
#include <vector>

#include <fmt/format.h>

#include "control/metrics/family.h"
#include "control/metrics/signals.h"

namespace teal {

namespace {

struct OutcomeName {
  const char* name;
  uint64_t Outcomes::*count;
};
constexpr OutcomeName kOutcomeNames[] = {{"begun", &Outcomes::begun},
                                         {"answered", &Outcomes::answered},
                                         {"refused", &Outcomes::refused},
                                         {"unanswered", &Outcomes::unanswered},
                                         {"reset", &Outcomes::reset_by_backend},
                                         {"without_reply", &Outcomes::udp_unanswered},
                                         {"answered_data", &Outcomes::prompt_answers},
                                         {"slow", &Outcomes::slow_answers}};

void add_outcomes(LongFamily& family, const CatalogueService& service, Colour colour,
                  const PoolMember& member, const Publisher& publisher) {
  const Outcomes outcomes = outcomes_of(publisher, member.id, colour);
  if (outcomes.begun == 0) return;
  const std::string labels = fmt::format(R"(service="{}",colour="{}",backend="{}")", service.config->name,
                                         name_of(colour), to_string(member.socket));
  for (const OutcomeName& outcome : kOutcomeNames)
    family.add(fmt::format(R"({},outcome="{}")", labels, outcome.name), outcomes.*outcome.count);
}

// Writes a histogram, as the text format wants it: each bucket also counts the times of those before it.
void add_times(LongFamily& family, const std::string& labels, const Times& times) {
  if (times.count() == 0) return;
  uint64_t within = 0;
  for (uint32_t i = 0; i < TimeHistogram::kBounds; ++i) {
    within += times.buckets[i];
    family.add_part("_bucket",
                    fmt::format(R"({},le="{:g}")", labels, static_cast<double>(Times::bound_us(i)) / 1e6),
                    within);
  }
  family.add_part("_bucket", labels + R"(,le="+Inf")", times.count());
  family.add_part("_count", labels, times.count());
  family.add_part("_sum", labels, static_cast<double>(times.sum_us) / 1e6);
}

}  // namespace

Task<void> write_signals(std::ostream& out, const ChangeExecutor& executor, const Publisher& publisher) {
  const std::vector<std::string> names = executor.catalogue().names();  // a reload may replace the services
  const auto for_each = [&](LongFamily& family, auto add) -> Task<void> {
    for (const std::string& name : names) {
      const CatalogueService* service = executor.catalogue().find(name);
      if (service == nullptr) continue;
      for (const Colour colour : {Colour::kBlue, Colour::kGreen}) add(*service, colour);
      if (family.slice_is_over()) co_await yield_to_loop();
    }
  };
  LongFamily outcomes(out, "teal_backend_flow_outcomes_total",
                      "Flows of the backend by outcome; absent if none began there.", MetricType::Counter);
  co_await for_each(outcomes, [&](const CatalogueService& service, Colour colour) {
    for (const PoolMember& member : service.pools[static_cast<size_t>(colour)])
      add_outcomes(outcomes, service, colour, member, publisher);
  });
  const auto write_times = [&](const char* name, const char* help,
                               Times TimesOfColour::*which) -> Task<void> {
    LongFamily family(out, name, help, MetricType::Histogram);
    co_await for_each(family, [&](const CatalogueService& service, Colour colour) {
      const std::string labels =
          fmt::format(R"(service="{}",colour="{}")", service.config->name, name_of(colour));
      add_times(family, labels, times_of(publisher, service.id, colour).*which);
    });
  };
  co_await write_times("teal_handshake_seconds",
                       "Time from a flow's SYN to the SYN-ACK, of a sample of flows.",
                       &TimesOfColour::handshake);
  co_await write_times("teal_first_answer_seconds",
                       "Time from a flow's first data to the first answer, of a sample of flows.",
                       &TimesOfColour::first_answer);
}

}  // namespace teal
