-- ARGV: now or '', lease, limit, a real second, the caller's machine, its steady clock (real seconds). Answers the ids leased,
-- longest due first, then suspects who are tried.
local now, limit, second = moment(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lease_ends = now + tonumber(ARGV[2])
local ends = exact(lease_ends)

-- The clock may have been set since users were leased last. Set back, it would keep everybody waiting until it is as late
-- again as it was; so users who were due then are due now. Set forward, it would end all leases at once, and two processes
-- would ask one gateway; so each lease lasts as much longer, but never longer than a new one. A machine that leased last time
-- too knows by its steady clock how much time has passed. Another machine assumes that none has, so a pause in leasing looks
-- like a clock that was set.
local CLOCK, STEADY, BACK, FORWARD = 'eagle:clock', 'eagle:steady', 10, 4
local function moved(set, by, latest)
  local entries = redis.call('ZRANGE', set, 0, -1, 'WITHSCORES')
  local words = {}
  for i = 1, #entries, 2 do
    append_pair(words, exact(math.min(tonumber(entries[i + 1]) + by, latest)), entries[i])
  end
  call_in_chunks('ZADD', set, words)
end
local function really_passed()
  local machine, steady = string.match(redis.call('GET', STEADY) or '', '^(%S+) (%S+)$')
  return machine == ARGV[5] and math.max(0, tonumber(ARGV[6]) - (tonumber(steady) or 0)) * second or 0
end
local passed = now - (tonumber(redis.call('GET', CLOCK)) or now)
local jumped = passed - really_passed()
if passed < -BACK * second then
  moved(DUE, passed, math.huge)
  moved(LEASED, passed, math.huge)
elseif jumped > FORWARD * second then
  moved(LEASED, jumped, lease_ends)
end
redis.call('SET', CLOCK, exact(now))
redis.call('SET', STEADY, ARGV[5] .. ' ' .. ARGV[6])

local function up_to_now(set) return redis.call('ZRANGEBYSCORE', set, '-inf', exact(now), 'WITHSCORES', 'LIMIT', 0, limit) end

local function every_second(words)
  local found = {}
  for i = 1, #words, 2 do found[#found + 1] = words[i] end
  return found
end

-- Whoever strayed into a set is dropped from it: it must not stop the others.
local ended = every_second(up_to_now(LEASED))
local turns = read_turns(ended)
for _, id in ipairs(ended) do
  local turn = turns[id]
  if turn and is_leased(turn) then give_back(id, turn, now, second) else out_of_leased[#out_of_leased + 1] = id end
end
write_all()

local CLOUD_ID = '^%x%x%x%x%x%x$'
local due = up_to_now(DUE)
local ids, leased, suspects = every_second(due), {}, {}
turns = read_turns(ids)

local function lease(id, since)
  lease_to(id, turns[id], ends, since, since, false, 0)
  leased[#leased + 1] = id
end

for i, id in ipairs(ids) do
  local since = tonumber(due[2 * i])
  if not turns[id] or not string.match(id, CLOUD_ID) then
    out_of_due[#out_of_due + 1] = id
  elseif is_suspect(turns[id]) then
    suspects[#suspects + 1] = {deaths = turns[id].abandoned, since = since, id = id}
  else
    lease(id, since)
  end
end

local function somebody_is_tried()
  local tried = {}
  for id in string.gmatch(redis.call('GET', TRIAL) or '', ',(%x+)') do tried[#tried + 1] = id end
  for _, turn in pairs(read_turns(tried)) do
    if is_leased(turn) and is_suspect(turn) then return true end
  end
  return false
end

local function comes_before(one, other)
  if one.deaths ~= other.deaths then return one.deaths < other.deaths end
  if one.since ~= other.since then return one.since < other.since end
  return one.id < other.id
end

-- How many of them, from the first on, are tried now.
local function tried_next()
  table.sort(suspects, comes_before)
  if #suspects <= FEW or suspects[1].deaths >= ALONE then return 1 end
  local count, most = 0, math.min(math.max(TOGETHER, math.ceil(#suspects / PART)), #suspects)
  while count < most and suspects[count + 1].deaths < ALONE do count = count + 1 end
  return count
end

if #suspects > 0 then
  local free = not somebody_is_tried()
  local count = free and tried_next() or 0
  local trial = #suspects <= FEW and '1' or '0'
  for i, suspect in ipairs(suspects) do
    if i <= count then
      lease(suspect.id, suspect.since)
      trial = trial .. ',' .. suspect.id
    else
      append_pair(into_due, exact(now + WAIT * second), suspect.id)
    end
  end
  if free then redis.call('SET', TRIAL, trial) end
end
write_all()
return leased
