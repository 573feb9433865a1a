-- SPDX-License-Identifier: Apache-2.0
--
-- The common part of the scenarios. They run inside Pktgen-DPDK (tried: 23.03, built with Lua 5.3), started
-- by scripts/pktgen/run. It writes the settings as a Lua table into the file of TEAL_PKTGEN_SETTINGS; `run
-- --help` describes each setting.
--
-- Two properties of Pktgen (its source: app/pktgen-range.c, app/pktgen.c):
--   * Ranges are written once into a pool of 24,576 packets, which are then sent again and again. All fields
--     step together, so each flow has an address of its own and the same port: no two fields have to keep in
--     step.
--   * portStats() returns the counts that a thread noted, once a second. So counts are read only after a
--     rest.

local M = {}

M.settings = dofile(assert(os.getenv("TEAL_PKTGEN_SETTINGS"), "start this by scripts/pktgen/run"))
local settings = M.settings

local NOTED_MS = 2500 -- until packets under way have come and all counts are noted
local PRIME_MS, PRIME_PERCENT = 1500, 2
local CLIENT_SIDE = "0"
local BACKEND_SIDE = settings.ports == 2 and "1" or "0" -- with one port, both sides are on it
local PORTS = settings.ports == 2 and { "0", "1" } or { "0" }
local ALL = table.concat(PORTS, ",")

M.client_side, M.backend_side, M.all_ports = CLIENT_SIDE, BACKEND_SIDE, ALL
M.sent, M.received = 0, 0 -- sums of all stretches

-- The kernel's monotonic clock, to 10 ms.
local function now()
  local file = assert(io.open("/proc/uptime"))
  local seconds = file:read("n")
  file:close()
  return seconds
end

function M.say(format, ...)
  print(string.format("teal: " .. format, ...))
  io.flush()
end

-- --- ranges ---

local field = pktgen.range

-- Sets the first value, the last value and the step of one field.
local function steps(set, port, first, last, step)
  set(port, "start", first)
  set(port, "min", first)
  set(port, "max", last)
  set(port, "inc", step)
end

local function fixed(set, port, value, step)
  steps(set, port, value, value, step)
end

local function address_plus(address, n)
  local a, b, c, d = address:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  assert(a, address .. ": expected an IPv4 address")
  local sum = ((a * 256 + b) * 256 + c) * 256 + d + n
  return string.format("%d.%d.%d.%d", sum >> 24 & 255, sum >> 16 & 255, sum >> 8 & 255, sum & 255)
end

local function common(port, mac, frame_bytes)
  pktgen.set_range(port, "off")
  field.set_type(port, "ipv4")
  field.ip_proto(port, settings.protocol)
  fixed(field.dst_mac, port, mac, "00:00:00:00:00:00")
  fixed(field.pkt_size, port, frame_bytes, 0)
  fixed(field.ttl, port, 64, 0)
end

local function last_client()
  return address_plus(settings.client, settings.flows - 1)
end

-- Sends packets from the clients to the VIP: a flow for each of settings.flows addresses.
function M.clients(frame_bytes)
  local port = CLIENT_SIDE
  common(port, settings.client_side_mac, frame_bytes or settings.frame_bytes[1])
  steps(field.src_ip, port, settings.client, last_client(), "0.0.0.1")
  fixed(field.src_port, port, settings.client_port, 0)
  fixed(field.dst_ip, port, settings.vip, "0.0.0.0")
  fixed(field.dst_port, port, settings.vip_port, 0)
  pktgen.set_range(port, "on")
end

-- Sends the backend's answers to these packets.
function M.answers(frame_bytes)
  local port = BACKEND_SIDE
  common(port, settings.backend_side_mac, frame_bytes or settings.frame_bytes[1])
  fixed(field.src_ip, port, settings.backend, "0.0.0.0")
  fixed(field.src_port, port, settings.backend_port, 0)
  steps(field.dst_ip, port, settings.client, last_client(), "0.0.0.1")
  fixed(field.dst_port, port, settings.client_port, 0)
  pktgen.set_range(port, "on")
end

