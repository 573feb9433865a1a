-- SPDX-License-Identifier: Apache-2.0
--
-- Flips under load. Eight of ten packets are of established flows, one begins a flow (SYN) and one ends a
-- flow (RST); `run` makes the pcap. Meanwhile --flip-command is run --flips times; {colour} in it is green
-- and blue in turn.
--
-- Needs    as established.lua, for a TCP service, with blue active at the beginning. A command that flips,
--          such as
--          --flip-command 'ssh edge teal flip web --to {colour} -o json'.
-- Reports  offered, received and lost packets around the flips. The effective blocked time as CSIT defines it
--          (packets lost / offered rate), in all and for each flip. The rates of a second before, during and
--          after. The adoption time of the slowest worker for each flip, if the command prints the answer of
--          `teal flip -o json`. Expected: 0 packets lost, and Teal's counter wrong_colour_flows stays 0.
local teal = dofile(os.getenv("TEAL_PKTGEN_LIBRARY"))
local settings = teal.settings

local SETTLE_MS = 3000 -- Pktgen notes at least one whole second
local EVERY_MS = 20

local function flip(number)
  local command = settings.flip_command:gsub("{colour}", number % 2 == 1 and "green" or "blue")
  local pipe = assert(io.popen(command .. " 2>&1"))
  local answer = pipe:read("a")
  local good = pipe:close()
  assert(good, string.format("flip %d: `%s` failed: %s", number, command, answer))
  return tonumber(answer:match('"slowest_us"%s*:%s*([%d.]+)'))
end

local function flip_again_and_again()
  local told = { adopted_us = {} }
  pktgen.delay(SETTLE_MS)
  told.before = teal.rates()
  for number = 1, settings.flips do
    told.adopted_us[#told.adopted_us + 1] = flip(number)
    pktgen.delay(EVERY_MS)
    if number == math.ceil(settings.flips / 2) then
      told.during = teal.rates()
    end
  end
  pktgen.delay(SETTLE_MS)
  told.after = teal.rates()
  return told
end

teal.run(function()
  teal.establish()
  teal.pcaps()
  local account, told = teal.measure(teal.client_side, settings.rate, flip_again_and_again)
  account.flips = settings.flips
  account.blocked_us_per_flip = account.blocked_us / settings.flips
  account.adopted_us = told.adopted_us
  account.rates = { before = told.before, during = told.during, after = told.after }
  return account
end)
