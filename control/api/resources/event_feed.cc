// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/event_feed.h"

#include <fmt/format.h>

namespace teal {

class EventFeed::Subscriber : public EventSource {
 public:
  Subscriber(EventFeed& feed, uint64_t last)
      : feed_(feed), last_(last), greeting_(fmt::format(": teald {}\nid: {}\n\n", TEAL_VERSION, last)) {}
  ~Subscriber() override { feed_.subscribers_.erase(this); }

  void on_news(std::function<void()> wake) override { feed_.subscribers_[this] = std::move(wake); }

  Task<std::string> take() override {
    const Events& events = feed_.events_;
    std::string text = std::exchange(greeting_, "");
    if (last_ > events.latest() || last_ + 1 < events.oldest()) {
      text += fmt::format("event: lost\ndata: {{\"after\":{},\"next\":{}}}\n\n", last_, events.oldest());
      last_ = events.oldest() - 1;
    }
    if (last_ == events.latest()) co_return text;
    const auto news = events.after(last_);
    for (const auto& event : news) {
      text += fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event.id, event.type, event.data);
      last_ = event.id;
      if (text.size() >= kPieceBytes) break;
    }
    co_return text;
  }

 private:
  EventFeed& feed_;
  uint64_t last_;
  // Shows the client that the stream works, and gives it an id to continue from if no event comes before it
  // is disconnected. (A client does not take an id without data for an event: WHATWG HTML, section 9.2.6.)
  std::string greeting_;
};

EventFeed::EventFeed(Events& events) : events_(events) {
  events.listen([this](const auto&) {
    for (const auto& [subscriber, wake] : subscribers_) wake();
  });
}

std::shared_ptr<EventSource> EventFeed::subscribe(std::optional<uint64_t> id) {
  if (id == uint64_t{0}) id = events_.first() - 1;
  return std::make_shared<Subscriber>(*this, id.value_or(events_.latest()));
}

}  // namespace teal
