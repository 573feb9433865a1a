-- SPDX-License-Identifier: Apache-2.0
--
-- SYNs that nobody answers, from --flood clients (a pcap that `run` makes), after --flows flows were established; then
-- these flows alone.
--
-- Needs   as established.lua, for a TCP service; more SYNs than a quarter of the table holds: [dataplane]
--         flow_capacity of at most 2 x --flood.
-- Tells   both stretches. Nothing is lost in either: what finds no room is forwarded by hash. In Teal's counters
--         embryonic_quota and stateless move in the flood and stay in the second stretch, as do flows_created and
--         flows_midstream: then no established flow was driven out.
local teal = dofile(os.getenv("TEAL_PKTGEN_LIBRARY"))

teal.run(function()
  local stretch = teal.for_seconds(teal.settings.seconds)
  teal.establish()
  teal.pcaps()
  local flood = teal.measure(teal.client_side, teal.settings.rate, stretch)
  teal.clients()
  flood.established_flows_after = teal.measure(teal.client_side, teal.settings.rate, stretch)
  return flood
end)
