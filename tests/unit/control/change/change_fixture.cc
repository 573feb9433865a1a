// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/change/change_fixture.h"

#include <filesystem>
#include <fstream>
#include <new>

namespace teal {

namespace {

// Recovers as a start does, and puts what is to be recorded into the journal.
Inventory recovered(Recorder& recorder, Journal& journal, Publisher& publisher, const Config& config,
                    const Clock& clock) {
  (void)publisher.refresh();
  auto stored = recorder.open();
  EXPECT_TRUE(stored || publisher.generation() != 0) << stored.error();
  auto start = recover(stored.value_or(Recorder::Stored()), publisher, config, clock);
  EXPECT_TRUE(start) << start.error();
  if (!start) return {};
  if (recorder.is_open()) journal.begin_with(std::move(start->to_record));
  return std::move(start->inventory);
}

}  // namespace

SteppedDataplane::SteppedDataplane(const std::string& run_dir, uint32_t workers) : dataplane_(run_dir, 0) {
  dataplane_.segment().header().worker_count = workers;
  for (uint32_t worker = 0; worker < workers; ++worker) {
    readers_.push_back(std::make_unique<Reader>());
    readers_.back()->reader = new (readers_.back()->bytes) PublicationReader(dataplane_.segment(), worker);
  }
}

SteppedDataplane::~SteppedDataplane() {
  for (const auto& reader : readers_) reader->reader->~PublicationReader();
}

void SteppedDataplane::step() {
  for (const auto& reader : readers_) {
    (void)reader->reader->load();
    reader->reader->quiescent();
  }
}

void SteppedDataplane::die() {
  readers_.clear();
  dataplane_.die();
}

Teald::Teald(const std::string& run_dir, const std::string& state_directory, const std::string& config_path,
             const Clock& clock, Recorder::Limits limits,
             const std::function<void(const ToldEvent&)>& listener)
    : state_dir(state_directory),
      publisher(run_dir),
      recorder(state_dir, disk, limits),
      events(clock),
      steering(run_dir),
      health(clock),
      trials({.cells = [this](uint16_t service,
                              Colour colour) { return counted[service][static_cast<size_t>(colour)]; },
              .answer_times = [this](uint16_t, Colour) { return answer_times; }},
             {.ask = [this](uint16_t, Colour) { return old_colour.has_value(); },
              .answer = [this](uint16_t, Colour, Clock::Time, bool) { return old_colour; }},
             run_dir, clock),
      executor(*read_config(config_path),
               recovered(recorder, journal, publisher, *read_config(config_path), clock), journal, publisher,
               steering, events, clock),
      upkeep(executor, publisher, steering, events, trials, run_dir, clock),
      verbs(executor, upkeep, recorder, publisher, {hop_states, health}, users, files, clock) {
  events.listen(listener);
  const auto flush = [](Journal& queue) -> Task<void> { (void)co_await queue.flush(); };
  run(flush(journal));
  (void)run(users.look_up(0));  // as after root's first change
}

State& Teald::state() {
  if (!looked_into) {
    auto opened = State::open(state_dir);
    EXPECT_TRUE(opened) << opened.error();
    looked_into.emplace(std::move(*opened));
  }
  return *looked_into;
}

void Teald::run(Task<void> task) {
  asio::co_spawn(io, std::move(task), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  io.restart();
  io.run();
}

ChangeFixture::ChangeFixture() {
  std::filesystem::create_directories(dir.file("run"));
  std::ofstream(dir.file("teal.toml")) << kShopToml;
  clock.on_sleep = [this] {
    if (dataplane) dataplane->step();
  };
}

void ChangeFixture::start_dataplane(uint32_t workers) {
  dataplane.emplace(dir.file("run"), workers);
}

void ChangeFixture::lose_segment() {
  for (const char* file : {"run/segment", "run/segment.tmpfs"}) std::filesystem::remove(dir.file(file));
}

void ChangeFixture::start_teald() {
  teald.reset();
  teald.emplace(dir.file("run"), dir.file("state"), dir.file("teal.toml"), clock, limits,
                [this](const ToldEvent& event) {
                  events_.push_back(event);
                  on_event(event.type);
                });
  EXPECT_TRUE(follow());
}

void ChangeFixture::write_with(const std::string& from, const std::string& to) {
  std::string toml = kShopToml;
  toml.replace(toml.find(from), from.size(), to);
  std::ofstream(dir.file("teal.toml")) << toml;
}

void ChangeFixture::write_without_service_c() {
  const std::string toml = kShopToml;
  const size_t begin = toml.find("[[service]]\nname = \"service-c\""), end = toml.find("[[group]]");
  write_with(toml.substr(begin, end - begin), "");
}

ChangeFixture::Result ChangeFixture::flip(const std::string& service, Colour to, ChangeOptions options) {
  RolloutRequest request{.verb = RolloutRequest::Verb::kFlip, .what = {{service}, {}}, .to = to};
  return teald->run(teald->verbs.roll(std::move(request), std::move(options)));
}

ChangeFixture::Result ChangeFixture::rollback(const std::string& service, ChangeOptions options) {
  RolloutRequest request{.verb = RolloutRequest::Verb::kRollback, .what = {{service}, {}}};
  return teald->run(teald->verbs.roll(std::move(request), std::move(options)));
}

ChangeFixture::Result ChangeFixture::set_backend(const std::string& address, AdminState state,
                                                 ChangeOptions options) {
  BackendRequest request{.service = "service-a", .colour = Colour::kBlue, .address = tcp(address)};
  request.state = state;
  return teald->run(teald->verbs.set_backend(std::move(request), std::move(options)));
}

ChangeFixture::Result ChangeFixture::set_drain(std::chrono::milliseconds timeout, DrainConfig::Then then,
                                               ChangeOptions options) {
  DrainRequest request{.what = {{"service-a"}, {}}, .timeout = timeout, .then = then};
  return teald->run(teald->verbs.set_drain(std::move(request), std::move(options)));
}

void ChangeFixture::break_disk() {
  run_sql(dir.file("state/teal.db"), "ALTER TABLE history RENAME TO hidden");
}

void ChangeFixture::repair_disk() {
  run_sql(dir.file("state/teal.db"), "ALTER TABLE hidden RENAME TO history");
}

void ChangeFixture::set_flows(uint16_t backend, Colour colour, uint32_t flows) {
  (*dataplane)->segment().worker(0).flows[backend][static_cast<size_t>(colour)].live = flows;
}

std::string ChangeFixture::take_events() {
  std::string types;
  for (; taken_ < events_.size(); ++taken_) types += (types.empty() ? "" : " ") + events_[taken_].type;
  return types;
}

std::string ChangeFixture::told(const std::string& field) const {
  for (auto event = events_.rbegin(); event != events_.rend(); ++event) {
    const auto data = nlohmann::json::parse(event->data);
    if (data.contains(field)) return data[field].dump();
  }
  return "";
}

}  // namespace teal
