// SPDX-License-Identifier: Apache-2.0
#include "control/trial/trial.h"

#include <algorithm>

namespace teal {

namespace {

Figures figures_in(const TrialCounts& counts, Signal signal) {
  switch (signal) {
    case Signal::kRefused:
      return {counts.begun, counts.refused};
    case Signal::kUnanswered:
      return {counts.begun, counts.unanswered};
    case Signal::kReset:
      return {counts.begun, counts.reset};
    case Signal::kSlow:
      return {counts.measured, counts.slow};
    case Signal::kNoReply:
      break;
  }
  return {counts.begun, counts.no_reply};
}

uint64_t ns_of(Clock::Time time) {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

std::vector<Stream> streams_of(const std::vector<TrialMember>& members) {
  std::vector<Stream> streams;
  for (const TrialMember& member : members)
    for (const Signal signal : signals_of(member)) streams.push_back({member.service, signal});
  return streams;
}

FlipJudge::ByCell by_cell(const TrialCells& cells, Signal signal) {
  FlipJudge::ByCell figures;
  for (size_t cell = 0; cell < cells.size(); ++cell) figures[cell] = figures_in(cells[cell], signal);
  return figures;
}

std::vector<FlipJudge::Baseline> baselines_of(const std::vector<TrialMember>& members,
                                              const std::vector<TrialStart>& starts) {
  std::vector<FlipJudge::Baseline> baselines;
  for (size_t i = 0; i < members.size(); ++i)
    for (const Signal signal : signals_of(members[i]))
      baselines.push_back({.stream = {members[i].service, signal},
                           .cells = by_cell(starts[i].old_colour, signal),
                           .flows_per_second = starts[i].flows_per_second});
  return baselines;
}

}  // namespace

std::vector<Signal> signals_of(const TrialMember& member) {
  if (member.is_udp) return {Signal::kNoReply};
  return {Signal::kRefused, Signal::kUnanswered, Signal::kReset, Signal::kSlow};
}

Trial::Trial(std::vector<TrialMember> members, Colour tested, const TrialSource& source, Clock::Time now)
    : members_(std::move(members)),
      tested_(tested),
      judge_(RampJudge(streams_of(members_), tested, ns_of(now))) {
  size_t stream = 0;
  for (const TrialMember& member : members_) {
    rows_.push_back({.counters = {source.cells(member.service, Colour::kBlue),
                                  source.cells(member.service, Colour::kGreen)},
                     .counted = {},
                     .first_stream = stream});
    stream += signals_of(member).size();
  }
}

Trial::Trial(std::vector<TrialMember> members, Colour tested, std::vector<TrialStart> starts,
             Clock::Time flip)
    : members_(std::move(members)),
      tested_(tested),
      judge_(FlipJudge(baselines_of(members_, starts), tested, ns_of(flip))) {
  size_t stream = 0;
  for (size_t i = 0; i < members_.size(); ++i) {
    Row row{.counters = {}, .counted = {}, .first_stream = stream};
    row.counters[static_cast<size_t>(tested)] = starts[i].at_flip;
    row.counted[static_cast<size_t>(other(tested))] = sum_of(starts[i].old_colour);
    rows_.push_back(row);
    stream += signals_of(members_[i]).size();
  }
}

void Trial::follow_share(uint16_t share, Clock::Time now) {
  auto* judge = std::get_if<RampJudge>(&judge_);
  if (judge == nullptr || share == share_) return;
  share_ = share;
  step_ = judge->begin_step(static_cast<double>(share) / kShareOne, ns_of(now));
  seen_in_step_ = 0;
  for (Row& row : rows_) row.counted = {};
}

void Trial::look(const TrialSource& source, Clock::Time now) {
  for (size_t member = 0; member < members_.size(); ++member)
    std::visit([&](auto& judge) { add_to(judge, member, source, ns_of(now)); }, judge_);
}

// Returns what the counters show since they were read last. Counters that began again say nothing.
std::optional<TrialCells> Trial::news_of(Row& row, uint16_t service, Colour colour,
                                         const TrialSource& source) {
  TrialCells& before = row.counters[static_cast<size_t>(colour)];
  const TrialCells now = source.cells(service, colour);
  const bool began_again = !follows(before, now);
  const TrialCells news = since(before, now);
  before = now;
  if (began_again) return std::nullopt;
  const TrialCounts sum = sum_of(news);
  row.counted[static_cast<size_t>(colour)] += sum;
  if (colour == tested_) seen_in_step_ += sum.begun;
  return news;
}

// A failure is added to the present step. If its flow is of an earlier one, the present share is higher,
// which can only lower the value (rule about late outcomes in ramp_judge.h).
void Trial::add_to(RampJudge& judge, size_t member, const TrialSource& source, uint64_t now_ns) {
  Row& row = rows_[member];
  std::array<TrialCounts, kColours> news;
  for (const Colour colour : {Colour::kBlue, Colour::kGreen})
    if (const auto cells = news_of(row, members_[member].service, colour, source))
      news[static_cast<size_t>(colour)] = sum_of(*cells);
  size_t stream = row.first_stream;
  for (const Signal signal : signals_of(members_[member]))
    judge.add(stream++, step_, {figures_in(news[0], signal), figures_in(news[1], signal)}, now_ns);
}

void Trial::add_to(FlipJudge& judge, size_t member, const TrialSource& source, uint64_t now_ns) {
  Row& row = rows_[member];
  const auto news = news_of(row, members_[member].service, tested_, source);
  size_t stream = row.first_stream;
  for (const Signal signal : signals_of(members_[member]))
    judge.add(stream++, by_cell(news.value_or(TrialCells()), signal), now_ns);
}

Verdict Trial::verdict(FlipJudge::OldColour old_colour) const {
  if (const auto* judge = std::get_if<FlipJudge>(&judge_)) return judge->verdict(old_colour);
  return std::get<RampJudge>(judge_).verdict();
}

void Trial::begin_from(const TrialSource& source) {
  for (size_t i = 0; i < members_.size(); ++i)
    for (const Colour colour : {Colour::kBlue, Colour::kGreen})
      rows_[i].counters[static_cast<size_t>(colour)] = source.cells(members_[i].service, colour);
}

void Trial::forget(Clock::Time now) {
  if (auto* judge = std::get_if<FlipJudge>(&judge_)) judge->forget(ns_of(now));
}

std::vector<SignalFigures> Trial::figures_of(uint16_t service) const {
  std::vector<SignalFigures> figures;
  for (size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].service != service) continue;
    for (const Signal signal : signals_of(members_[i]))
      figures.push_back(
          {signal, {figures_in(rows_[i].counted[0], signal), figures_in(rows_[i].counted[1], signal)}});
  }
  return figures;
}

}  // namespace teal
