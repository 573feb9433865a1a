-- SPDX-License-Identifier: Apache-2.0
--
-- Each packet begins or ends a flow. The pcap of 2 x --flows packets has SYNs, and half a round after each
-- SYN the client's RST of the same flow. `run` makes the pcap, because Pktgen's ranges have one set of TCP
-- flags.
--
-- Needs    one port to the clients' side. A TCP service at --vip. Room for --flows embryonic flows, which is
--          a quarter of the table: [dataplane] flow_capacity of at least 4 x --flows.
-- Reports  offered, received and lost packets. Half of the rate is new flows: Teal's counters flows_created
--          and flows_replaced move by it; embryonic_quota and stateless stay.
local teal = dofile(os.getenv("TEAL_PKTGEN_LIBRARY"))

teal.run(function()
  teal.pcaps()
  local account = teal.measure(teal.client_side, teal.settings.rate, teal.for_seconds(teal.settings.seconds))
  account.new_flows_per_second = math.floor(account.offered_pps / 2)
  return account
end)
