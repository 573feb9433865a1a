// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace teal {

// While this lives, the modes of files bind this thread, and each thread that it begins, even if the user is
// root.
class BoundByModes {
 public:
  BoundByModes() {
    EXPECT_EQ(syscall(SYS_capget, &header_, before_), 0);
    __user_cap_data_struct bound[_LINUX_CAPABILITY_U32S_3] = {before_[0], before_[1]};
    bound[0].effective &= ~(1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
    EXPECT_EQ(syscall(SYS_capset, &header_, bound), 0);
  }
  ~BoundByModes() { EXPECT_EQ(syscall(SYS_capset, &header_, before_), 0); }
  BoundByModes(const BoundByModes&) = delete;
  BoundByModes& operator=(const BoundByModes&) = delete;

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before_[_LINUX_CAPABILITY_U32S_3] = {};
};

}  // namespace teal
