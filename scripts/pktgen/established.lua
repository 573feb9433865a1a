-- SPDX-License-Identifier: Apache-2.0
--
-- Packets of established flows only, by Pktgen's ranges: the usual load of a switch.
--
-- Needs    one port, which also receives the backend's answers, or two: clients' side and backends' side. A
--          service of --protocol at --vip whose active colour has --backend as its only backend.
--          --client-side-mac.
-- Reports  offered, received and lost packets and the rate. Only rx and tx of Teal's counters (`teal stats`)
--          move after the first 10 s. A flow that begins then was not established.
local teal = dofile(os.getenv("TEAL_PKTGEN_LIBRARY"))

teal.run(function()
  teal.establish()
  teal.clients()
  return (teal.measure(teal.client_side, teal.settings.rate, teal.for_seconds(teal.settings.seconds)))
end)
