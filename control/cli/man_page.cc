// SPDX-License-Identifier: Apache-2.0
//
// Writes teal(1) in mdoc(7) from the verb table.
#include <fmt/format.h>

#include "control/cli/help.h"
#include "control/cli/invocation/change.h"
#include "control/cli/verb_table.h"

namespace teal::cli {
namespace {

constexpr char kDate[] = "November 28, 2026";  // of the text; the date of the build would change each build

// Escapes text for a line of its own or for a macro's argument, so that roff finds no escape, macro or quote
// in it.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') {
      result += "\\e";
    } else if (c == '-') {
      result += "\\-";
    } else if (c == '"') {
      result += "\\(dq";
    } else {
      result += c;
    }
  }
  if (result.starts_with('.') || result.starts_with('\'')) result.insert(0, "\\&");
  return result;
}

// Escapes text as one argument of a macro, even if mdoc has a macro or punctuation of the same name.
std::string argument(std::string_view text) {
  return text.find(' ') == std::string_view::npos && text.size() > 2 ? escaped(text)
                                                                     : "\"\\&" + escaped(text) + "\"";
}

// One line for each sentence: roff sets the space between sentences by line ends.
std::string prose(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const size_t stop = text.find(". ");
    const size_t length = stop == std::string_view::npos ? text.size() : stop + 1;
    result += escaped(text.substr(0, length)) + "\n";
    text.remove_prefix(std::min(text.size(), length + 1));
  }
  return result;
}

// The table's one-line texts have no capital letter and no full stop.
std::string sentence(std::string_view text) {
  std::string result(text);
  if (!result.empty() && result.front() >= 'a' && result.front() <= 'z')
    result.front() = static_cast<char>(result.front() - 'a' + 'A');
  return prose(result + ".");
}

std::string options_list(std::span<const OptionSpec> options) {
  std::string text;
  for (const auto& option : options) {
    if (option.hidden) continue;
    text += ".It ";
    if (option.letter != 0) text += fmt::format("Fl {} , ", option.letter);
    text += fmt::format("Fl \\-{}", escaped(option.name));
    if (!option.value.empty()) text += fmt::format(" Ar {}", argument(option.value));
    text += "\n" + sentence(option.help);
  }
  return text.empty() ? text : ".Bl -tag -width Ds\n" + text + ".El\n";
}

std::string verb_section(const Verb& verb) {
  std::string text = fmt::format(".It Cm {}", verb.name);
  if (!verb.usage.empty()) text += fmt::format(" {}", argument(std::string(verb.usage) + " "));
  text += "\n" + sentence(verb.summary);
  if (!verb.description.empty()) {
    for (const auto paragraph : split(verb.description, '\n')) text += ".Pp\n" + prose(paragraph);
  }
  return text + options_list(verb.options);
}

std::string verbs_of(Theme theme) {
  std::string text = ".Bl -tag -width Ds\n";
  for (const auto& verb : verbs()) {
    if (verb.theme == theme) text += verb_section(verb);
  }
  return text + ".El\n";
}

std::string examples() {
  std::string text;
  for (const auto& verb : verbs()) {
    for (const auto example : verb.examples) text += fmt::format(".Dl {}\n", escaped(example));
  }
  return text;
}

std::string exit_status() {
  std::string text = ".Bl -tag -width Ds\n";
  for (const auto& [code, meaning] : exit_codes()) text += fmt::format(".It {}\n", code) + sentence(meaning);
  return text + ".El\n";
}

}  // namespace

std::string man_page() {
  return fmt::format(
             ".\\\" SPDX-License-Identifier: Apache-2.0\n.\\\" Made by `teal help --man`.\n"
             ".Dd {}\n.Dt TEAL 1\n.Os Teal {}\n"
             ".Sh NAME\n.Nm teal\n.Nd control Teal, the blue-green switch for network traffic\n"
             ".Sh SYNOPSIS\n.Nm\n.Op Fl \\-socket Ar PATH\n.Op Fl o Cm json | table\n.Ar verb\n.Op Ar "
             "argument ...\n"
             ".Sh DESCRIPTION\n",
             kDate, escaped(TEAL_VERSION)) +
         ".Nm\nsends requests to\n.Xr teald 8\nover a unix socket.\n"
         "It shows the state of Teal, and it changes which colour the new flows of a service follow.\n"
         "It needs only the permission to use the socket.\n"
         "A user without access to control.sock can still use the verbs that show: they read from "
         "status.sock in the same directory.\n"
         ".Pp\nEvery verb takes these options, before or after the verb:\n" +
         options_list(common_options()) +
         ".Pp\nEvery verb that changes something also takes these options:\n" +
         options_list(change_options()) + ".Ss Verbs that show\n" + verbs_of(Theme::kLook) +
         ".Ss Verbs that change\n" + verbs_of(Theme::kChange) + ".Ss Other verbs\n" +
         verbs_of(Theme::kOther) +
         ".Sh ENVIRONMENT\n.Bl -tag -width TEAL_SOCKET\n"
         ".It Ev TEAL_SOCKET\nThe default of\n.Fl \\-socket .\n"
         ".It Ev NO_COLOR\nTurns colours off if it is set and not empty.\n"
         ".It Ev LC_ALL , LC_CTYPE , LANG\nThe first of these that is not empty names the locale.\n"
         "Bars are drawn in ASCII unless it is a UTF\\-8 locale.\n"
         ".El\n.Sh FILES\n.Bl -tag -width Ds\n.It Pa /run/teal/control.sock\nThe socket for operators.\n"
         ".It Pa /run/teal/status.sock\nThe read\\-only socket.\n.It Pa /etc/teal/teal.toml\nThe config "
         "file.\n.El\n"
         ".Sh EXIT STATUS\n" +
         exit_status() + ".Sh EXAMPLES\n" + examples() +
         ".Sh SEE ALSO\n.Xr teal.toml 5 ,\n.Xr teal\\-dataplane 8 ,\n.Xr teald 8\n";
}

}  // namespace teal::cli
