// SPDX-License-Identifier: Apache-2.0
#include "control/prober/command.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/prober/command_run.h"

namespace teal {

namespace {

std::set<pid_t>& running_commands() {
  static std::set<pid_t> pids;
  return pids;
}

// Children of this process, of which some are commands and the others are orphans that it has adopted.
std::vector<pid_t> children() {
  std::vector<pid_t> pids;
  std::ifstream list("/proc/self/task/" + std::to_string(::getpid()) + "/children");
  for (pid_t pid = 0; list >> pid;) pids.push_back(pid);
  return pids;
}

// Runs between fork() and exec(): only calls that are safe there.
[[noreturn]] void become(const std::vector<char*>& words, const std::vector<char*>& environment, int input,
                         int output, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::syscall(SYS_close_range, 3u, ~0u, 0u);
  ::signal(SIGPIPE, SIG_DFL);  // teal-health ignores it, and exec() would keep that
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::chdir("/") == 0) ::execve(words.front(), words.data(), environment.data());
  const char* why = ::strerrordesc_np(errno);
  for (const char* text : {"cannot run the command: ", why == nullptr ? "unknown error" : why, "\n"}) {
    if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  }
  ::_exit(127);
}

// Returns a descriptor that reads the text; -1 and errno: this host lacks memory or descriptors.
int input_of(const std::string& text) {
  if (text.empty()) return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int file = ::memfd_create("teal-hook", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (file < 0) return -1;
  for (size_t at = 0; at < text.size();) {
    const ssize_t written = ::write(file, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = errno;
      ::close(file);
      errno = error;
      return -1;
    }
    at += static_cast<size_t>(written);
  }
  ::fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  ::lseek(file, 0, SEEK_SET);
  return file;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

tl::expected<std::unique_ptr<Command>, std::string> Command::start(const CommandLine& line) {
  std::vector<std::string> words = line.words, environment = line.environment;
  environment.emplace_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  const std::vector<char*> word_pointers = pointers_to(words), variables = pointers_to(environment);
  const auto failed = [](const char* what) {
    return tl::unexpected(std::string("cannot ") + what + ": " + std::strerror(errno));
  };
  const int input = input_of(line.input);
  if (input < 0) return failed("make the input of the command");
  int output[2];
  if (::pipe2(output, O_CLOEXEC) != 0) {
    const int pipe_error = errno;
    ::close(input);
    errno = pipe_error;
    return failed("make a pipe for the command");
  }
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(word_pointers, variables, input, output[1], parent);
  const int fork_error = errno;
  ::close(input);
  ::close(output[1]);
  if (pid < 0) {
    ::close(output[0]);
    errno = fork_error;
    return failed("start a process for the command");
  }
  ::setpgid(pid, pid);  // the child does it, too: whoever is first
  const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0u));
  const int process_error = errno;
  running_commands().insert(pid);
  auto command = std::unique_ptr<Command>(new Command(pid, output[0], process));
  errno = process_error;
  if (process < 0) return failed("watch the command's process");  // its destructor ends the process
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  return command;
}

Command::~Command() {
  if (!is_reaped_) {
    kill();
    (void)reap();
  }
  for (const int fd : {output_fd_, process_fd_})
    if (fd >= 0) ::close(fd);
}

void Command::kill() const {
  if (is_reaped_) return;  // the number may belong to another process
  ::kill(-pid_, SIGKILL);
  ::kill(pid_, SIGKILL);  // if it has left its group
}

int Command::reap() {
  // The process stays a zombie until waitpid(), so its group's number belongs to nobody else.
  siginfo_t ended{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOWAIT) < 0 && errno == EINTR) {
  }
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  is_reaped_ = true;
  running_commands().erase(pid_);
  end_orphans();
  return status;
}

void Command::adopt_orphans() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

// A killed process needs a moment to end, and its own children become orphans then: later rounds find them.
void Command::end_orphans() {
  constexpr int kRounds = 16;
  for (int round = 0; round < kRounds; ++round) {
    bool found = false;
    for (const pid_t pid : children()) {
      if (running_commands().contains(pid)) continue;
      if (running_commands().contains(::getpgid(pid))) continue;  // ends with its command
      ::kill(pid, SIGKILL);
      int status = 0;
      (void)::waitpid(pid, &status, WNOHANG);
      found = true;
    }
    if (!found) return;
  }
}

void kill_commands() {
  for (const pid_t pid : running_commands()) {
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);
  }
  // They are zombies soon, and this process ends. Children that left their group are found here.
  for (const pid_t pid : std::set<pid_t>(running_commands())) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    running_commands().erase(pid);
  }
  Command::end_orphans();
}

}  // namespace teal
