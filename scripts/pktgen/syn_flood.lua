-- SPDX-License-Identifier: Apache-2.0
--
-- SYNs without an answer from --flood clients (a pcap that `run` makes), after --flows flows were
-- established. Then these flows alone.
--
-- Needs    as established.lua, for a TCP service. More SYNs than a quarter of the table holds: [dataplane]
--          flow_capacity of at most 2 x --flood.
-- Reports  both stretches. No packet is lost in either: a SYN without room is forwarded by hash. Teal's
--          counters embryonic_quota and stateless move in the flood. In the second stretch they stay, as do
--          flows_created and flows_midstream: so the flood removed no established flow.
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
