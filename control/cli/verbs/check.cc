// SPDX-License-Identifier: Apache-2.0
//
// Reads the file as teal-dataplane does and as teald does. Without FILE, a running teald says which file it
// reads. A device that this host does
// not have is a warning: the file may be for another host.
#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/verbs/verbs.h"
#include "control/config/config.h"
#include "dataplane/config/host_devices.h"
#include "dataplane/config/options.h"

namespace teal::cli {
namespace {

// The errors of both readers. Both report a file that is not TOML in the same words; these are listed once.
std::vector<std::string> merged(const std::vector<std::string>& first,
                                const std::vector<std::string>& second) {
  std::vector<std::string> all = first;
  std::copy_if(second.begin(), second.end(), std::back_inserter(all),
               [&](const auto& line) { return std::find(first.begin(), first.end(), line) == first.end(); });
  return all;
}

std::string file_of_daemon(const Client& daemon) {
  const auto reply = daemon.get("/v1/version");
  const std::string path = reply ? text_or(*reply, "config") : "";
  return path.empty() ? "/etc/teal/teal.toml" : path;
}

}  // namespace

Outcome run_check(const Invocation& call) {
  const auto& positional = call.arguments.positional;
  const std::string path = positional.empty() ? file_of_daemon(call.daemon) : positional.front();
  const auto options = read_options(path);
  const auto config = read_config(path);
  if (!options || !config) {
    auto errors = merged(options ? std::vector<std::string>() : options.error(),
                         config ? std::vector<std::string>() : config.error());
    const std::string message = fmt::format("{}: {}", path, counted(errors.size(), "error"));
    return tl::unexpected(Failure{.code = "bad_config", .message = message, .details = std::move(errors)});
  }
  const auto warnings = device_problems(*options);
  size_t backends = 0;
  for (const auto& service : config->services) {
    for (const auto& pool : service.pools) backends += pool.size();
  }
  if (call.json) {
    call.print({{"file", path},
                {"ok", true},
                {"workers", options->workers},
                {"ports", options->ports.size()},
                {"services", config->services.size()},
                {"groups", config->groups.size()},
                {"backends", backends},
                {"warnings", warnings}});
    return {};
  }
  call.around.out << fmt::format("{}: no errors; {}, {}, {}, {}, {}\n", path,
                                 counted(options->workers, "worker"), counted(options->ports.size(), "port"),
                                 counted(config->services.size(), "service"),
                                 counted(config->groups.size(), "group"), counted(backends, "backend"));
  for (const std::string& warning : warnings)
    call.around.err << "warning: on this host teal-dataplane would not start: " << warning << '\n';
  return {};
}

}  // namespace teal::cli
