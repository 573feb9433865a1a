// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/metrics.h"

#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/change/drain.h"
#include "control/metrics/backend_metrics.h"
#include "control/metrics/family.h"
#include "control/metrics/ports.h"
#include "control/metrics/rollout_metrics.h"
#include "control/metrics/signal_metrics.h"
#include "control/metrics/state_metrics.h"
#include "control/metrics/traffic.h"

namespace teal {

namespace {

constexpr std::array<const char*, 2> kDirectionNames = {"to_backend", "to_client"};  // by Direction
constexpr std::array<Colour, kColours> kBoth = {Colour::kBlue, Colour::kGreen};
// Results of flips, as events tell them.
constexpr std::array<const char*, 3> kFlipResults = {"done", "adoption_timeout", "not_published"};

// In seconds: from 100 us, the time of a usual flip, to 10 s.
const prometheus::Histogram::BucketBoundaries kDurations = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

// Sums over workers and backends, taken at one moment. `services` is indexed by service id.
struct Sums {
  struct OfColour : Traffic {
    uint64_t flows = 0;
  };
  std::vector<std::array<OfColour, kColours>> services{kMaxServices};
  std::array<uint64_t, kEventCount> events{};
  std::array<uint64_t, kDropReasonCount> drops{};
  uint64_t entries = 0;

