// SPDX-License-Identifier: Apache-2.0
//
// Reads any bytes as a config file. Both readers must accept it, or say why not in lines that a terminal can
// show.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "control/config/config.h"
#include "dataplane/config/config_reader.h"
#include "dataplane/config/options.h"

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void check_errors(const std::vector<std::string>& errors) {
  require(!errors.empty(), "a refusal says why");
  for (const std::string& error : errors) {
    require(error.starts_with("f:"), "an error names the file");
    require(error.find('\n') == std::string::npos, "an error is one line");
    require(error.find('\x1b') == std::string::npos, "an error has no escape sequence");
  }
}

void check_config(const teal::Config& config) {
  require(!config.services.empty(), "there is a service");
  require(config.reset_rate > 0, "the reset rate is not 0");
  for (const teal::SocketAccess& access : {config.api.control, config.api.status})
    require(access.mode > 0 && access.mode <= 0777, "a mode has only permission bits");
  if (config.api.listen) {
    const std::string address = to_string(*config.api.listen);
    require(address.starts_with("127.") || address.starts_with("[::1]"), "the listener is on loopback");
  }
  for (const teal::ServiceConfig& service : config.services) {
    require(service.drain.timeout.count() > 0, "a drain has a deadline");
    require(!service.name.empty() && service.vip.port.raw != 0 && service.vip.protocol != 0,
            "a service has a name, and its VIP an address, port and protocol");
    for (const auto& pool : service.pools) {
      require(!pool.empty(), "no pool is empty");
      for (const teal::BackendConfig& backend : pool) {
        require(backend.socket.protocol == service.vip.protocol, "the protocol is the service's");
        require(backend.socket.address.is_v4() == service.vip.address.is_v4(), "one address family");
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  if (const auto config = teal::parse_config(text, "f")) {
    check_config(*config);
  } else {
    check_errors(config.error());
  }
  if (const auto options = teal::parse_options(text, "f")) {
    require(!options->ports.empty() && options->workers > 0, "there are ports and workers");
  } else {
    check_errors(options.error());
  }
  if (const auto duration = teal::parse_duration(text)) {
    require(teal::parse_duration(teal::duration_text(*duration)) == duration,
            "a duration is read as written");
  }
  return 0;
}
