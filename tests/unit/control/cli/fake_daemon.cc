// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/control/cli/fake_daemon.h"

#include <utility>  // Asio 1.74 needs it in C++20 and does not include it

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

namespace teal::cli {

namespace http = boost::beast::http;
using Protocol = boost::asio::local::stream_protocol;

class FakeDaemon::Server {
 public:
  explicit Server(const std::string& path)
      : acceptor_(io_, Protocol::endpoint(path)), thread_([this] { serve(); }) {}
  ~Server() {
    stopping_ = true;
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);  // wakes accept()
    thread_.join();
  }

  std::mutex mutex_;
  std::map<std::string, std::deque<Answer>> answers_;
  std::vector<std::string> requests_;
  std::string last_body_, last_event_id_, last_login_uid_;

 private:
  void serve() {
    while (!stopping_) {
      boost::system::error_code error;
      Protocol::socket socket(io_);
      acceptor_.accept(socket, error);
      if (!error) exchange(socket);
    }
  }

  Answer next_answer(const http::request<http::string_body>& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::string(request.method_string()) + " " + std::string(request.target()));
    last_body_ = request.body();
    last_event_id_ = std::string(request["Last-Event-ID"]);
    last_login_uid_ = std::string(request["Teal-Login-Uid"]);
    const auto found = answers_.find(requests_.back());
    if (found == answers_.end())
      return {.status = 404,
              .body = R"({"error":{"code":"unknown_path","message":"not in the test's table"}})"};
    const Answer answer = found->second.front();
    if (found->second.size() > 1) found->second.pop_front();
    return answer;
  }

  static void wait_for_its_end(Protocol::socket& socket) {
    char byte;
    [[maybe_unused]] const auto end = ::read(socket.native_handle(), &byte, 1);
  }

  void exchange(Protocol::socket& socket) {
    boost::system::error_code error;
    boost::beast::flat_buffer buffer;
    http::request<http::string_body> request;
    http::read(socket, buffer, request, error);
    if (error) return;
    const Answer answer = next_answer(request);
    const auto write = [&](const std::string& bytes) {
      boost::asio::write(socket, boost::asio::buffer(bytes), error);
    };
    switch (answer.way) {
      case Answer::Way::kNever:
        return wait_for_its_end(socket);
      case Answer::Way::kNoHttp:
        return write(answer.body);
      case Answer::Way::kStream:
      case Answer::Way::kStreamEnds:
        write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" +
              answer.body);
        if (answer.way == Answer::Way::kStream) wait_for_its_end(socket);
        return;
      case Answer::Way::kWhole:
      case Answer::Way::kCut:
        break;
    }
    http::response<http::string_body> response(http::status(answer.status), 11);
    response.set(http::field::content_type, "application/json");
    response.body() = answer.body;
    response.prepare_payload();
    if (answer.way == Answer::Way::kCut) response.content_length(answer.body.size() + 100);
    http::write(socket, response, error);
  }

  boost::asio::io_context io_;
  Protocol::acceptor acceptor_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // the last member: it uses the others
};

FakeDaemon::FakeDaemon(const std::string& path) : server_(std::make_unique<Server>(path)) {}
FakeDaemon::~FakeDaemon() = default;

void FakeDaemon::answer(const std::string& request, Answer answer) {
  const std::lock_guard lock(server_->mutex_);
  server_->answers_[request] = {std::move(answer)};
}

void FakeDaemon::answer(const std::string& request, const nlohmann::json& body, unsigned status) {
  answer(request, Answer{.status = status, .body = body.dump()});
}

void FakeDaemon::answers(const std::string& request, std::vector<nlohmann::json> bodies) {
  const std::lock_guard lock(server_->mutex_);
  auto& list = server_->answers_[request];
  list.clear();
  for (const auto& body : bodies) list.push_back({.body = body.dump()});
}

std::vector<std::string> FakeDaemon::requests() {
  const std::lock_guard lock(server_->mutex_);
  return server_->requests_;
}

std::string FakeDaemon::last_request() {
  const auto all = requests();
  return all.empty() ? std::string() : all.back();
}

void FakeDaemon::answer_in_turn(const std::string& request, const std::vector<Answer>& answers) {
  const std::lock_guard lock(server_->mutex_);
  server_->answers_[request] = {answers.begin(), answers.end()};
}

nlohmann::json FakeDaemon::last_body() {
  const std::lock_guard lock(server_->mutex_);
  auto body = nlohmann::json::parse(server_->last_body_);
  body.erase("request_id");
  return body;
}

std::string FakeDaemon::last_request_id() {
  const std::lock_guard lock(server_->mutex_);
  return nlohmann::json::parse(server_->last_body_).value("request_id", "");
}

std::string FakeDaemon::last_login_uid() {
  const std::lock_guard lock(server_->mutex_);
  return server_->last_login_uid_;
}

std::string FakeDaemon::last_event_id() {
  const std::lock_guard lock(server_->mutex_);
  return server_->last_event_id_;
}

}  // namespace teal::cli
