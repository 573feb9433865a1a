// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/counters.h"

#include <memory>
#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace teal {
namespace {

TEST(Counters, NamesAreUniqueAmongEventsAndDropReasons) {
  std::set<std::string_view> names(kEventNames.begin(), kEventNames.end());
  names.insert(kDropReasonNames.begin(), kDropReasonNames.end());
  EXPECT_EQ(names.size(), size_t{kEventCount} + kDropReasonCount);
  EXPECT_FALSE(names.contains(""));
}

TEST(Counters, NameBelongsToItsEnumerator) {
  EXPECT_EQ(kEventNames[static_cast<size_t>(Event::k_table_full)], "table_full");
  EXPECT_EQ(kDropReasonNames[static_cast<size_t>(DropReason::k_tx_full)], "tx_full");
}

TEST(Counters, CountsByEventAndByReason) {
  const auto block = std::make_unique<WorkerBlock>();
  block->count(Event::k_rx, 3);
  block->count(Event::k_rx);
  block->count(DropReason::k_fragment);
  EXPECT_EQ(block->events[static_cast<size_t>(Event::k_rx)].read(), 4u);
  EXPECT_EQ(block->drops[static_cast<size_t>(DropReason::k_fragment)].read(), 1u);
  EXPECT_EQ(block->drops[static_cast<size_t>(DropReason::k_truncated)].read(), 0u);
}

}  // namespace
}  // namespace teal
