// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/rollout_metrics.h"

#include "control/change/rollout_phase.h"
#include "control/drain/drain_trends.h"
#include "control/metrics/family.h"

namespace teal {

namespace {

void write_phases(std::ostream& out, const Catalogue& catalogue, const Trials& trials,
                  const Publisher& publisher) {
  Family family("teal_service_phase", "1 for the present phase of the service's rollout, otherwise 0.",
                MetricType::Gauge);
  family.reserve(kRolloutPhases.size() * catalogue.services().size());
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    const RolloutPhase present = phase_of(state, trials, is_draining(service, state, publisher));
    for (const RolloutPhase phase : kRolloutPhases)
      family.add({{"service", service.config->name}, {"phase", name_of(phase)}}, uint64_t{phase == present});
  }
  family.write(out);
}

void write_shares(std::ostream& out, const Catalogue& catalogue) {
  Family family("teal_service_share_ratio", "Share of the new flows that the colour of the service gets.",
                MetricType::Gauge);
  family.reserve(kColours * catalogue.services().size());
  for (const CatalogueService& service : catalogue.services()) {
    const ServiceState& state = catalogue.state(service);
    for (const Colour colour : {Colour::kBlue, Colour::kGreen}) {
      const uint32_t share = colour == state.active ? kShareOne - state.share() : state.share();
      family.add({{"service", service.config->name}, {"colour", name_of(colour)}},
                 static_cast<double>(share) / kShareOne);
    }
  }
  family.write(out);
}

void write_paused(std::ostream& out, const Catalogue& catalogue) {
  Family family("teal_service_ramp_paused",
                "1 if the ramp of the service is paused, otherwise 0; absent without a ramp.",
                MetricType::Gauge);
  for (const CatalogueService& service : catalogue.services())
    if (const std::optional<Ramp>& ramp = catalogue.state(service).ramp; ramp)
      family.add({{"service", service.config->name}}, uint64_t{ramp->paused.has_value()});
  family.write(out);
}

void write_findings(std::ostream& out, const Catalogue& catalogue, const Trials& trials) {
  Family family("teal_rollout_finding_timestamp_seconds",
                "When Teal found that the new colour of the latest rollout is bad, in seconds since 1970.",
                MetricType::Gauge);
  for (const CatalogueService& service : catalogue.services()) {
    const Finding* finding = trials.latest(service.config->name);
    if (finding == nullptr) continue;
    family.add({{"service", service.config->name},
                {"colour", name_of(finding->tested)},
                {"judgement", name_of(finding->verdict.judgement)},
                {"action", finding->action}},
               static_cast<double>(finding->at_ms) / 1e3);
  }
  family.write(out);
}

}  // namespace

void write_rollouts(std::ostream& out, const Catalogue& catalogue, const Trials& trials,
                    const Publisher& publisher) {
  write_phases(out, catalogue, trials, publisher);
  write_shares(out, catalogue);
  write_paused(out, catalogue);
  write_findings(out, catalogue, trials);
}

}  // namespace teal
