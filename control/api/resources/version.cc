// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/version
#include <unistd.h>

#include <filesystem>

#include "control/api/resources/router.h"

namespace teal {

Task<Answer> show_version(Api& api, const Request&) {
  const std::chrono::duration<double> uptime = api.clock.now() - api.started;
  co_return as_json({{"version", TEAL_VERSION},
                     {"pid", getpid()},
                     {"uptime_seconds", uptime.count()},
                     {"generation", api.executor.generation()},
                     {"revision", api.executor.catalogue().inventory().revision},
                     {"config", std::filesystem::absolute(api.executor.catalogue().config().path).string()}});
}

}  // namespace teal
