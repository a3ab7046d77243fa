-- Put in front of every script. Only commands of Redis 6.2.
--
-- A user's turn is one entry of TURNS, packed (a third of what MessagePack costs here):
--   idle:   last request, abandoned
--   leased: last request, abandoned, due, scheduled, token, flags, holder
-- last request: 0 if there was none; due: when it fell due; scheduled: the turn of its grid this visit serves (later than
-- due if somebody asked early); token: 0 until it is claimed. Flags: announced, a message was sent because somebody asked;
-- marked, to be fetched once more; updated, its credentials or cadence changed since it was claimed.
--
-- Scripts decide on turns in Lua's memory and write all of them at the end: a call for many users costs far less than
-- one for each.
local USERS, STATES, TROUBLES, TURNS = 'eagle:users:', 'eagle:states', 'eagle:troubles', 'eagle:turns'
local DUE, LEASED, TOKENS, GONE = 'eagle:due', 'eagle:leased', 'eagle:tokens', 'eagle:gone:'
local BREAKER = 'eagle:breaker'
local UNPROVEN, REFUSED, PARKINGS = 'eagle:unproven', 'eagle:refused', 'eagle:parkings'
local IDLE, TAKEN, IDLE_SIZE = '<dI2', '<dI2dddBs', 10
local CHUNK = 4000  -- Lua's stack holds some 8000 values

-- Users lie in 256 hashes by their first two digits, so that they can be listed in order.
local function bucket(id) return USERS .. string.sub(id, 1, 2) end

local function exact(number) return string.format('%.17g', number) end

local function server_time()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- Redis' own time, but for an accelerated clock, whose time is handed in.
local function moment(given)
  if given ~= '' then return tonumber(given) end
  return server_time()
end

