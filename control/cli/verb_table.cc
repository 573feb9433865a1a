// SPDX-License-Identifier: Apache-2.0
#include "control/cli/verb_table.h"

#include <array>
#include <limits>

#include <fmt/format.h>

#include "control/cli/completion/completion.h"
#include "control/cli/help.h"
#include "control/cli/verb_options.h"
#include "control/cli/verbs/verbs.h"
#include "dataplane/config/nearest.h"

namespace teal::cli {
namespace {

constexpr size_t kAny = std::numeric_limits<size_t>::max();

constexpr Verb kVerbs[] = {
    {.name = "list",
     .summary = "show services, their VIPs, active colours and groups",
     .theme = Theme::kLook,
     .run = run_list},
    {.name = "status",
     .usage = "[SERVICE...] [--watch [--interval TIME] [--count N]]",
     .summary = "show flows by colour and backend, drains, and differences from the config file",
     .description = "Each flow counts for the colour and the backend on which it began. CLOSING counts "
                    "flows that have ended and wait for late packets. BEGUN counts all flows that ever "
                    "began.\n"
                    "With --watch, one bar shows how the new flows since the last refresh were divided "
                    "between the colours. Another bar shows how much of a drain is done, measured from "
                    "the highest number of flows since the flip.",
     .options = kStatusOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kLook,
     .examples = kStatusExamples,
     .run = run_status},
    {.name = "health",
     .usage = "[SERVICE]",
     .summary = "show the health of backends that are checked, and why one is down",
     .description =
         "teal-health checks the backends of each service that has a [service.check] in the config file. A "
         "backend is unchecked until its first result, and serves meanwhile. If teal-health does not report, "
         "the last known health stays, and each backend shows since when its health is unknown.",
     .positional = {0, 1, "SERVICE"},
     .theme = Theme::kLook,
     .run = run_health},
    {.name = "verify",
     .usage = "SERVICE... | --group GROUP [--to COLOUR] [--timeout TIME]",
     .summary = "check the idle colour now, and say what a flip would meet",
     .description =
         "teal-health checks each backend of the colour at once. Then Teal says for each backend whether it "
         "passed, whether it is up, and whether it has a next hop, and asks the gates of a flip. Nothing is "
         "changed.\n"
         "The exit code is 0 if a flip would be made, 3 if a gate would refuse it or all checks of a "
         "service fail now, and 4 if a check gave no answer in time. With -o json, the answer of the last "
         "two is below \"done\". A backend that fails its check once is still up: it goes down after as "
         "many failures as `fall` in the config says.",
     .options = kVerifyOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kLook,
     .examples = kVerifyExamples,
     .run = run_verify},
    {.name = "flows",
     .usage = "[--service SERVICE] [--colour COLOUR] ...",
     .summary = "list flows",
     .options = kFlowsOptions,
     .theme = Theme::kLook,
     .run = run_flows},
    {.name = "stats",
     .usage = "[--all]",
     .summary = "show counters and their meaning, in total and by worker",
     .options = kStatsOptions,
     .theme = Theme::kLook,
     .run = run_stats},
    {.name = "history",
     .usage = "[SERVICE] [--limit N] [--before ID]",
     .summary = "show who changed what, when, why, and the result",
     .description =
         "The latest change is the first. `teal rollback --to-generation` takes a generation from this list.",
     .options = kHistoryOptions,
     .positional = {0, 1, "SERVICE"},
     .theme = Theme::kLook,
     .run = run_history},
    {.name = "events",
     .usage = "[--follow] [--since ID]",
     .summary = "show events of teald, or follow them",
     .description =
         "Prints the latest events, which teald keeps, and ends. With --follow, teal continues until it "
         "is interrupted. If teald ends meanwhile, teal says so, waits, and continues after the last "
         "event that it has printed.",
     .options = kEventsOptions,
     .theme = Theme::kLook,
     .examples = kEventsExamples,
     .run = run_events},
    {.name = "wait",
     .usage = "SERVICE... | --group GROUP --for drained|healthy|rolled-out|settled [--colour COLOUR] "
              "[--timeout TIME]",
     .summary = "wait until services are drained, healthy, rolled out or settled",
     .description =
         "drained: no flow of the idle colour is older than the latest flip. Flows of a preview or "
         "of a ramp are not waited for.\n"
         "healthy: each backend of the colour that is ready and has a weight above 0 has a "
         "resolved next hop, and is up if it is checked.\n"
         "rolled-out: the ramp, the judgement and the drain are over. If Teal or an operator goes "
         "back meanwhile, the exit code is 6.\n"
         "settled: drained, and each worker has adopted the latest generation.\n"
         "Each of them needs a running dataplane.\n"
         "The wait continues when teald is restarted. At the timeout, teal prints what is left "
         "and ends with exit code 4.",
     .options = kWaitOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kLook,
     .examples = kWaitExamples,
     .run = run_wait},
    {.name = "backend list",
     .usage = "[SERVICE...]",
     .summary = "show backends with their state, weight, next hop, health and flows",
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kLook,
     .run = run_backend_list},

    {.name = "flip",
     .usage = "SERVICE... | --group GROUP --to COLOUR [--force] [--now] [--wait [--timeout TIME]]",
     .summary = "send new flows to the other colour; existing flows stay",
     .description =
         "All named services are flipped in one publication: every packet sees either all of the flips or "
         "none. Existing flows stay on their backends until they end: they drain.\n"
         "A flip is refused with exit code 3 if no backend of the colour can be reached: the kernel has no "
         "route "
         "to any of them, or no neighbour has answered for 2 s. --force flips all the same.\n"
         "Where the config has a ramp for the service ([service.rollout]), a flip begins that ramp; --now "
         "flips at once. A flip to the colour of a ramp that is under way ends it with all new flows there.\n"
         "Then Teal judges the new colour for the time of `bake`. If it is bad, Teal goes back by itself "
         "(on_bad).\n"
         "With --wait, teal returns when the ramp, the judgement and the drain are over. If Teal or another "
         "operator goes back meanwhile, the exit code is 6.",
     .options = kFlipOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .examples = kFlipExamples,
     .run = run_flip},
    {.name = "rollback",
     .usage = "SERVICE... | --group GROUP | --all [--to-generation N] [--wait [--timeout TIME]]",
     .summary = "undo the latest flip: return to the colour before it",
     .description =
         "A rollback is as fast as a flip, and it works when the disk fails. Each service of a group undoes "
         "its own latest flip.\n"
         "A flip is undone once: a second rollback changes nothing, says so, and ends with exit code 0. A "
         "flip back by hand undoes a flip, too, while its colour still has flows, or within an hour. Later, "
         "it is a flip of its own, and rollback undoes it. A flip that another operator makes after the "
         "start of this command is not undone: exit code 5.\n"
         "With --to-generation, services return to the active colours that they had in that generation. "
         "`teal history` shows generations. --all instead of SERVICE... means all services.",
     .options = kRollbackOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .examples = kRollbackExamples,
     .run = run_rollback},
    {.name = "ramp",
     .usage = "SERVICE... | --group GROUP --to COLOUR [--steps SHARE,...] [--every TIME] [--manual] [--wait "
              "[--timeout TIME]]",
     .summary = "send a growing share of the new flows to the other colour",
     .description =
         "At each step the idle colour gets a larger share of the new flows, and the last step is a flip. A "
         "larger share moves no existing flow. With affinity = \"client\", the share is one of clients, and "
         "a "
         "client that reached the new colour stays there.\n"
         "The next step comes when the time of the step is over, or by `teal next`. `teal pause` stops at "
         "the "
         "present share, and `teal abort` takes the share back, as fast as a flip; so does `teal rollback` "
         "before the last step. A step also needs 100 new flows of the colour, unless on_few in the config "
         "says "
         "otherwise. A step that cannot reach the colour pauses the ramp. While changes are locked, or no "
         "dataplane runs, no step begins. After a restart of teald a step has its whole time again.\n"
         "Teal compares the colours all the time. If the new one is bad, Teal takes the share back by itself "
         "(on_bad). With --wait, the exit code is then 6.\n"
         "With [service.rollout] in the config, a plain `teal flip` is such a ramp.",
     .options = kRampOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .examples = kRampExamples,
     .run = run_ramp},
    {.name = "next",
     .usage = "SERVICE... | --group GROUP [--force]",
     .summary = "begin the next step of a ramp now, also of a paused one",
     .options = kNextOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .run = run_next},
    {.name = "pause",
     .usage = "SERVICE... | --group GROUP",
     .summary = "stop a ramp at its present share",
     .options = kGroupOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .run = run_pause},
    {.name = "resume",
     .usage = "SERVICE... | --group GROUP",
     .summary = "go on with a paused ramp",
     .description = "The present step has its whole time again.",
     .options = kGroupOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .run = run_resume},
    {.name = "abort",
     .usage = "SERVICE... | --group GROUP",
     .summary = "end a ramp: all new flows go to the active colour again",
     .description = "It is as fast as a flip, and it works when the disk fails. Existing flows stay and "
                    "drain. Half-open connections, and UDP flows with udp = \"cut\", go back at once.",
     .options = kGroupOptions,
     .positional = {0, kAny, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .run = run_abort},
    {.name = "drain",
     .usage = "SERVICE... | --group GROUP [--timeout TIME [--from-now]] [--then wait|reset]",
     .summary = "show a drain in detail, or change its deadline",
     .description =
         "Without --timeout and --then, teal shows the number of flows that are left, the oldest flow, "
         "the deadline, the estimated end, and the backends and clients with the most flows.\n"
         "With --timeout or --then, the current drain gets another deadline. It applies until the next "
         "flip. At the deadline, wait lets the remaining flows live until they end, and reset sends a RST "
         "to both ends of each. The answer gives the deadline and the number of flows that are reset then; "
         "--dry-run gives it without a change.\n"
         "A timeout counts from the flip, unless --from-now is given. If the deadline is over already, flows "
         "are reset at once: `flip --wait` may have used the time up. To end a drain now, use --timeout 1s "
         "--then reset. Where nothing drains, nothing is changed.",
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
         "ready: the backend takes new flows. drain: it takes no new flows, and its flows continue until "
         "they end. maint: it takes no new flows, and its flows are RESET.\n"
         "The state and the weight override the config file until you set them back. `teal status` shows "
         "the difference. Flows of other backends do not move.",
     .options = kBackendSetOptions,
     .positional = {1, 2, "BACKEND ready|drain|maint"},
     .theme = Theme::kChange,
     .changes = true,
     .examples = kBackendSetExamples,
     .run = run_backend_set},
    {.name = "preview set",
     .usage = "SERVICE CLIENT...",
     .summary = "send some clients to the idle colour, to test it",
     .description =
         "New flows of these clients go to the idle colour, whichever that is, and all others to the active "
         "one. A CLIENT is an address or a network, such as 198.18.1.102 or 198.18.1.0/28. The list replaces "
         "the one before. It is in force on every worker when the command returns. Existing flows stay.\n"
         "A preview stays after a flip: then these clients test the colour that was active before. `teal "
         "preview clear` ends it.\n"
         "With `preview` in the config, a service has an address that leads everybody to the idle colour.",
     .positional = {2, kAny, "SERVICE CLIENT"},
     .theme = Theme::kChange,
     .changes = true,
     .examples = kPreviewExamples,
     .run = run_preview_set},
    {.name = "preview clear",
     .usage = "SERVICE",
     .summary = "end a preview: all new flows to the VIP go to the active colour",
     .positional = {1, 1, "SERVICE"},
     .theme = Theme::kChange,
     .changes = true,
     .run = run_preview_clear},
    {.name = "reload",
     .usage = "[--force]",
     .summary = "apply the changed config file, all or nothing",
     .description =
         "Adds, changes and removes services, backends, weights and VIPs. Existing flows stay on their "
         "backends. A service or backend that leaves the file while it has flows is retired: it takes no "
         "new flows, and it is removed when its last flow has ended. Flows of a VIP that changes, or of a "
         "backend that moves to another service, break. --dry-run shows what would change, and counts them.\n"
         "The file is refused if a service would lose the last backend of its active colour, or of its "
         "ramp's, that takes new flows or can be reached; a new one has 2 s to answer. --force passes the "
         "latter. A start of teald does not ask whether backends can be reached.\n"
         "Active colours, and states and weights of backends that were set at run time, stay. Changes of "
         "[dataplane] and [[port]] need a restart of teal-dataplane.",
     .options = kReloadOptions,
     .theme = Theme::kChange,
     .changes = true,
     .examples = kReloadExamples,
     .run = run_reload},
    {.name = "lock",
     .usage = "--reason TEXT",
     .summary = "refuse all changes until teal unlock",
     .description = "Every change is refused with exit code 3, a reload, too. The message says who "
                    "locked, when and why.",
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
     .summary = "check a config file; does not need teald",
     .description =
         "The default of FILE is the file of the running teald, or /etc/teal/teal.toml if teald does "
         "not run. Each error is printed as FILE:LINE: "
         "FIELD: what is wrong, what was expected.",
     .positional = {0, 1, "FILE"},
     .run = run_check},
    {.name = "completion",
     .usage = "bash|zsh|fish",
     .summary = "print the script that completes teal's words in a shell",
     .options = kCompletionOptions,
     .positional = {0, kAny, "bash|zsh|fish WORD"},
     .examples = kCompletionExamples,
     .run = run_completion},
    {.name = "version", .summary = "show the versions of teal and teald", .run = run_version},
    {.name = "help",
     .usage = "[VERB]",
     .summary = "show this help, or the help of a verb",
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
