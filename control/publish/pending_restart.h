// SPDX-License-Identifier: Apache-2.0
//
// The settings of [dataplane] and [[port]] that wait for a restart of teal-dataplane, which alone reads them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/publish/publisher.h"
#include "dataplane/config/options.h"
#include "dataplane/shm/segment.h"

namespace teal {

// Returns one line for each key in which the two differ.
std::vector<std::string> wants_restart(const DataplaneOptions& wanted, const DataplaneOptions& running);

// Returns the options of a running dataplane as far as its segment tells, and takes the others from `wanted`.
DataplaneOptions options_of(const SegmentHeader& running, const FlowsHeader& flows,
                            const DataplaneOptions& wanted);

class PendingRestart {
 public:
  explicit PendingRestart(const Publisher& publisher) : publisher_(publisher) {}

  // Compares the options with the options of the running dataplane. Nothing waits if no dataplane runs: the
  // next start reads the file.
  std::vector<std::string> lines(const DataplaneOptions& wanted);

 private:
  const Publisher& publisher_;
  // The copy that was read last, and the pid and epoch of its dataplane. Zeros: none was read.
  std::pair<uint32_t, uint64_t> read_from_{};
  std::optional<DataplaneOptions> started_with_;
};

}  // namespace teal
