// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/verbs/verbs.h"

namespace teal::cli {

// The version of teal is printed even if teald does not answer, which is not an error here.
Outcome run_version(const Invocation& call) {
  const auto reply = call.daemon.get("/v1/version");
  if (call.json) {
    nlohmann::json document = {{"teal", TEAL_VERSION}, {"teald", nullptr}};
    if (reply) document["teald"] = *reply;
    call.print(document);
    return {};
  }
  call.around.out << "teal " TEAL_VERSION "\n";
  if (reply) {
    call.around.out << fmt::format(
        "teald {} (pid {}, up {}) on {}\n", text(*reply, "version"), reply->at("pid").get<int64_t>(),
        span_text(reply->at("uptime_seconds").get<double>()), call.daemon.socket());
  } else {
    call.around.out << fmt::format("teald: {}\n", reply.error().message);
  }
  return {};
}

}  // namespace teal::cli
