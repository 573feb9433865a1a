// SPDX-License-Identifier: Apache-2.0
//
// The text of a ramp, as the database keeps it.
#include "control/state/ramp.h"

#include <gtest/gtest.h>

namespace teal {
namespace {

TEST(RampText, IsReadAsItWasWritten) {
  const Ramp running{12, {{100, 2500, kShareOne}, std::chrono::seconds(90), true}, 1, std::nullopt};
  Ramp paused = running;
  paused.paused = "a look at the logs";
  for (const Ramp& ramp : {running, paused}) EXPECT_EQ(parse_ramp(to_text(ramp)), ramp) << to_text(ramp);
}

struct DamagedText {
  const char* text;
  const char* says;
};

TEST(RampText, DamageIsToldWithTheValue) {
  const DamagedText cases[] = {
      {"soon", "it is not JSON"},
      {"[]", "it is an array of 0, expected an object"},
      {R"({"id":-1})", "id is -1, expected an integer from 0"},
      {R"({"id":1})", "steps is missing, expected an array of 2 to 32 integers from 1 to 10000 that rise"},
      {R"({"id":1,"steps":[10000]})", "steps is an array of 1, expected an array of 2"},
      {R"({"id":1,"steps":[500,100,10000]})", "steps is an array of 3, expected"},
      {R"({"id":1,"steps":[0,10000]})", "steps is an array of 2, expected"},
      {R"({"id":1,"steps":["5%",10000]})", "steps is an array of 2, expected"},
      {R"({"id":1,"steps":[100,500]})", "steps is an array of 2, expected an array that ends with 10000"},
      {R"({"id":1,"steps":[100,10000],"step":1})", "step is 1, expected an integer from 0 to 0"},
      {R"({"id":1,"steps":[100,10000],"step":0,"every_ms":-5})", "every_ms is -5"},
      {R"({"id":1,"steps":[100,10000],"step":0,"every_ms":5,"manual":1})",
       "manual is 1, expected true or false"},
      {R"({"id":1,"steps":[100,10000],"step":0,"every_ms":5,"manual":true,"paused":7})",
       "paused is 7, expected text or null"},
  };
  for (const DamagedText& damage : cases) {
    const auto ramp = parse_ramp(damage.text);
    ASSERT_FALSE(ramp) << damage.text;
    EXPECT_EQ(ramp.error().substr(0, std::string_view(damage.says).size()), damage.says) << damage.text;
  }
}

}  // namespace
}  // namespace teal
