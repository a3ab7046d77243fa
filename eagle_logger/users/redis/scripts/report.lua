-- End claims: write the users' states, and set their next due times.
-- ARGV: now or '', lease, number of counters, then name and count for each counter, then for each
-- report: id, numbers, state, trouble. The numbers are packed: token, period, phase, pause, seconds
-- since the last request was written or -1, 1 if the report parks the user, flags (1: the failure
-- may be the relay's doing, 2: the relay answered, 4: the relay refuses the user). Behind them
-- stands the trouble to write if the report parks the user and this script does not.
-- Answers the number of missed turns, the ids to be fetched again, the ids lost.
local REPORT = '<dddddBB'
local REST_OF_REPORT = struct.size(REPORT) + 1
-- The numbers of core/parking.py, which explains them.
local WITHIN, FEW, SHARE = 600, 3, 0.05
local now, counters = moment(ARGV[1]), tonumber(ARGV[3])
local ends, first = exact(now + tonumber(ARGV[2])), 4 + 2 * counters
local turns = read_turns(arguments(first, 4))
local phase_of_relay = redis.call('HGET', BREAKER, 'phase')
local relay_is_away = phase_of_relay and phase_of_relay ~= 'closed'
local missed, again, lost, states, troubles, well = 0, {}, {}, {}, {}, {}
local refused_now, refused_no_more, proven, would_park = {}, {}, {}, {}

local function rearm(id, turn, pause, period, phase)
  if turn.marked and not turn.updated then
    turn.marked, turn.due, turn.scheduled = false, now, now
    renew(id, turn, ends)
    again[#again + 1] = id
  else
    -- If a fetch was requested after an update, it tries the new credentials now.
    settle(id, turn, turn.marked and now or next_due(now + pause, period, phase))
  end
end

for i = first, #ARGV, 4 do
  local id = ARGV[i]
  local token, period, phase, pause, since, parks, flags = struct.unpack(REPORT, ARGV[i + 1])
  local turn = turns[id]
  if not (turn and is_leased(turn) and turn.token == token) then
    lost[#lost + 1] = id
  else
    local answered, refused = flags % 4 >= 2, flags >= 4
    local parked, trouble, excused = parks == 1, ARGV[i + 3], relay_is_away and flags % 2 == 1
    -- While the relay is away, a failure that may be its doing does not count.
    if excused then parked = false end
    if excused and refused then pause = 0 end
    -- The user was updated during the visit. The report is about what it was before.
    if turn.updated then parked, pause, trouble, excused, answered, refused = false, 0, '', false, false, false end
    if answered then proven[#proven + 1] = id end
    if pause == 0 and not parked then missed = missed + missed_turns(turn.scheduled, now, period, phase) end
    turn.abandoned = 0
    if since >= 0 then turn.last_request = now - since end
    if parked and refused then
      would_park[#would_park + 1] = {id = id, turn = turn, trouble = string.sub(ARGV[i + 1], REST_OF_REPORT),
                                     pause = pause, period = period, phase = phase}
    elseif parked then
      settle(id, turn, nil)
    else
      rearm(id, turn, pause, period, phase)
    end
    states[#states + 1], states[#states + 2] = id, ARGV[i + 2]
    if excused then
      -- The user's trouble stays as it was.
    elseif trouble == '' then
      troubles[id], well[#well + 1] = nil, id
    else
      troubles[id] = trouble
    end
    if not excused then
      local refused_ids = refused and not parked and refused_now or refused_no_more
      refused_ids[#refused_ids + 1] = id
    end
  end
end

-- A removal comes first. Redis accepts it even if it is out of memory, and then accepts the rest
-- of this script too. Otherwise users that were just fetched would be fetched again.
redis.call('HDEL', TROUBLES, '')
call_in_chunks('HDEL', TROUBLES, well)

-- A relay that refuses too many users at once is not believed. These users are asked again later,
-- and users that were parked a moment ago are woken.
local function relay_is_believed()
  if #would_park == 0 then return true end
  redis.call('ZREMRANGEBYSCORE', PARKINGS, '-inf', exact(now - WITHIN))
  for _, user in ipairs(would_park) do redis.call('ZADD', PARKINGS, exact(now), user.id) end
  return redis.call('ZCARD', PARKINGS) <= math.max(FEW, SHARE * redis.call('HLEN', TURNS))
end

local function wake_those_parked()
  for id, turn in pairs(read_turns(redis.call('ZRANGE', PARKINGS, 0, -1))) do
    if not is_leased(turn) and not redis.call('ZSCORE', DUE, id) then wake(id, turn, now) end
  end
end

if relay_is_believed() then
  for _, user in ipairs(would_park) do settle(user.id, user.turn, nil) end
else
  wake_those_parked()
  for _, user in ipairs(would_park) do
    rearm(user.id, user.turn, user.pause, user.period, user.phase)
    troubles[user.id] = user.trouble
    refused_now[#refused_now + 1] = user.id
  end
end
for id, trouble in pairs(troubles) do redis.call('HSET', TROUBLES, id, trouble) end
call_in_chunks('HSET', STATES, states)
if redis.call('EXISTS', REFUSED) == 1 then call_in_chunks('SREM', REFUSED, refused_no_more) end
call_in_chunks('SADD', REFUSED, refused_now)
if redis.call('EXISTS', UNPROVEN) == 1 then call_in_chunks('SREM', UNPROVEN, proven) end
write_all()
for i = 4, 3 + 2 * counters, 2 do add_to_tally(ARGV[i], ARGV[i + 1]) end
if missed > 0 then add_to_tally('missed_turns', string.format('%.0f', missed)) end
return {missed, again, lost}
