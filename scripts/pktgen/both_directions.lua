-- SPDX-License-Identifier: Apache-2.0
--
-- Clients' packets and backends' answers at the same time. With two ports, each port sends the range of its
-- side. With one port, the packets of both sides alternate in a pcap that `run` makes.
--
-- Needs    as established.lua.
-- Reports  offered, received and lost packets of both directions together. A client's packet comes back with
--          the backend as destination, a backend's packet with the VIP as source.
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
