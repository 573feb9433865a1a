// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

namespace teal {

// Takes what this process logs, instead of stderr, as long as it lives.
class CapturedLog {
 public:
  CapturedLog() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("captured", sink_));
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;
  ~CapturedLog() { spdlog::set_default_logger(before_); }

  // The lines that contain `text`: "warning: the disk ...".
  std::vector<std::string> lines_with(const std::string& text) const { return sink_->lines_with(text); }
  // The only such line, or a text that says how many there are.
  std::string line_with(const std::string& text) const {
    const std::vector<std::string> lines = lines_with(text);
    return lines.size() == 1 ? lines.front() : std::to_string(lines.size()) + " lines";
  }

 private:
  class Sink : public spdlog::sinks::base_sink<std::mutex> {
   public:
    std::vector<std::string> lines_with(const std::string& text) {
      const std::lock_guard hold(mutex_);
      std::vector<std::string> found;
      std::copy_if(lines_.begin(), lines_.end(), std::back_inserter(found),
                   [&](const std::string& line) { return line.find(text) != std::string::npos; });
      return found;
    }

   private:
    void sink_it_(const spdlog::details::log_msg& message) override {
      const auto level = spdlog::level::to_string_view(message.level);
      lines_.push_back(std::string(level.data(), level.size()) + ": " +
                       std::string(message.payload.data(), message.payload.size()));
    }
    void flush_() override {}

    std::vector<std::string> lines_;
  };

  const std::shared_ptr<Sink> sink_ = std::make_shared<Sink>();
  const std::shared_ptr<spdlog::logger> before_;
};

}  // namespace teal