-- Sends the packets of the pcaps that `run` made and gave to Pktgen.
function M.pcaps()
  pktgen.set_range(ALL, "off")
  pktgen.pcap(ALL, "on")
end

-- --- sending ---

local function forget_counts()
  pktgen.clr()
  pktgen.delay(1100)
  pktgen.clr()
end

local function counts()
  local sent, received = 0, 0
  for _, port in ipairs(PORTS) do
    local stats = pktgen.portStats(port, "port")[tonumber(port)]
    sent, received = sent + stats.opackets, received + stats.ipackets
    local own = stats.ierrors + stats.imissed + stats.rx_nombuf
    local lost = "port %s of Pktgen itself lost %d packets, so the result says nothing about Teal"
    assert(own == 0, string.format(lost, port, own))
  end
  return sent, received
end

-- Returns the packets a second, sent and received, of the last second that Pktgen noted.
function M.rates()
  local sent, received = 0, 0
  for _, port in ipairs(PORTS) do
    local stats = pktgen.portStats(port, "rate")[tonumber(port)]
    sent, received = sent + stats.opackets, received + stats.ipackets
  end
  return { offered_pps = sent, received_pps = received }
end

-- Sends from `ports` at `percent` of the line rate while during() lasts, stops, waits for the packets under
-- way, and returns the account. blocked_us is CSIT's effective blocked time: packets lost / offered rate.
function M.measure(ports, percent, during)
  pktgen.set(ALL, "count", 0)
  pktgen.set(ports, "rate", percent)
  forget_counts()
  local began = now()
  pktgen.start(ports)
  local told = during()
  pktgen.stop(ports)
  local seconds = now() - began
  pktgen.delay(NOTED_MS)
  local sent, received = counts()
  assert(sent > 0, "nothing was sent: is the link up?")
  M.sent, M.received = M.sent + sent, M.received + received
  local lost = sent - received
  local account = {
    offered = sent,
    received = received,
    lost = lost,
    seconds = seconds,
    rate_percent = percent,
    offered_pps = sent / seconds,
    blocked_us = lost / (sent / seconds) * 1e6,
  }
  M.say("%s: offered %d, received %d, lost %d, in %.2f s", settings.scenario, sent, received, lost, seconds)
  return account, told
end

function M.for_seconds(seconds)
  return function()
    pktgen.delay(math.floor(seconds * 1000))
  end
end

-- Begins the flows of clients() and answers them, so that they are established on the active colour. Its only
-- backend must be settings.backend.
function M.establish()
  M.clients()
  M.measure(CLIENT_SIDE, PRIME_PERCENT, M.for_seconds(PRIME_MS / 1000))
  M.answers()
  M.measure(BACKEND_SIDE, PRIME_PERCENT, M.for_seconds(PRIME_MS / 1000))
end

-- --- results ---

local function json(value)
  if type(value) == "number" then
    assert(value == value and value ~= math.huge and value ~= -math.huge, "a number that JSON does not have")
    return math.type(value) == "integer" and tostring(value) or string.format("%.3f", value)
  elseif type(value) == "string" then
    local function escape(char)
      return string.format("\\u%04x", char:byte())
    end
    return '"' .. value:gsub('[%c"\\\128-\255]', escape) .. '"'
  elseif type(value) == "boolean" then
    return tostring(value)
  end
  local parts = {}
  if #value > 0 or next(value) == nil then
    for _, item in ipairs(value) do
      parts[#parts + 1] = json(item)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for name, item in pairs(value) do
    parts[#parts + 1] = json(name) .. ":" .. json(item)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function write(result)
  local file = assert(io.open(settings.out .. ".part", "w"))
  file:write(json(result), "\n")
  file:close()
  assert(os.rename(settings.out .. ".part", settings.out))
end

-- Runs a scenario and ends Pktgen. The result of an error is {error = ...}.
function M.run(scenario)
  pktgen.screen("off")
  local good, result = xpcall(scenario, debug.traceback)
  pktgen.stop(ALL)
  if good then
    result.sent_in_all, result.received_in_all = M.sent, M.received
  else
    result = { error = tostring(result) }
  end
  write(result)
  os.exit(good and 0 or 1)
end

return M
