-- This file stands in front of every script. It uses only commands of Redis 6.2. The keys, each
-- with the prefix `eagle:` (id: a cloud id):
--
--   users:<first 2 digits>  hash  id -> record: sealed password, own cadence (../encoding.py)
--   states                  hash  id -> what is remembered between visits
--   troubles                hash  id -> failures, last error, why parked; only if it has any
--   turns                   hash  id -> turn, packed (below); of every user
--   due, leased             zset  id, by when it falls due, or its lease ends; an active user is
--                                 in exactly one of them, a parked one in neither
--   unproven, refused       set   id, if the relay has not answered its credentials; refuses it
--   parkings                zset  id, by when the relay's refusals called for parking it
--   suspects                set   id, if two processes died while they fetched it
--   alone                         the suspect that was last leased alone, if its death counts
--   gone:<id>                     last request and lease of a removed user; expires
--   once:<key>                    the request with this key was carried out; expires
--   clock, steady                 when users were last leased; that machine and its steady clock
--   tokens, shards                the last token given out; the number of shards agreed on
--   tally, breaker          hash  counters; the circuit breaker's phase, beginning and samples
--   progress                hash  process -> its last note
--   nodes                   zset  node, by when its rotator registered
--
-- A turn, packed (MessagePack would take three times as much):
--   idle:   last request, abandoned
--   leased: last request, abandoned, due, scheduled, token, flags, holder
-- last request: 0 if there was none. abandoned: claims in a row that ended without a report. due:
-- when the user fell due. scheduled: the point of its grid that this visit serves, which is later
-- than due if the fetch was requested early. token: 0 until the lease is claimed. holder: the
-- process that claimed it. Flags: announced, a message was sent for a request; marked, the worker
-- is to fetch the user once more; updated, the user was changed since it was claimed.
--
-- A script decides on turns in Lua's memory and writes all of them at the end, in one command for
-- many users. One command for each would cost far more.
local USERS, STATES, TROUBLES, TURNS = 'eagle:users:', 'eagle:states', 'eagle:troubles', 'eagle:turns'
local DUE, LEASED, TOKENS, GONE = 'eagle:due', 'eagle:leased', 'eagle:tokens', 'eagle:gone:'
local BREAKER = 'eagle:breaker'
local UNPROVEN, REFUSED, PARKINGS = 'eagle:unproven', 'eagle:refused', 'eagle:parkings'
local IDLE, TAKEN, IDLE_SIZE = '<dI2', '<dI2dddBs', 10
local CHUNK = 4000  -- Lua's stack holds some 8000 values

-- Users are spread over 256 hashes by their first two digits, so that they can be listed in order.
local function bucket(id) return USERS .. string.sub(id, 1, 2) end

-- The number as text, from which Redis and Lua read the same double again.
local function exact(number) return string.format('%.17g', number) end

local function server_time()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- The time of Redis. Under an accelerated clock the caller gives the time instead.
local function moment(given)
  if given ~= '' then return tonumber(given) end
  return server_time()
end

local function call_in_chunks(command, key, words)
  for from = 1, #words, CHUNK do
    redis.call(command, key, unpack(words, from, math.min(from + CHUNK - 1, #words)))
  end
end

-- HMGET for any number of fields.
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
  -- A damaged turn must not stop the other users. It counts as held by no process, and falls due
  -- when its lease ends.
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

-- The turns of these users, by id. An id that is no user's is left out.
local function read_turns(ids)
  local turns = {}
  for i, packed in ipairs(values_of(TURNS, ids)) do
    if packed then turns[ids[i]] = unpack_turn(packed) end
  end
  return turns
end

local function is_leased(turn) return turn.due ~= nil end

-- What write_all is to write. Within one script a user moves in one direction only, so the order
-- of additions and removals does not matter. Of several writes to one field of a hash, the last
-- counts.
local turns_out, into_due, into_leased, out_of_due, out_of_leased = {}, {}, {}, {}, {}
local new_suspects = {}

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

-- End the lease. Without `due` the user is parked.
local function settle(id, turn, due)
  turn.due = nil
  out_of_leased[#out_of_leased + 1] = id
  if due then append_pair(into_due, exact(due), id) end
  save(id, turn)
end

-- Forgive a user that is parked or waits after failures. It falls due at `due`, or earlier if it
-- would have anyway.
local function wake(id, turn, due)
  redis.call('HDEL', TROUBLES, id)
  redis.call('SREM', REFUSED, id)
  turn.abandoned = 0
  local score = redis.call('ZSCORE', DUE, id)
  settle(id, turn, math.min(due, tonumber(score or due)))
end

-- core/poison_users.py explains suspects, and has the same numbers.
local SUSPECTS, ALONE, SUSPECTED_AFTER, SHORTEST_REST = 'eagle:suspects', 'eagle:alone', 2, 5

local function is_suspect(turn) return turn.abandoned >= SUSPECTED_AFTER end

local function rest(id, now)
  return SHORTEST_REST + (tonumber(id, 16) or 0) % 97 * (1 + math.floor(now) % 96) % 97 / 10
end

-- The lease ended without a report. The user is due again since it fell due; a suspect is due
-- after a rest. `second`: a real second, in the time of this store.
local function give_back(id, turn, now, second)
  local due = math.min(turn.due, now)  -- turn.due lies in the future if the clock was set back
  if is_suspect(turn) then
    due = now + rest(id, now) * second
    new_suspects[#new_suspects + 1] = id
  end
  settle(id, turn, due)
end

-- Additions come before removals. If Redis is out of memory, it refuses the first addition, and
-- nothing has changed.
local function write_all()
  call_in_chunks('HSET', TURNS, turns_out)
  call_in_chunks('ZADD', DUE, into_due)
  call_in_chunks('ZADD', LEASED, into_leased)
  call_in_chunks('SADD', SUSPECTS, new_suspects)
  call_in_chunks('ZREM', DUE, out_of_due)
  call_in_chunks('ZREM', LEASED, out_of_leased)
  turns_out, into_due, into_leased, out_of_due, out_of_leased, new_suspects = {}, {}, {}, {}, {}, {}
end

-- A counter that is not a number starts again. Otherwise the whole script would fail.
local function add_to_tally(name, more)
  if type(redis.pcall('HINCRBY', 'eagle:tally', name, more)) == 'table' then redis.call('HSET', 'eagle:tally', name, more) end
end

-- The first of `count` new tokens. No token is below the time in microseconds, so none is given
-- out twice even if Redis has lost its last second, or all its data. Doubles hold such tokens
-- exactly until the year 2255.
local function new_tokens(count)
  local last = tonumber(redis.call('GET', TOKENS)) or 0
  local first = math.max(last + 1, math.floor(server_time() * 1000000))
  redis.call('SET', TOKENS, string.format('%.0f', first + count - 1))
  return first
end

-- The same steps as in core/schedule.py, so that both get the same result to the last bit.
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
