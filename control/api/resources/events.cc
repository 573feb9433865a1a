// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/events?since=ID
#include "control/loop/events.h"

#include "control/api/resources/fields.h"
#include "control/api/resources/router.h"

namespace teal {

Task<Answer> follow_events(Api& api, const Request& request) {
  auto since = query_number(request, "since", 0, INT64_MAX);
  if (!since) co_return tl::unexpected(since.error());
  // A client that reconnects sends its first query again, and the id of its last event in the header.
  if (request.last_event_id) {
    Request header;
    header.query = {{"Last-Event-ID", *request.last_event_id}};
    since = query_number(header, "Last-Event-ID", 0, INT64_MAX);
    if (!since) co_return tl::unexpected(since.error());
  }
  Response response;
  response.content_type = "text/event-stream";
  response.events = api.feed.subscribe(*since);
  co_return response;
}

}  // namespace teal
