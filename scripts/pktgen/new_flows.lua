-- SPDX-License-Identifier: Apache-2.0
--
-- Each packet begins a flow or ends one: SYNs, and half a round later the client's RST of the same flow, from a pcap of
-- 2 x --flows packets that `run` makes (Pktgen's ranges have one set of TCP flags).
--
-- Needs   one port to the clients' side; a TCP service at --vip; room for --flows flows without an answer, which is a
--         quarter of the table: [dataplane] flow_capacity of at least 4 x --flows.
-- Tells   offered, received and lost packets; half of the rate is new flows. In Teal's counters flows_created and
--         flows_replaced move by that; embryonic_quota and stateless stay.
local teal = dofile(os.getenv("TEAL_PKTGEN_LIBRARY"))

teal.run(function()
  teal.pcaps()
  local account = teal.measure(teal.client_side, teal.settings.rate, teal.for_seconds(teal.settings.seconds))
  account.new_flows_per_second = math.floor(account.offered_pps / 2)
  return account
end)
