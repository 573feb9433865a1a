-- SPDX-License-Identifier: Apache-2.0
--
-- RFC 2544, section 26.1: the highest rate at which no packet of established flows is lost, for each of
-- --frame-bytes. A binary search on Pktgen's rate, from --rate downwards, until the step is below
-- --resolution.
--
-- Needs    as established.lua. The RFC asks for trials of 60 s: --seconds 60.
-- Reports  for each size all trials, and the best one. "generator_limited" is true if the generator did not
--          reach its rate, as with a virtual port: then the figure is the generator's limit and not Teal's.
local teal = dofile(os.getenv("TEAL_PKTGEN_LIBRARY"))
local settings = teal.settings

local REACHED = 0.95 -- part of the rate that was set

local function trial(size, percent)
  local account = teal.measure(teal.client_side, percent, teal.for_seconds(settings.seconds))
  account.frame_bytes = size
  return account
end

local function search(size)
  teal.clients(size)
  local good, bad, percent = 0, settings.rate, settings.rate
  local trials, best = {}, nil
  repeat
    local account = trial(size, percent)
    trials[#trials + 1] = account
    if account.lost <= 0 then
      good, best = percent, account
    else
      bad = percent
    end
    percent = (good + bad) / 2
  until good == bad or bad - good < settings.resolution
  return trials, best or trials[#trials] -- if every trial lost packets, the last one
end

teal.run(function()
  teal.establish()
  local trials, best = {}, {}
  local wire_bits = 8 * 20 -- preamble and gap of a frame
  for _, size in ipairs(settings.frame_bytes) do
    local tried, found = search(size)
    for _, account in ipairs(tried) do
      trials[#trials + 1] = account
    end
    local link_mbps = pktgen.linkState(teal.client_side)[0]:match("(%d+)%-")
    local asked = (tonumber(link_mbps) or 0) * 1e6 / (size * 8 + wire_bits) * found.rate_percent / 100
    found.found = found.lost <= 0
    found.generator_limited = found.offered_pps < REACHED * asked
    best[#best + 1] = found
  end
  return { trials = trials, best = best }
end)
