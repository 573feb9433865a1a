// SPDX-License-Identifier: Apache-2.0
//
// A small teald on a unix socket that answers from a table, for the tests of the command line.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace teal::cli {

struct Answer {
  unsigned status = 200;
  std::string body;
  enum class Way {
    kWhole,
    kNever,       // silence until the client gives up
    kCut,         // announces a longer body, and closes
    kNoHttp,      // the body without a header
    kStream,      // an event stream: the body, then silence until the client gives up
    kStreamEnds,  // an event stream: the body, then the connection is closed
  } way = Way::kWhole;
};

class FakeDaemon {
 public:
  explicit FakeDaemon(const std::string& path);
  ~FakeDaemon();

  void answer(const std::string& request, Answer answer);
  void answer(const std::string& request, const nlohmann::json& body, unsigned status = 200);
  // One answer for each request; the last one is repeated.
  void answers(const std::string& request, std::vector<nlohmann::json> bodies);
  void answer_in_turn(const std::string& request, const std::vector<Answer>& answers);

  std::string last_request();
  nlohmann::json last_body();     // without request_id
  std::string last_request_id();  // "" if the last body has none
  std::string last_login_uid();   // the header of the last request
  std::string last_event_id();    // the header of the last request
  std::vector<std::string> requests();

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace teal::cli
