// SPDX-License-Identifier: Apache-2.0
#include "control/state/state_copy.h"

#include <filesystem>
#include <utility>

#include <spdlog/spdlog.h>

namespace teal {

Task<void> StateCopy::save(Inventory inventory, std::string config) {
  Unrecorded whole{.inventory = std::make_shared<const Inventory>(std::move(inventory)),
                   .config = std::make_shared<const std::string>(std::move(config))};
  std::function<State::Done()> work = [this, whole = std::move(whole)] { return write(whole); };
  co_await on_thread(std::move(work));
}

Task<void> StateCopy::save_change(ChangeRecord record, const Inventory& inventory) {
  Inventory rest;
  rest.lock = inventory.lock;
  rest.given_generation = inventory.given_generation;
  rest.published_generation = inventory.published_generation;
  rest.revision = inventory.revision;
  std::function<State::Done()> work = [this, record = std::move(record), rest = std::move(rest)] {
    return write_change(record, rest);
  };
  co_await on_thread(std::move(work));
}

Task<void> StateCopy::on_thread(std::function<State::Done()> work) {
  const State::Done written = co_await run_on(thread_, std::move(work));
  is_whole_ = written.has_value();
  if (!written) spdlog::warn("cannot keep a copy of the state: {}", written.error());
}

State::Done StateCopy::write(const Unrecorded& whole) {
  if (open() && state_->record({whole})) return {};
  forget();
  if (const State::Done opened = open(); !opened) return opened;
  if (const auto written = state_->record({whole}); !written) {
    forget();
    return tl::unexpected(written.error());
  }
  return {};
}

State::Done StateCopy::write_change(const ChangeRecord& record, const Inventory& rest) {
  if (!state_) return tl::unexpected<std::string>("it was not written before");
  State::Done written = state_->save_change(record, rest);
  if (!written) forget();
  return written;
}

State::Done StateCopy::open() {
  if (state_) return {};
  auto opened = State::open(dir_);
  if (!opened) return tl::unexpected(opened.error());
  state_.emplace(std::move(*opened));
  return {};
}

// A copy that is out of date would mislead a start.
void StateCopy::forget() {
  state_.reset();
  std::error_code error;
  std::filesystem::remove_all(dir_, error);
}

bool StateCopy::exists(const std::string& run_dir) {
  return std::filesystem::exists(dir_in(run_dir) + "/teal.db");
}

Recorder::Recorded<Recorder::Stored> StateCopy::read(const std::string& run_dir) {
  auto state = State::open_to_read(dir_in(run_dir));
  if (!state) return tl::unexpected(state.error());
  return read_stored(*state);
}

}  // namespace teal
