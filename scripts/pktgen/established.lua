-- SPDX-License-Identifier: Apache-2.0
--
-- Packets of established flows only, by Pktgen's ranges: what a switch does nearly all of its time.
--
-- Needs   one port (one-arm: the backend's answers come in by it too) or two (clients' side, backends' side); a
--         service of --protocol at --vip whose active colour has --backend as its only backend; --client-side-mac.
-- Tells   offered, received and lost packets and the rate. In Teal's counters (`teal stats`) nothing but rx and tx
--         moves after the first 10 s: a flow that begins then was not established.
local teal = dofile(os.getenv("TEAL_PKTGEN_LIBRARY"))

teal.run(function()
  teal.establish()
  teal.clients()
  return (teal.measure(teal.client_side, teal.settings.rate, teal.for_seconds(teal.settings.seconds)))
end)
