// SPDX-License-Identifier: Apache-2.0
#include "control/state/state_copy.h"

#include <filesystem>
#include <utility>

#include <spdlog/spdlog.h>

namespace teal {

Task<void> StateCopy::save(Copied copied) {
  std::function<State::Done()> work = [this, copied = std::move(copied)] { return write(copied); };
  const State::Done written = co_await run_on(thread_, std::move(work));
  is_whole_ = written.has_value();
  if (!written) spdlog::warn("cannot keep a copy of the state: {}", written.error());
}

State::Done StateCopy::write(const Copied& copied) {
  if (!state_ && !copied.config) return tl::unexpected<std::string>("it was not written before");
  const uint64_t generation = copied.inventory.published_generation;
  State::Done written = open(generation);
  if (written) written = state_->keep(copied);
  if (written) return written;
  forget();
  if (!copied.config) return written;
  written = open(generation);
  if (written) written = state_->keep(copied);
  if (!written) forget();
  return written;
}

// A copy that is ahead of the state belongs to another database.
State::Done StateCopy::open(uint64_t published_generation) {
  if (state_) return {};
  auto opened = State::open_expendable(dir_);
  if (!opened) return tl::unexpected(opened.error());
  const auto former = opened->load();
  if (!former) return tl::unexpected(former.error());
  if (former->published_generation > published_generation)
    return tl::unexpected<std::string>("it belongs to another database");
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
  return read_stored(*state, true);
}

}  // namespace teal
