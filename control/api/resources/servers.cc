// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/servers.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace teal {

ConfigErrors api_problems(const Config& wanted, const ApiConfig& applied, const std::string& run_dir) {
  ConfigErrors errors;
  const auto expect = [&](const tl::expected<Listener, std::string>& opened, const char* key, uint32_t line) {
    if (!opened)
      errors.push_back(
          fmt::format("{}:{}: api.{}: cannot be opened: {}", wanted.path, line, key, opened.error()));
  };
  const auto try_access = [&](const SocketAccess& access, const SocketAccess& before, const char* key,
                              uint32_t line) {
    if (!(access == before)) expect(Listener::on_path(run_dir + "/probe.sock", access), key, line);
  };
  try_access(wanted.api.control, applied.control, "control", wanted.api_lines.control);
  try_access(wanted.api.status, applied.status, "status", wanted.api_lines.status);
  if (wanted.api.listen && wanted.api.listen != applied.listen)
    expect(Listener::on_loopback(*wanted.api.listen), "listen", wanted.api_lines.listen);
  return errors;
}

ApiServers::ApiServers(asio::io_context& io, std::string run_dir, Api& api, ServerLimits limits)
    : io_(io), run_dir_(std::move(run_dir)), api_(api), limits_(limits) {}

tl::expected<void, std::string> ApiServers::apply(const ApiConfig& config) {
  // control.sock comes last: a client that finds it also finds the other sockets.
  Applied first = apply_access(status_, "status.sock", config.status, applied_.status, true);
  if (first) applied_.status = config.status;
  Applied second = apply_listen(config.listen);
  Applied third = apply_access(control_, "control.sock", config.control, applied_.control, false);
  if (third) applied_.control = config.control;
  for (Applied* done : {&first, &second, &third})
    if (!*done) return *done;
  return {};
}

tl::expected<void, std::string> ApiServers::apply_access(std::unique_ptr<Server>& server, const char* name,
                                                         const SocketAccess& access,
                                                         const SocketAccess& before, bool read_only) {
  if (server != nullptr) return access == before ? Applied() : server->listener().set_access(access);
  auto listener = Listener::on_path(run_dir_ + "/" + name, access);
  if (!listener) return tl::unexpected(listener.error());
  server = start(std::move(*listener), read_only);
  return {};
}

tl::expected<void, std::string> ApiServers::apply_listen(const std::optional<Socket>& endpoint) {
  if (endpoint == applied_.listen) return {};
  std::unique_ptr<Server> next;
  if (endpoint) {
    auto listener = Listener::on_loopback(*endpoint);
    if (!listener) return tl::unexpected("[api] listen: " + listener.error());
    spdlog::info("read-only API on http://{}", listener->name());
    next = start(std::move(*listener), true);
  }
  loopback_ = std::move(next);
  applied_.listen = endpoint;
  return {};
}

std::unique_ptr<Server> ApiServers::start(Listener listener, bool read_only) {
  return Server::start(
      io_, api_.clock, std::move(listener),
      {.read_only = read_only,
       .changes_at = run_dir_ + "/control.sock",
       .limits = limits_,
       .on_refused =
           [api = &api_](const std::optional<uint32_t>& uid, const auto& what, const auto& refusal) {
             std::optional<Actor> actor;
             if (uid) actor = Actor{.uid = *uid};
             api->refusals.note(actor, what, "", refusal);
           }},
      [api = &api_](const Request& request) { return answer(*api, request); });
}

std::optional<Socket> ApiServers::loopback() const {
  if (loopback_ == nullptr) return std::nullopt;
  return loopback_->listener().endpoint();
}

}  // namespace teal
