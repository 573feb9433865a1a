// SPDX-License-Identifier: Apache-2.0
#include "control/publish/pending_restart.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "dataplane/config/running_config.h"
#include "tests/unit/control/config/configs.h"
#include "tests/unit/control/temp_dir.h"

namespace teal {
namespace {

using Lines = std::vector<std::string>;

DataplaneOptions shop_options() {
  return parse_options(kShopToml, "teal.toml").value();
}

TEST(PendingRestart, EachKeyThatDiffersHasALine) {
  DataplaneOptions wanted = shop_options();
  EXPECT_EQ(wants_restart(wanted, shop_options()), Lines());
  wanted.workers = 2;
  wanted.flow_capacity = 5000;
  wanted.hash_seed = 7;
  wanted.ports[0].side = kClientSide;
  wanted.ports.push_back({"back", DeviceKind::kPci, "0000:3b:00.0", kBackendSide});
  EXPECT_EQ(
      wants_restart(wanted, shop_options()),
      (Lines{"[dataplane] workers: configured 2, running 1: restart teal-dataplane to apply it",
             "[dataplane] flow_capacity: configured 5000, running 1000000: a restart of teal-dataplane moves "
             "the flows to another table",
             "[dataplane] hash_seed: configured 7, running 0: a restart of teal-dataplane moves the flows to "
             "another table",
             "[[port]] front: side: configured client, running both: restart teal-dataplane to apply it",
             "[[port]] back: new: restart teal-dataplane to open it"}));
  EXPECT_EQ(wants_restart(shop_options(), wanted).back(),
            "[[port]] back: no longer configured: restart teal-dataplane to close it");
}

TEST(PendingRestart, WithoutACopyTheSegmentTellsWhatItKnows) {
  const auto header = std::make_unique<SegmentHeader>();
  const auto flows = std::make_unique<FlowsHeader>();
  flows->flow_capacity = 1'000'000;
  flows->hash_seed = 3;
  strcpy(header->ports[4].name, "front");
  header->ports[4].side = kClientSide;
  header->ports[4].present = 1;
  DataplaneOptions wanted = shop_options();
  EXPECT_EQ(
      wants_restart(wanted, options_of(*header, *flows, wanted)),
      Lines{"[[port]] front: side: configured both, running client: restart teal-dataplane to apply it"});
  wanted.ports[0].side = kClientSide;
  wanted.idle = Idle::kSpin;  // not known
  wanted.hash_seed = 7;
  EXPECT_EQ(wants_restart(wanted, options_of(*header, *flows, wanted)).size(), 1u) << "the seed";
}

TEST(RunningConfig, IsReadAsItWasSaved) {
  const TempDir dir;
  EXPECT_FALSE(read_running_config(dir.path()));
  for (const char* text : {"[dataplane]\n", kShopToml}) ASSERT_TRUE(save_running_config(dir.path(), text));
  const auto read = read_running_config(dir.path());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text, kShopToml);
  EXPECT_EQ(wants_restart(*read, shop_options()), Lines());
  const auto saved = save_running_config(dir.file("nowhere"), "");
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error(),
            dir.file("nowhere/dataplane.toml.new") + ": cannot be written: No such file or directory");
}

}  // namespace
}  // namespace teal
