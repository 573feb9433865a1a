// SPDX-License-Identifier: Apache-2.0
//
// The options and the examples of each verb, for the table of verbs.
#pragma once

#include <array>
#include <string_view>

#include "control/cli/invocation/verb.h"

namespace teal::cli {

inline constexpr OptionSpec kGroup = {'g', "group", "GROUP",
                                      "all services of this group, instead of SERVICE..."};
inline constexpr OptionSpec kForce = {'f', "force", "",
                                      "although a gate refuses it: the colour cannot serve, is too small, or "
                                      "is judged bad. The hook pre_flip does not run"};
inline constexpr OptionSpec kWait = {
    'w', "wait", "",
    "wait until the ramp, the judgement and the drain are over, at most --timeout "
    "TIME (default: 10m)"};
inline constexpr OptionSpec kWaitTimeout = {
    0, "timeout", "TIME",
    "with --wait: how long to wait (default: 10m); without: for teald's answer (default: 10s)"};

inline constexpr std::array kStatusOptions = {
    OptionSpec{'w', "watch", "", "repeat until interrupted"},
    OptionSpec{0, "interval", "TIME", "time between two pages of --watch (default: 1s)"},
    OptionSpec{'n', "count", "N", "end --watch after N pages"},
};
inline constexpr std::string_view kStatusExamples[] = {"teal status web",
                                                       "teal status --watch --interval 2s"};

inline constexpr std::array kVerifyOptions = {
    OptionSpec{'t', "to", "COLOUR", "the colour of the flip: blue or green (default: the idle colour)"},
    kGroup,
    OptionSpec{0, "timeout", "TIME", "how long to wait for the checks, at most 2m (default: 5s)"},
};
inline constexpr std::string_view kVerifyExamples[] = {"teal verify web",
                                                       "teal verify --group shop --to green -o json"};

inline constexpr std::array kFlowsOptions = {
    OptionSpec{'s', "service", "SERVICE", "only flows of this service"},
    OptionSpec{0, "colour", "COLOUR", "only flows of this colour: blue or green"},
    OptionSpec{'b', "backend", "ADDRESS", "only flows on this backend, such as 198.18.2.11:8080"},
    OptionSpec{'c', "client", "ADDRESS", "only flows of this client, with or without :PORT"},
    OptionSpec{'n', "limit", "N", "show at most N flows (default: 100)"},
};

inline constexpr std::array kStatsOptions = {OptionSpec{'a', "all", "", "show counters that are 0, too"}};

inline constexpr std::array kHistoryOptions = {
    OptionSpec{'n', "limit", "N", "show at most N changes (default: 20)"},
    OptionSpec{0, "before", "ID", "only changes older than the change with this id"},
};

inline constexpr std::array kEventsOptions = {
    OptionSpec{'f', "follow", "", "continue until interrupted, also when teald is restarted"},
    OptionSpec{0, "since", "ID", "only events after the event with this id"},
};
inline constexpr std::string_view kEventsExamples[] = {"teal events -f", "teal events -f -o json"};

inline constexpr std::array kWaitOptions = {
    kGroup,
    OptionSpec{0, "for", "drained|healthy|rolled-out|settled", "the condition to wait for"},
    OptionSpec{0, "colour", "COLOUR",
               "with --for healthy or rolled-out: blue or green (default: the active "
               "colour, or that of the ramp)"},
    OptionSpec{0, "timeout", "TIME", "give up after this time, with exit code 4 (default: 10m)"},
};
inline constexpr std::string_view kWaitExamples[] = {
    "teal wait web --for drained --timeout 5m",
    "teal wait --group shop --for healthy --colour green --timeout 30s"};

inline constexpr std::array kFlipOptions = {
    OptionSpec{'t', "to", "COLOUR", "the colour that new flows follow from now on: blue or green"},
    kGroup,
    kForce,
    OptionSpec{0, "now", "", "at once, although the config has a ramp for the service"},
    kWait,
    kWaitTimeout};
inline constexpr std::string_view kFlipExamples[] = {
    "teal flip web --to green --dry-run", "teal flip --group shop --to green --reason \"release 42\" --wait"};

inline constexpr std::array kRollbackOptions = {
    kGroup, OptionSpec{0, "to-generation", "N", "return to the active colours of generation N"},
    OptionSpec{'a', "all", "", "with --to-generation: all services"}, kWait, kWaitTimeout};
inline constexpr std::string_view kRollbackExamples[] = {"teal rollback --group shop",
                                                         "teal rollback --to-generation 12 --all --dry-run"};

inline constexpr std::array kRampOptions = {
    OptionSpec{'t', "to", "COLOUR", "the colour that gets the growing share: blue or green"},
    kGroup,
    OptionSpec{0, "steps", "SHARE,...",
               "the shares, such as 1%,5%,25%,50%,100% (default: those of the config)"},
    OptionSpec{0, "every", "TIME", "the time of each step but the last (default: 1m)"},
    OptionSpec{0, "manual", "", "only teal next begins another step"},
    kForce,
    kWait,
    kWaitTimeout};
inline constexpr std::string_view kRampExamples[] = {
    "teal ramp web --to green --steps 1%,5%,25%,100% --every 2m --reason \"v42\"",
    "teal ramp --group shop --to green --steps 10%,100% --manual --dry-run"};
inline constexpr std::array kNextOptions = {kGroup, kForce};
inline constexpr std::array kReloadOptions = {
    OptionSpec{'f', "force", "", "although an active colour, or that of a ramp, would be out of reach"}};
inline constexpr std::array kGroupOptions = {kGroup};

inline constexpr std::array kDrainOptions = {
    kGroup,
    OptionSpec{0, "timeout", "TIME", "the deadline, counted from the flip"},
    OptionSpec{0, "from-now", "", "with --timeout: the deadline is counted from now"},
    OptionSpec{0, "then", "wait|reset", "the treatment of flows that are left at the deadline"},
};
inline constexpr std::string_view kDrainExamples[] = {
    "teal drain web", "teal drain web --timeout 2m --from-now --then reset --dry-run"};

inline constexpr std::array kBackendSetOptions = {
    OptionSpec{0, "weight", "N|file", "the weight, 0 to 1000; file: the weight of the config file"},
};
inline constexpr std::string_view kBackendSetExamples[] = {
    "teal backend set web/blue/198.18.2.11:8080 drain --reason \"new disk\"",
    "teal backend set web/green/198.18.2.21:8080 --weight 5",
    "teal backend set web/green/198.18.2.21:8080 ready --weight file"};

inline constexpr std::string_view kPreviewExamples[] = {
    "teal preview set web 198.18.1.102",
    "teal preview set web 198.18.1.0/28 198.18.7.0/24 --reason \"release 42\"", "teal preview clear web"};

inline constexpr std::string_view kReloadExamples[] = {"teal reload --dry-run",
                                                       "teal reload --reason \"release 42\""};
inline constexpr std::string_view kLockExamples[] = {"teal lock --reason \"release freeze until Monday\""};

inline constexpr std::array kCompletionOptions = {
    OptionSpec{0, "offer", "", "for the scripts: print what can stand at the last WORD", true}};
inline constexpr std::string_view kCompletionExamples[] = {"source <(teal completion bash)"};

inline constexpr std::array kHelpOptions = {OptionSpec{0, "man", "", "teal(1), for man(1) to show", true}};

}  // namespace teal::cli
