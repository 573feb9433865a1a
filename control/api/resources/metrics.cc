// SPDX-License-Identifier: Apache-2.0
//
// GET /metrics
#include "control/metrics/metrics.h"

#include "control/api/resources/router.h"

namespace teal {

Task<Answer> show_metrics(Api& api, const Request&) {
  const Metrics::Source source{api.executor,      api.upkeep.trends(), api.publisher, api.steering,
                               api.busy,          api.recorder,        api.journal,   api.health,
                               api.health_upkeep, api.verbs,           api.clock,     api.upkeep.trials()};
  std::string text = co_await api.metrics.scrape(source);
  Response response(std::move(text));
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  co_return response;
}

}  // namespace teal