local function call_in_chunks(command, key, words)
  for from = 1, #words, CHUNK do
    redis.call(command, key, unpack(words, from, math.min(from + CHUNK - 1, #words)))
  end
end

-- HMGET of any number of fields.
local function values_of(key, ids)
  local values = {}
  for from = 1, #ids, CHUNK do
    local found = redis.call('HMGET', key, unpack(ids, from, math.min(from + CHUNK - 1, #ids)))
    for i = 1, #found do values[from + i - 1] = found[i] end
  end
  return values
end

-- Every step-th argument from `first` on.
local function arguments(first, step)
  local words = {}
  for i = first, #ARGV, step do words[#words + 1] = ARGV[i] end
  return words
end

local function unpack_turn(packed)
  if #packed == IDLE_SIZE then
    local last_request, abandoned = struct.unpack(IDLE, packed)
    return {last_request = last_request, abandoned = abandoned}
  end
  local readable, last_request, abandoned, due, scheduled, token, flags, holder = pcall(struct.unpack, TAKEN, packed)
  -- A turn that no version wrote must not stop the other users. No process holds it, and it falls due when its lease ends.
  if not readable then
    return {last_request = 0, abandoned = 0, due = math.huge, scheduled = math.huge, token = -1, holder = ''}
  end
  return {last_request = last_request, abandoned = abandoned, due = due, scheduled = scheduled, token = token,
          holder = holder, announced = flags % 2 == 1, marked = flags % 4 >= 2, updated = flags >= 4}
end

local function pack_turn(turn)
  local abandoned = math.min(turn.abandoned, 65535)
  if not turn.due then return struct.pack(IDLE, turn.last_request, abandoned) end
  local flags = (turn.announced and 1 or 0) + (turn.marked and 2 or 0) + (turn.updated and 4 or 0)
  return struct.pack(TAKEN, turn.last_request, abandoned, turn.due, turn.scheduled, turn.token, flags, turn.holder)
end

-- The turns of these users by id; nothing for who is not a user.
local function read_turns(ids)
  local turns = {}
  for i, packed in ipairs(values_of(TURNS, ids)) do
    if packed then turns[ids[i]] = unpack_turn(packed) end
  end
  return turns
end

local function is_leased(turn) return turn.due ~= nil end

-- What is to be written at the end. Within one script a user moves in one direction at most, so the order of additions and
-- removals does not matter to it; for the same field of a hash the last write counts.
local turns_out, into_due, into_leased, out_of_due, out_of_leased = {}, {}, {}, {}, {}

local function append_pair(words, first, second)
  local size = #words
  words[size + 1], words[size + 2] = first, second
end

local function save(id, turn) append_pair(turns_out, id, pack_turn(turn)) end

local function renew(id, turn, ends)
  append_pair(into_leased, ends, id)
  save(id, turn)
end

local function lease_to(id, turn, ends, due, scheduled, announced, token)
  turn.due, turn.scheduled, turn.announced = due, scheduled, announced
  turn.token, turn.holder, turn.marked, turn.updated = token, '', false, false
  out_of_due[#out_of_due + 1] = id
  renew(id, turn, ends)
end

-- The visit is over. Without `due` the user is parked.
local function settle(id, turn, due)
  turn.due = nil
  out_of_leased[#out_of_leased + 1] = id
  if due then append_pair(into_due, exact(due), id) end
  save(id, turn)
end

-- Forgives a user who is parked, or waits after failures. It falls due at `due`, or earlier if it would have anyway.
local function wake(id, turn, due)
  redis.call('HDEL', TROUBLES, id)
  redis.call('SREM', REFUSED, id)
  turn.abandoned = 0
  local score = redis.call('ZSCORE', DUE, id)
  settle(id, turn, math.min(due, tonumber(score or due)))
end

-- Whose reply kills: as core/poison_users.py has it, where it is explained. TRIAL holds '1' if its users can be convicted, else
-- '0', then the ids of those who are tried now, each after a comma.
local TRIAL, SUSPECTED, ALONE, CONVICTED = 'eagle:trial', 2, 3, 5
local TOGETHER, PART, FEW, REST, WAIT = 16, 8, 3, 5, 0.5

local function is_suspect(turn) return turn.abandoned >= SUSPECTED end

-- A lease that ended without a report: due again since it fell due; a suspect after a rest. `second`: a real one, in this
-- clock's.
local function give_back(id, turn, now, second)
  local due = math.min(turn.due, now)  -- it lies ahead if the clock was set back meanwhile
  settle(id, turn, is_suspect(turn) and now + REST * second or due)
end

-- Additions come before removals: when Redis is out of memory it refuses the first of them, and nothing has changed.
local function write_all()
  call_in_chunks('HSET', TURNS, turns_out)
  call_in_chunks('ZADD', DUE, into_due)
  call_in_chunks('ZADD', LEASED, into_leased)
  call_in_chunks('ZREM', DUE, out_of_due)
  call_in_chunks('ZREM', LEASED, out_of_leased)
  turns_out, into_due, into_leased, out_of_due, out_of_leased = {}, {}, {}, {}, {}
end

-- The first of `count` new tokens. No token is below the time in microseconds, so none is given out twice when Redis has lost
-- its last second, or everything. Doubles count them exactly until the year 2255.
local function new_tokens(count)
  local last = tonumber(redis.call('GET', TOKENS)) or 0
  local first = math.max(last + 1, math.floor(server_time() * 1000000))
  redis.call('SET', TOKENS, string.format('%.0f', first + count - 1))
  return first
end

-- As core/schedule.py has it, step by step.
local function last_point(at, period, phase)
  local k = math.floor((at - phase) / period)
  if phase + (k + 1) * period <= at then return k + 1 end
  if phase + k * period > at then return k - 1 end
  return k
end

local function next_due(now, period, phase) return phase + (last_point(now, period, phase) + 1) * period end

local function missed_turns(due, now, period, phase)
  local served = last_point(due, period, phase)
  if phase + served * period ~= due then served = served + 1 end
  return math.max(0, last_point(now, period, phase) - served)
end
