-- Put in front of every script. Only commands of Redis 6.2.
--
-- A user's turn is one entry of TURNS, a MessagePack array:
--   idle:   {last request, abandoned}
--   leased: {last request, abandoned, due, scheduled, announced, token, holder, marked, updated}
-- due: when it fell due; scheduled: the turn of its grid this visit serves (later than due if somebody asked early);
-- announced: a message was sent because somebody asked; token: 0 until it is claimed; marked: to be fetched once more;
-- updated: its credentials or cadence changed since it was claimed. Absent moments are false.
local USERS, STATES, TROUBLES, TURNS = 'eagle:users:', 'eagle:states', 'eagle:troubles', 'eagle:turns'
local DUE, LEASED, TOKENS, GONE = 'eagle:due', 'eagle:leased', 'eagle:tokens', 'eagle:gone:'

-- Users lie in 4096 hashes by the first three digits, so that they can be listed in order.
local function bucket(id) return USERS .. string.sub(id, 1, 3) end

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

local function read_turn(id)
  local packed = redis.call('HGET', TURNS, id)
  if not packed then return nil end
  local a = cmsgpack.unpack(packed)
  return {last_request = a[1], abandoned = a[2], due = a[3], scheduled = a[4], announced = a[5], token = a[6],
          holder = a[7], marked = a[8], updated = a[9]}
end

local function pack_leased(turn)
  return cmsgpack.pack({turn.last_request, turn.abandoned, turn.due, turn.scheduled, turn.announced, turn.token,
                        turn.holder, turn.marked, turn.updated})
end

local function write_leased(id, turn) redis.call('HSET', TURNS, id, pack_leased(turn)) end

local function write_idle(id, turn) redis.call('HSET', TURNS, id, cmsgpack.pack({turn.last_request, turn.abandoned})) end

local function is_leased(turn) return turn.due ~= nil end

local function lease_from(turn, due, scheduled, announced)
  turn.due, turn.scheduled, turn.announced = due, scheduled, announced
  turn.token, turn.holder, turn.marked, turn.updated = 0, '', false, false
end

-- A lease that ended without a report: due again since it fell due.
local function give_back(id, turn)
  redis.call('ZADD', DUE, exact(turn.due), id)
  redis.call('ZREM', LEASED, id)
  write_idle(id, turn)
end

-- The first of `count` new tokens. They start from the time, so that none returns after a FLUSHDB.
local function new_tokens(count)
  local last = redis.call('INCRBY', TOKENS, count)
  if last == count then
    last = math.floor(server_time() * 1000000) + count
    redis.call('SET', TOKENS, string.format('%.0f', last))
  end
  return last - count + 1
end

-- As core/cadence.py has it, step by step.
local function last_point(at, period, phase)
  local k = math.floor((at - phase) / period)
  while phase + (k + 1) * period <= at do k = k + 1 end
  while phase + k * period > at do k = k - 1 end
  return k
end

local function next_due(now, period, phase) return phase + (last_point(now, period, phase) + 1) * period end

local function missed_turns(due, now, period, phase)
  return math.max(0, last_point(now, period, phase) - last_point(due, period, phase))
end
