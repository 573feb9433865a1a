-- SPDX-License-Identifier: Apache-2.0
--
-- Clients' packets and backends' answers at the same time. With two ports each side sends its range; with one port both
-- come from a pcap, a packet of each in turn, that `run` makes.
--
-- Needs   as established.lua.
-- Tells   offered, received and lost packets of both directions together. What a client sent comes back as from a
--         client to the backend, what the backend sent as from the VIP.
local teal = dofile(os.getenv("TEAL_PKTGEN_LIBRARY"))

teal.run(function()
  teal.establish()
  if teal.settings.ports == 2 then
    teal.clients()
    teal.answers()
  else
    teal.pcaps()
  end
  return (teal.measure(teal.all_ports, teal.settings.rate, teal.for_seconds(teal.settings.seconds)))
end)
