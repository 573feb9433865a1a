-- SPDX-License-Identifier: Apache-2.0
--
-- Measures the time of a packet through the switch and back, idle and under load. Pktgen stamps one of the
-- packets of established flows every 10 ms. The rates are 1 %, a half and all of --rate.
--
-- Needs    one port, because a stamped packet must come back to the port that sent it. The rest as
--          established.lua, with --protocol udp: Pktgen stamps UDP only.
-- Reports  for each rate: the account, and least, median, 99th percentile and most of the stamped packets, in
--          microseconds, with the generator's own queues. Pktgen's own average is not used, because Pktgen
--          computes it only while its latency page is shown.
local teal = dofile(os.getenv("TEAL_PKTGEN_LIBRARY"))
local settings = teal.settings

local PORT = teal.client_side
local SAMPLES_PER_SECOND = 1000 -- more than the stamped packets, so that each is taken

local function stamped_packets()
  pktgen.set_type(PORT, "ipv4")
  pktgen.set_proto(PORT, "udp")
  pktgen.set_ipaddr(PORT, "src", settings.client .. "/32")
  pktgen.set_ipaddr(PORT, "dst", settings.vip)
  pktgen.set_mac(PORT, "dst", settings.client_side_mac)
  pktgen.set(PORT, "sport", settings.client_port)
  pktgen.set(PORT, "dport", settings.vip_port)
end

local function read_samples(file)
  local samples = {}
  for line in io.lines(file) do
    local ns = tonumber(line) -- the first line is a heading
    samples[#samples + 1] = ns and ns / 1000
  end
  table.sort(samples)
  return samples
end

local function at(percent)
  local file = settings.work .. "/latency"
  pktgen.latsampler_params(PORT, "simple", SAMPLES_PER_SECOND * settings.seconds, SAMPLES_PER_SECOND, file)
  local account = teal.measure(PORT, percent, function()
    pktgen.latency(PORT, "on")
    pktgen.latsampler(PORT, "on")
    pktgen.delay(settings.seconds * 1000)
  end)
  pktgen.latsampler(PORT, "off") -- writes the file
  pktgen.latency(PORT, "off")
  local samples = read_samples(file)
  assert(#samples > 0, "no stamped packet came back")
  account.samples = #samples
  account.latency_us = {
    min = samples[1],
    median = samples[(#samples + 1) // 2],
    p99 = samples[math.max(1, math.ceil(#samples * 0.99))],
    max = samples[#samples],
  }
  return account
end

teal.run(function()
  assert(settings.ports == 1, "latency wants one port: what is stamped comes back to the port that sent it")
  teal.establish()
  stamped_packets()
  teal.clients()
  local trials = {}
  for _, share in ipairs({ 0.01, 0.5, 1 }) do
    trials[#trials + 1] = at(settings.rate * share)
  end
  return { trials = trials }
end)
