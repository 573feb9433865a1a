// SPDX-License-Identifier: Apache-2.0
#include "control/cli/verb_table.h"

#include <array>
#include <limits>

#include <fmt/format.h>

#include "control/cli/completion/completion.h"
#include "control/cli/help.h"
#include "control/cli/verbs/verbs.h"
#include "dataplane/config/nearest.h"

namespace teal::cli {
namespace {

constexpr size_t kAny = std::numeric_limits<size_t>::max();

constexpr OptionSpec kGroup = {'g', "group", "GROUP", "all services of the group, instead of names"};
constexpr OptionSpec kWait = {'w', "wait", "", "wait until the colour left is drained, for --timeout (10m)"};

constexpr std::array kStatusOptions = {
    OptionSpec{'w', "watch", "", "print again and again, until interrupted"},
    OptionSpec{0, "interval", "TIME", "how often with --watch (1s)"},
    OptionSpec{'n', "count", "N", "with --watch: end after N times"},
};
constexpr std::string_view kStatusExamples[] = {"teal status web", "teal status --watch --interval 2s"};

constexpr std::array kFlowsOptions = {
    OptionSpec{'s', "service", "SERVICE", "only flows of this service"},
    OptionSpec{0, "colour", "COLOUR", "only flows that were chosen as blue or green"},
    OptionSpec{'b', "backend", "SOCKET", "only flows on this backend, as 198.18.2.11:8080"},
    OptionSpec{'c', "client", "ADDRESS", "only flows of this client, with or without :PORT"},
    OptionSpec{'n', "limit", "N", "how many to show at most (100)"},
};

constexpr std::array kStatsOptions = {OptionSpec{'a', "all", "", "counters that are zero, too"}};

constexpr std::array kHistoryOptions = {
    OptionSpec{'n', "limit", "N", "how many to show at most (20)"},
    OptionSpec{0, "before", "ID", "only changes older than the one with this id"},
};

constexpr std::array kEventsOptions = {
    OptionSpec{'f', "follow", "", "go on until interrupted, over restarts of teald too"},
    OptionSpec{0, "since", "ID", "only events after the one with this id"},
};
constexpr std::string_view kEventsExamples[] = {"teal events -f", "teal events -f -o json"};

constexpr std::array kWaitOptions = {
    kGroup,
    OptionSpec{0, "for", "drained|healthy|settled", "what to wait for"},
    OptionSpec{0, "timeout", "TIME", "give up after this time, with exit code 4 (10m)"},
};
constexpr std::string_view kWaitExamples[] = {"teal wait web --for drained --timeout 5m",
                                              "teal wait --group shop --for healthy --timeout 30s"};

constexpr std::array kFlipOptions = {
    OptionSpec{'t', "to", "COLOUR", "blue or green: what new flows follow from now on"}, kGroup, kWait};
constexpr std::string_view kFlipExamples[] = {
    "teal flip web --to green --dry-run", "teal flip --group shop --to green --reason \"release 42\" --wait"};

constexpr std::array kRollbackOptions = {
    kGroup, OptionSpec{0, "to-generation", "N", "to the targets as they were in generation N"}, kWait};
constexpr std::string_view kRollbackExamples[] = {"teal rollback --group shop",
                                                  "teal rollback --to-generation 12 --dry-run"};

constexpr std::array kDrainOptions = {
    kGroup,
    OptionSpec{0, "timeout", "TIME", "the deadline, counted from the flip"},
    OptionSpec{0, "then", "wait|reset", "what becomes of flows that are left at the deadline"},
};
constexpr std::string_view kDrainExamples[] = {"teal drain web", "teal drain web --timeout 2m --then reset"};

constexpr std::array kBackendSetOptions = {
    OptionSpec{0, "weight", "N|file", "its share of new flows, 0 to 1000; file: as the config file says"},
};
constexpr std::string_view kBackendSetExamples[] = {
    "teal backend set web/blue/198.18.2.11:8080 drain --reason \"new disk\"",
    "teal backend set web/green/198.18.2.21:8080 --weight 5",
    "teal backend set web/green/198.18.2.21:8080 ready --weight file"};

constexpr std::string_view kReloadExamples[] = {"teal reload --dry-run",
                                                "teal reload --reason \"release 42\""};
constexpr std::string_view kLockExamples[] = {"teal lock --reason \"release freeze until Monday\""};

constexpr std::array kCompletionOptions = {
    OptionSpec{0, "offer", "", "for the scripts: what can stand at the cursor of WORD...", true}};
constexpr std::string_view kCompletionExamples[] = {"source <(teal completion bash)"};

constexpr std::array kHelpOptions = {OptionSpec{0, "man", "", "teal(1), for man(1) to show", true}};

constexpr Verb kVerbs[] = {
    {.name = "list",
     .summary = "services, their VIPs, active colours and groups",
     .theme = Theme::kLook,
     .run = run_list},
    {.name = "status",
     .usage = "[SERVICE...] [--watch [--interval TIME] [--count N]]",
     .summary = "flows by colour and backend, what drains, what differs from the file",
     .description =
         "Flows are counted by the colour and backend that they were begun on. CLOSING has those that "
         "ended and wait for stragglers; BEGUN is how many were ever begun.\n"
         "With --watch, a bar shows how the new flows since the last refresh were shared out, and "
         "another how far each drain is: of the most flows that were seen since the flip.",
     .options = kStatusOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kLook,
     .examples = kStatusExamples,
     .run = run_status},
    {.name = "flows",
     .usage = "[--service SERVICE] [--colour COLOUR] ...",
     .summary = "the flows themselves",
     .options = kFlowsOptions,
     .theme = Theme::kLook,
     .run = run_flows},
    {.name = "stats",
     .usage = "[--all]",
     .summary = "counters with their meaning, by worker too",
     .options = kStatsOptions,
     .theme = Theme::kLook,
     .run = run_stats},
    {.name = "history",
     .usage = "[SERVICE] [--limit N] [--before ID]",
     .summary = "who changed what, when, why, and how it ended",
     .description = "The latest first. The generation is what `teal rollback --to-generation` takes.",
     .options = kHistoryOptions,
     .positional = {0, 1, "SERVICE"},
     .theme = Theme::kLook,
     .run = run_history},
    {.name = "events",
     .usage = "[--follow] [--since ID]",
     .summary = "what happens, as it happens",
     .description =
         "Prints the latest events that teald keeps, and ends; with --follow it goes on. When teald goes "
         "away it says so, waits, and continues after the last event it has seen.",
     .options = kEventsOptions,
     .theme = Theme::kLook,
     .examples = kEventsExamples,
     .run = run_events},
    {.name = "wait",
     .usage = "SERVICE... | --group GROUP --for drained|healthy|settled [--timeout TIME]",
     .summary = "wait until services are as they should be",
     .description =
         "drained: no flow of the colour that is not active is left.\n"
         "healthy: every backend of the active colour that is ready and has a weight has a resolved "
         "next hop.\n"
         "settled: drained, and every worker has adopted the latest generation.\n"
         "Waits over a restart of teald. When the time is over it says what is left: exit code 4.",
     .options = kWaitOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kLook,
     .examples = kWaitExamples,
     .run = run_wait},
    {.name = "backend list",
     .usage = "[SERVICE...]",
     .summary = "backends with their state, weight, next hop and flows",
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kLook,
     .run = run_backend_list},

    {.name = "flip",
     .usage = "SERVICE... | --group GROUP --to COLOUR [--wait [--timeout TIME]]",
     .summary = "new flows follow the other colour; old ones stay",
     .description =
         "All services named change in one publication: no packet sees one flipped and another not. "
         "Flows that exist stay on their backend; they are what drains.\n"
         "With --wait it returns when they have ended. If somebody rolls back meanwhile: exit code 6.",
     .options = kFlipOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .examples = kFlipExamples,
     .run = run_flip},
    {.name = "rollback",
     .usage = "SERVICE... | --group GROUP | --to-generation N [--wait [--timeout TIME]]",
     .summary = "return to the target before the latest flip",
     .description =
         "A rollback is a flip: as fast, and undone the same way. With --to-generation, the services "
         "named (or all) get the targets that they had in that generation; `teal history` shows "
         "generations.",
     .options = kRollbackOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .examples = kRollbackExamples,
     .run = run_rollback},
    {.name = "drain",
     .usage = "SERVICE... | --group GROUP [--timeout TIME] [--then wait|reset]",
     .summary = "show a drain in detail, or change its deadline",
     .description =
         "Without --timeout and --then: flows left, the oldest, deadline, an estimate of the end, and "
         "the backends and clients that hold most.\n"
         "With them, the drain under way gets another deadline, until the next flip. wait: flows that "
         "are left at the deadline stay until they end. reset: both their ends get a RST. A deadline "
         "that is over already, --timeout 1s say, with --then reset ends the drain now.",
     .options = kDrainOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .examples = kDrainExamples,
     .run = run_drain},
    {.name = "backend set",
     .usage = "SERVICE/COLOUR/ADDRESS [ready|drain|maint] [--weight N|file]",
     .summary = "take a backend out, put it back, or change its weight",
     .description =
         "ready: takes new flows. drain: takes no new flows, and those it has end by themselves. maint: "
         "takes no new flows, and those it has are RESET.\n"
         "What is set here beats the config file until it is set back; `teal status` shows the "
         "difference. Other backends' flows stay where they are.",
     .options = kBackendSetOptions,
     .positional = {1, 2, "BACKEND ready|drain|maint"},
     .theme = Theme::kChange,
     .changes = true,
     .examples = kBackendSetExamples,
     .run = run_backend_set},
    {.name = "reload",
     .summary = "take over the changed config file, all or nothing",
     .description =
         "Services, backends, weights and VIPs are added, changed and removed; flows never notice. What "
         "leaves the file but is held by flows is retired: it takes no new flows and is gone when the "
         "last one has ended. --dry-run shows what would change.\n"
         "What was set at run time (active colours, weights and states of backends) stays. What "
         "[dataplane] and [[port]] say takes a restart of teal-dataplane.",
     .theme = Theme::kChange,
     .changes = true,
     .examples = kReloadExamples,
     .run = run_reload},
    {.name = "lock",
     .usage = "--reason TEXT",
     .summary = "refuse all changes until the lock is taken off",
     .description = "Reloads too are refused, with exit code 3, and told who locked, when and why.",
     .theme = Theme::kChange,
     .changes = true,
     .examples = kLockExamples,
     .run = run_lock},
    {.name = "unlock",
     .summary = "allow changes again",
     .theme = Theme::kChange,
     .changes = true,
     .run = run_unlock},

    {.name = "check",
     .usage = "[FILE]",
     .summary = "check a config file; needs no daemon",
     .description =
         "The file is /etc/teal/teal.toml where none is named. Every error is listed, as FILE:LINE: "
         "FIELD: what is wrong, what was expected.",
     .positional = {0, 1, "FILE"},
     .run = run_check},
    {.name = "completion",
     .usage = "bash|zsh|fish",
     .summary = "a script that completes teal's words in a shell",
     .options = kCompletionOptions,
     .positional = {0, kAny, "bash|zsh|fish WORD"},
     .examples = kCompletionExamples,
     .run = run_completion},
    {.name = "version", .summary = "versions of teal and of the daemon", .run = run_version},
    {.name = "help",
     .usage = "[VERB]",
     .summary = "this text, or a verb's",
     .options = kHelpOptions,
     .positional = {0, 2, "VERB"},
     .run = run_help},
};

}  // namespace

std::span<const Verb> verbs() {
  return kVerbs;
}

tl::expected<const Verb*, Failure> verb_named(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& verb : verbs()) {
    if (verb.name == name) return &verb;
    names.push_back(verb.name);
  }
  return tl::unexpected(
      usage_failure(fmt::format("unknown verb \"{}\"", name), nearest_hint(name, names, "teal help")));
}

}  // namespace teal::cli