  Sums(const Catalogue& catalogue, const Publisher& publisher) {
    for (const BackendState& backend : catalogue.inventory().backends) {
      for (const Colour colour : kBoth) {
        const Publisher::FlowSum sum = publisher.flows(backend.id, colour);
        services[backend.service][static_cast<size_t>(colour)].flows += sum.live;
        entries += sum.live + sum.closing;
      }
    }
    publisher.for_each_block([&](const WorkerBlock& worker) {
      for (size_t i = 0; i < kEventCount; ++i) events[i] += worker.events[i].read();
      for (size_t i = 0; i < kDropReasonCount; ++i) drops[i] += worker.drops[i].read();
      for (const CatalogueService& service : catalogue.services())
        for (const Colour colour : kBoth)
          services[service.id][static_cast<size_t>(colour)].add(worker, service.id, colour);
    });
  }
};

// write_by_colour() writes one value for each colour of each service, write_by_direction() writes one for
// each direction of a colour.
using OfColour = Sums::OfColour;
using Value = uint64_t (*)(const OfColour&);

void write_by_colour(std::ostream& out, const Catalogue& catalogue, const Sums& sums, Family family,
                     Value value) {
  family.reserve(catalogue.services().size() * kColours);
  for (const CatalogueService& service : catalogue.services())
    for (const Colour colour : kBoth)
      family.add({{"service", service.config->name}, {"colour", name_of(colour)}},
                 value(sums.services[service.id][static_cast<size_t>(colour)]));
  family.write(out);
}

void write_by_direction(std::ostream& out, const Catalogue& catalogue, const Sums& sums, Family family,
                        uint64_t (OfColour::*values)[2]) {
  family.reserve(catalogue.services().size() * kColours * 2);
  for (const CatalogueService& service : catalogue.services())
    for (const Colour colour : kBoth)
      for (size_t direction = 0; direction < 2; ++direction)
        family.add({{"service", service.config->name},
                    {"colour", name_of(colour)},
                    {"direction", kDirectionNames[direction]}},
                   (sums.services[service.id][static_cast<size_t>(colour)].*values)[direction]);
  family.write(out);
}

void write_active(std::ostream& out, const Catalogue& catalogue) {
  Family family("teal_service_active", "1 for the active colour of the service, 0 for the idle one.",
                MetricType::Gauge);
  for (const CatalogueService& service : catalogue.services())
    for (const Colour colour : kBoth)
      family.add({{"service", service.config->name}, {"colour", name_of(colour)}},
                 uint64_t{catalogue.state(service).active == colour});
  family.write(out);
}

void write_drains(std::ostream& out, const Catalogue& catalogue, const Publisher& publisher,
                  const DrainTrends& trends, const Clock& clock) {
  Family left("teal_drain_flows_remaining",
              "Live flows of the draining colour; 0 if the service does not drain.", MetricType::Gauge);
  Family deadline("teal_drain_deadline_timestamp_seconds",
                  "Deadline of the drain in seconds since 1970; absent if the service does not drain.",
                  MetricType::Gauge);
  for (const CatalogueService& service : catalogue.services()) {
    const std::optional<DrainView> drain = drain_of(service, catalogue, publisher, trends, clock);
    left.add({{"service", service.config->name}}, drain ? drain->flows : 0);
    if (drain)
      deadline.add({{"service", service.config->name}}, static_cast<double>(drain->deadline_ms) / 1e3);
  }
  left.write(out);
  deadline.write(out);
}

template <size_t kCount>
void write_named(std::ostream& out, Family family, const char* label,
                 const std::array<std::string_view, kCount>& names,
                 const std::array<uint64_t, kCount>& values) {
  for (size_t i = 0; i < kCount; ++i) family.add({{label, std::string(names[i])}}, values[i]);
  family.write(out);
}

std::string of_port(std::string_view counter) {
  return "teal_port_" + std::string(counter) + "_total";
}

// Texts of NicCounter.
constexpr std::array<const char*, kNicCounterCount> kNicCounterHelp = {
#define X(name, text) "By the NIC since teal-dataplane started: " text ".",
    TEAL_NIC_COUNTERS(X)
#undef X
};

void write_ports(std::ostream& out, const Publisher& publisher) {
  Family info("teal_port_info", "Always 1; the labels have the kernel's interface and DPDK's driver.",
              MetricType::Gauge);
  Family up("teal_port_link_up", "1 if the port has a link, otherwise 0.", MetricType::Gauge);
  Family speed("teal_port_link_speed_mbps", "Speed of the link; 0 if it is not known.", MetricType::Gauge);
  Family queues("teal_port_queues", "Number of the port's queues.", MetricType::Gauge);
  Family rss("teal_port_rss",
             "1 if received packets are spread over the queues, or there is one queue; otherwise 0.",
             MetricType::Gauge);
  for_each_port(publisher, [&](const PortRow& row) {
    info.add({{"port", row.name}, {"interface", row.interface}, {"driver", row.driver}}, uint64_t{1});
    up.add({{"port", row.name}}, uint64_t{row.link.load(std::memory_order_relaxed) == LinkState::kUp});
    speed.add({{"port", row.name}}, uint64_t{row.speed_mbps.load(std::memory_order_relaxed)});
    queues.add({{"port", row.name}}, uint64_t{row.queues});
    rss.add({{"port", row.name}}, uint64_t{row.spreads != 0});
  });
  for (const Family* family : {&info, &up, &speed, &queues, &rss}) family->write(out);
  for (size_t i = 0; i < kNicCounterCount; ++i) {
    Family family(of_port(kNicCounterNames[i]).c_str(), kNicCounterHelp[i], MetricType::Counter);
    for_each_port(publisher, [&](const PortRow& row) {
      family.add({{"port", row.name}}, row.counters[i].load(std::memory_order_relaxed));
    });
    family.write(out);
  }
}

void write_steering(std::ostream& out, const Metrics::Source& source) {
  Family family("teal_steering_packets_total",
                "Packets of AF_XDP ports that the steering program decided, by verdict.",
                MetricType::Counter);
  const auto counters = steer_counters(source.publisher, source.steering);
  for (size_t i = 0; counters && i < counters->size(); ++i)
    family.add({{"verdict", std::string(kSteerVerdictNames[i])}}, (*counters)[i]);
  family.write(out);
}

void write_workers(std::ostream& out, const Metrics::Source& source, bool running) {
  Family busy("teal_worker_busy_seconds_total",
              "Time that a worker spent on bursts with packets since teal-dataplane started.",
              MetricType::Counter);
  Family total("teal_worker_seconds_total", "Time of a worker since teal-dataplane started.",
               MetricType::Counter);
  Family ratio("teal_worker_busy_ratio",
               "Deprecated, use teal_worker_busy_seconds_total: share of the last second that a worker spent "
               "on bursts with packets.",
               MetricType::Gauge);
  if (running) {
    const std::shared_ptr<Segment> segment = source.publisher.segment();
    const auto hz = static_cast<double>(std::max<uint64_t>(segment->header().tsc_hz, 1));
    source.publisher.for_each_worker([&](uint32_t index, const WorkerBlock& worker) {
      const Labels labels = {{"worker", std::to_string(index)}};
      busy.add(labels, static_cast<double>(worker.status.busy_tsc.read()) / hz);
      total.add(labels, static_cast<double>(worker.status.total_tsc.read()) / hz);
      ratio.add(labels, source.busy.of(index));
    });
  }
  for (const Family* family : {&busy, &total, &ratio}) family->write(out);
}

void write_dataplane(std::ostream& out, const Metrics::Source& source, const Sums& sums) {
  const std::shared_ptr<Segment> segment = source.publisher.segment();
  const bool running = segment != nullptr && source.publisher.dataplane_running();
  write_one(out, "teal_wrong_colour_flows_total",
            "Flows that began under a generation older than the acknowledged one. Stays 0.",
            MetricType::Counter, sums.events[static_cast<size_t>(Event::k_wrong_colour_flows)]);
  write_named(out, Family("teal_drops_total", "Packets dropped, by reason.", MetricType::Counter), "reason",
              kDropReasonNames, sums.drops);
  write_named(out,
              Family("teal_events_total", "Events other than drops that workers count, by name.",
                     MetricType::Counter),
              "event", kEventNames, sums.events);
  write_one(out, "teal_flow_table_entries", "Flows in the flow table, closing ones included.",
            MetricType::Gauge, sums.entries);
  write_one(out, "teal_flow_table_capacity", "Number of flows that the flow table can hold.",
            MetricType::Gauge, segment == nullptr ? 0 : segment->flows().flow_capacity);
  write_workers(out, source, running);
  write_one(out, "teal_dataplane_running", "1 if teal-dataplane runs, otherwise 0.", MetricType::Gauge,
            uint64_t{running});
  write_one(out, "teal_generation", "The latest published generation.", MetricType::Gauge,
            source.executor.generation());
  Family build("teal_build_info", "Always 1; the label has the version.", MetricType::Gauge);
  build.add({{"version", TEAL_VERSION}}, uint64_t{1});
  build.write(out);
}

}  // namespace

Metrics::Metrics() : durations_(kDurations) {}

void Metrics::listen(Events& events) {
  events.listen([this](const ToldEvent& event) {
    if (event.type == "done" || event.type == "failed") count(event.data);
  });
}

static bool names_colour(const nlohmann::json& change, const char* key) {
  const auto colour = change.find(key);
  return colour != change.end() && (*colour == kColourNames[0] || *colour == kColourNames[1]);
}

void Metrics::count(const std::string& data) {
  const auto told = nlohmann::json::parse(data, nullptr, false);
  if (!told.is_object()) return;
  const std::string result = told.value("result", "");
  bool has_flip = false;
  // Each change of an active colour has "from" and "to", whatever the verb is. A share and an abort change no
  // active colour.
  for (const auto& change : told.value("services", nlohmann::json::array())) {
    if (!names_colour(change, "from") || !names_colour(change, "to")) continue;
    ++flips_[{change.value("service", ""), change.value("to", ""), result}];
    has_flip = true;
  }
  if (has_flip) durations_.Observe(static_cast<double>(told.value("duration_us", int64_t{0})) / 1e6);
}

// rate() would miss the first flip of a series that begins with this flip, so each series begins with 0.
Task<void> Metrics::write_flips(std::ostream& out, const Catalogue& catalogue) const {
  LongFamily family(out, "teal_flips_total",
                    "Changes of the active colour since teald started, by service, new colour and result.",
                    MetricType::Counter);
  for (const std::string& service : catalogue.names()) {  // a copy: a reload may replace the services
    for (const Colour colour : kBoth) {
      for (const char* result : kFlipResults) {
        const auto counted = flips_.find({service, name_of(colour), result});
        family.add(fmt::format(R"(service="{}",to="{}",result="{}")", service, name_of(colour), result),
                   counted == flips_.end() ? 0 : counted->second);
      }
    }
    if (family.slice_is_over()) co_await yield_to_loop();
  }
}

Task<std::string> Metrics::scrape(Source source) const {
  std::ostringstream out;
  const auto catalogue = [&]() -> const Catalogue& { return source.executor.catalogue(); };
  const Sums sums(catalogue(), source.publisher);
  co_await yield_to_loop();

  co_await write_flips(out, catalogue());
  Family durations(
      "teal_flip_duration_seconds",
      "Duration of changes of active colours since teald started, from the check to the recorded result.",
      MetricType::Histogram);
  durations.add(durations_.Collect());
  durations.write(out);
  co_await yield_to_loop();

  write_active(out, catalogue());
  write_rollouts(out, catalogue(), source.trials, source.publisher);
  write_by_colour(out, catalogue(), sums,
                  Family("teal_flows", "Live flows, by service and colour.", MetricType::Gauge),
                  [](const OfColour& of) { return of.flows; });
  co_await yield_to_loop();
  write_by_colour(
      out, catalogue(), sums,
      Family("teal_new_flows_total", "Flows that began, by service and colour.", MetricType::Counter),
      [](const OfColour& of) { return of.new_flows; });
  co_await yield_to_loop();
  write_drains(out, catalogue(), source.publisher, source.trends, source.clock);
  co_await yield_to_loop();
  write_by_direction(out, catalogue(), sums,
                     Family("teal_packets_total", "Packets forwarded.", MetricType::Counter),
                     &OfColour::packets);
  co_await yield_to_loop();
  write_by_direction(
      out, catalogue(), sums,
      Family("teal_bytes_total", "Bytes forwarded: Ethernet frames without the FCS.", MetricType::Counter),
      &OfColour::bytes);
  co_await yield_to_loop();
  write_ports(out, source.publisher);
  write_steering(out, source);
  co_await yield_to_loop();
  co_await write_backends(out, source.executor, source.publisher, source.health);
  co_await write_signals(out, source.executor, source.publisher);
  co_await write_pool_modes(out, source.executor, source.health_upkeep);
  write_prober(out, source.health);
  write_state(out, source.executor, source.publisher, source.recorder, source.journal, source.verbs);
  co_await yield_to_loop();
  write_dataplane(out, source, sums);
  co_return std::move(out).str();
}

}  // namespace teal
