// SPDX-License-Identifier: Apache-2.0
#include "control/cli/pages/bars.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "control/cli/invocation/answer.h"
#include "control/cli/terminal/table.h"

namespace teal::cli {
namespace {

constexpr size_t kBarWidth = 20;
constexpr size_t kNameWidth = 14;
constexpr size_t kBarColumn = 26;  // after the name and "blue 100% "

std::string repeated(std::string_view glyph, size_t count) {
  std::string text;
  while (count-- != 0) text += glyph;
  return text;
}

long percent(double share) {
  // 100% means all and 0% means nothing: other shares are 1% to 99%.
  const long rounded = std::lround(share * 100);
  return share <= 0 ? 0 : share >= 1 ? 100 : std::clamp(rounded, 1L, 99L);
}

std::string share_line(const std::string& name, uint64_t blue, uint64_t green, double seconds, bool first,
                       const Surroundings& around) {
  std::string line = fmt::format("{:<{}}  ", name, kNameWidth);
  if (width_of(name) > kNameWidth) line = name + "\n" + std::string(kNameWidth + 2, ' ');
  if (first || blue + green == 0) {
    return line + fmt::format("blue      {:^{}}      green\n", first ? "at the next refresh" : "no new flows",
                              kBarWidth);
  }
  const double share = static_cast<double>(blue) / static_cast<double>(blue + green);
  return line + fmt::format("blue {:>3}% {} {:>3}% green  {:.1f}/s\n", percent(share),
                            bar(share, kBarWidth, Style::kBlue, Style::kGreen, around), 100 - percent(share),
                            static_cast<double>(blue + green) / seconds);
}

std::string drain_line(const nlohmann::json& draining, uint64_t flows, uint64_t most,
                       const Surroundings& around) {
  const double done = most == 0 ? 1 : 1 - static_cast<double>(flows) / static_cast<double>(most);
  std::string line = fmt::format(
      "{:<{}}{:>3}% {} {} of {} left", "  drain of " + text(draining, "colour"), kBarColumn - 5,
      percent(done), bar(done, kBarWidth, style_of(text(draining, "colour")), Style::kPlain, around), flows,
      most);
  std::string more;
  if (const auto state = text_or(draining, "state"); state == "overdue" || state == "resetting") {
    more = ", " + state;
  } else if (const auto& estimate = part(draining, "estimate_seconds"); estimate.is_number()) {
    more = fmt::format(", about {}", span_text(estimate.get<double>()));
  }
  // The sequences of the bar's colours have no width on the screen.
  const size_t width = kBarColumn + kBarWidth + fmt::format(" {} of {} left", flows, most).size();
  return line + (width + more.size() <= around.columns ? more : "") + "\n";
}

}  // namespace

std::string bar(double share, size_t width, Style first, Style second, const Surroundings& around) {
  const auto filled =
      static_cast<size_t>(std::lround(std::clamp(share, 0.0, 1.0) * static_cast<double>(width)));
  const std::string_view full = around.utf8 ? "\u2588" : "#", light = around.utf8 ? "\u2591" : ".";
  return (filled == 0 ? "" : styled(repeated(full, filled), first, around.colour)) +
         (filled == width ? "" : styled(repeated(light, width - filled), second, around.colour));
}

std::string Bars::text(const nlohmann::json& services, Time now, const Surroundings& around) {
  const double seconds = std::max(1e-3, std::chrono::duration<double>(now - last_).count());
  last_ = now;
  std::string lines =
      styled("new flows since the last refresh, and drains", Style::kBold, around.colour) + "\n";
  for (const auto& service : services) {
    const auto name = cli::text(service, "name");
    const auto known = seen_.find(name);
    const bool first = known == seen_.end();
    Seen& seen = first ? seen_[name] : known->second;
    const std::array begun = {number(service.at("colours").at("blue"), "new_flows"),
                              number(service.at("colours").at("green"), "new_flows")};
    // A new segment begins with counters of 0.
    const auto since = [&](size_t colour) {
      return begun[colour] >= seen.begun[colour] ? begun[colour] - seen.begun[colour] : begun[colour];
    };
    lines += share_line(name, since(0), since(1), seconds, first, around);
    seen.begun = begun;

    const auto& draining = part(service, "draining");
    if (const auto flip = number(service, "generation_of_flip"); flip != seen.flip) seen = {begun, flip, 0};
    if (draining.is_null()) continue;
    const auto flows = number(draining, "flows");
    seen.most = std::max(seen.most, flows);
    lines += drain_line(draining, flows, seen.most, around);
  }
  return lines;
}

}  // namespace teal::cli
