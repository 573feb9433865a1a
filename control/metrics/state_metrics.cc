// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/state_metrics.h"

#include "control/change/drain.h"
#include "control/change/reload_plan.h"
#include "control/metrics/family.h"

namespace teal {

void write_state(std::ostream& out, const ChangeExecutor& executor, const Publisher& publisher,
                 const Recorder& recorder, const Journal& journal, Verbs& verbs) {
  const size_t unrecorded = journal.unrecorded().size();
  const bool works = recorder.trouble().empty() && unrecorded == 0;
  write_one(out, "teal_storage_up", "1 if the disk takes what teald records, otherwise 0.", MetricType::Gauge,
            uint64_t{works});
  write_one(out, "teal_storage_errors_total", "Attempts to record something that failed since teald started.",
            MetricType::Counter, journal.errors());
  write_one(out, "teal_unrecorded_changes", "Changes that are in force and not on the disk yet.",
            MetricType::Gauge, unrecorded);
  write_one(out, "teal_change_lock", "1 if changes are locked, otherwise 0.", MetricType::Gauge,
            uint64_t{executor.catalogue().inventory().lock.has_value()});
  write_one(out, "teal_config_file_differs",
            "1 if the config file has changed since it was loaded, otherwise 0.", MetricType::Gauge,
            uint64_t{verbs.file_differs()});
  const Verbs::Reload& reload = verbs.last_reload();
  write_one(out, "teal_config_last_reload_successful",
            "1 if the latest reload, or the start of teald, took the config file; 0 if it was refused.",
            MetricType::Gauge, uint64_t{reload.done});
  Family time("teal_config_last_reload_timestamp_seconds",
              "Time of the latest reload, or of the start of teald, in seconds since 1970.",
              MetricType::Gauge);
  time.add({}, static_cast<double>(reload.at_ms) / 1e3);
  time.write(out);
  Family drifts("teal_service_drift",
                "Number of ways in which the service in force differs from the loaded config.",
                MetricType::Gauge);
  drifts.reserve(executor.catalogue().services().size());
  for (const CatalogueService& service : executor.catalogue().services()) {
    const ServiceState& state = executor.catalogue().state(service);
    const bool drains = is_draining(service, state, publisher);
    drifts.add({{"service", service.config->name}}, uint64_t{drift(service, state, drains).size()});
  }
  drifts.write(out);
}

}  // namespace teal
