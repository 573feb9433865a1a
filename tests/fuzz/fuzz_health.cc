// SPDX-License-Identifier: Apache-2.0
//
// Reads any bytes as what comes over health.sock, from either side. Nothing may throw,
// and what is accepted is within its bounds and comes back as it was when it is written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "control/health/health_messages.h"

namespace {

void expect(bool condition) {
  if (!condition) std::abort();
}

std::string without_end(std::string line) {
  expect(line.ends_with('\n'));
  line.pop_back();
  expect(line.find('\n') == std::string::npos);
  return line;
}

void read_as_teald(std::string_view line) {
  const auto message = teal::parse_to_teald(line);
  if (!message) return expect(!message.error().empty());
  if (const auto* done = std::get_if<teal::HookDone>(&*message)) {
    expect(done->reason.size() <= teal::kMaxHealthReason);
    const auto again = teal::parse_to_teald(without_end(line_of(*done)));
    return expect(again && std::get<teal::HookDone>(*again) == *done);
  }
  const auto* report = std::get_if<teal::HealthReport>(&*message);
  if (report == nullptr) return;
  expect(report->backend < 4096 && report->reason.size() <= teal::kMaxHealthReason);
  for (const char c : report->reason) expect(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  const auto again = teal::parse_to_teald(without_end(line_of(*report)));
  expect(again && std::get<teal::HealthReport>(*again) == *report);
}

void read_as_prober(std::string_view line) {
  const auto message = teal::parse_to_prober(line);
  if (!message) return expect(!message.error().empty());
  if (const auto* hook = std::get_if<teal::HookOrder>(&*message)) {
    expect(hook->run.command.front().starts_with('/') && hook->run.timeout.count() > 0);
    expect(hook->input.size() <= teal::kMaxHookInput);
    const auto again = teal::parse_to_prober(without_end(line_of(*hook)));
    expect(again && std::get<teal::HookOrder>(*again).run == hook->run);
    return expect(std::get<teal::HookOrder>(*again).input == hook->input);
  }
  const auto* list = std::get_if<teal::CheckList>(&*message);
  if (list == nullptr) return;
  for (const teal::CheckOrder& order : list->checks) {
    const teal::HealthCheck& check = order.check;
    expect(order.backend < 4096 && check.rise > 0 && check.fall > 0);
    expect(check.interval.count() > 0 && check.timeout.count() > 0);
    expect(check.kind != teal::CheckKind::kCommand || check.command.front().starts_with('/'));
  }
  const auto again = teal::parse_to_prober(without_end(line_of(*list)));
  expect(again && std::get<teal::CheckList>(*again).checks.size() == list->checks.size());
  for (size_t i = 0; i < list->checks.size(); ++i)
    expect(std::get<teal::CheckList>(*again).checks[i].is_like(list->checks[i]));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  teal::LineReader lines(teal::kMaxReportBytes);
  (void)lines.feed(text, [](std::string_view line) {
    expect(line.size() <= teal::kMaxReportBytes);
    read_as_teald(line);
    read_as_prober(line);
    return true;
  });
  read_as_prober(text);
  expect(teal::clean_reason(text).size() <= teal::kMaxHealthReason);
  return 0;
}
