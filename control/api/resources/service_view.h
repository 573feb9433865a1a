// SPDX-License-Identifier: Apache-2.0
//
// JSON views of services, and of the dataplane, lock, config and groups that they share.
#pragma once

#include "control/api/resources/router.h"

namespace teal {

Json view_service(const Api& api, const CatalogueService& service);
Json view_dataplane(const Api& api);
Json view_lock(const Api& api);
// The changes that the disk does not have yet, and why.
Json view_storage(const Api& api);
Json view_config(const Api& api);
Json view_retired_services(const Api& api);
Json view_groups(const Api& api);

// Returns false without a segment, too.
bool has_next_hop(const Api& api, uint16_t id);
// Adds "next_hop", and why there is none, as far as teald knows.
void add_next_hop(Json& backend, const Api& api, uint16_t id);
// Adds what is known of a backend's health: "health" is null if the backend has no check.
void add_health(Json& backend, const Api& api, uint16_t id);
// The number of checked backends, and since when their health is unknown.
Json view_prober(const Api& api);

// Returns an RFC 3339 time, or null for 0.
Json time_or_null(int64_t at_ms);

const char* protocol_name(const Socket& vip);

}  // namespace teal
