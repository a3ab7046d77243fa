-- Lease users that are due, longest due first. Users whose lease has ended become due again first.
-- ARGV: now or '', lease, limit, a real second, the caller's machine, its steady clock (real
-- seconds). Answers the ids leased.
local now, limit, second = moment(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local lease_ends = now + tonumber(ARGV[2])
local ends = exact(lease_ends)

-- The clock may have been set since users were last leased. If it was set back, all users would
-- wait until it shows the same time again, so their due times are set back too. If it was set
-- forward, all leases would end at once and two processes would ask one gateway, so each lease is
-- lengthened by as much, but never beyond a new one. If the same machine leased last time, its
-- steady clock shows how much time has really passed. Another machine assumes that none has: to
-- it, a pause in leasing looks like a clock that was set forward.
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

local function without_scores(members_and_scores)
  local members = {}
  for i = 1, #members_and_scores, 2 do members[#members + 1] = members_and_scores[i] end
  return members
end

-- A member of a set that does not belong there is removed. It must not stop the others.
local ended = without_scores(up_to_now(LEASED))
local turns, unclaimed = read_turns(ended), 0
for _, id in ipairs(ended) do
  local turn = turns[id]
  if turn and is_leased(turn) then
    if turn.token == 0 then unclaimed = unclaimed + 1 end
    give_back(id, turn, now, second)
  else
    out_of_leased[#out_of_leased + 1] = id
  end
end
write_all()
if unclaimed > 0 then add_to_tally('leases_unclaimed', unclaimed) end

-- Count the suspects as core/poison_users.py does. A suspect that has reported since is cleared. If
-- a whole fleet is suspected, some of it show enough, and the others count as suspects until a later
-- call looks at them. Otherwise Redis would be busy for a second with each call.
local FEW, MANY, LOOKED_AT = 3, 60, 1000
local suspect_ids = redis.call('SRANDMEMBER', SUSPECTS, LOOKED_AT)
local suspects, cleared, one_is_leased = redis.call('SCARD', SUSPECTS) - #suspect_ids, {}, false
turns = read_turns(suspect_ids)
for _, id in ipairs(suspect_ids) do
  local turn = turns[id]
  if turn and is_suspect(turn) then
    suspects = suspects + 1
    one_is_leased = one_is_leased or is_leased(turn)
  else
    cleared[#cleared + 1] = id
  end
end
call_in_chunks('SREM', SUSPECTS, cleared)
local users = redis.call('HLEN', TURNS)
local too_many = suspects > math.max(FEW, math.min(users / 2, MANY))
local deaths_count = suspects <= math.max(FEW, math.min(users / 10, MANY))
if not deaths_count then redis.call('DEL', ALONE) end

local CLOUD_ID = '^%x%x%x%x%x%x$'
local due = up_to_now(DUE)
local ids, leased = without_scores(due), {}
turns = read_turns(ids)
for i, id in ipairs(ids) do
  local turn, since = turns[id], tonumber(due[2 * i])
  local waits = turn and is_suspect(turn) and not too_many
  if not turn or not string.match(id, CLOUD_ID) then
    out_of_due[#out_of_due + 1] = id
  elseif waits and one_is_leased then
    append_pair(into_due, exact(now + rest(id, now) / 10 * second), id)
  else
    if waits then
      one_is_leased = true
      if deaths_count then redis.call('SET', ALONE, id) end
    end
    lease_to(id, turn, ends, since, since, false, 0)
    leased[#leased + 1] = id
  end
end
write_all()
return leased
