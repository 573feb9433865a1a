// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace teal {

// Receives the kernel's messages about changes of interfaces (rtnetlink(7)). Each message raises SIGIO for
// this process, so a thread that waits for signals wakes at a change. The process must block SIGIO in all
// threads.
class LinkEvents {
 public:
  // If the kernel refuses, the log says so, and no signal comes.
  LinkEvents();
  ~LinkEvents();
  LinkEvents(const LinkEvents&) = delete;
  LinkEvents& operator=(const LinkEvents&) = delete;

  // Reads all messages and forgets them. Call it at each SIGIO, before the interfaces are looked at.
  void drain() const;

 private:
  int fd_;
};

}  // namespace teal
