-- ARGV: now or '', lease, number of counters, then name and count for each counter, then for each report: id, numbers (packed:
-- token, period, phase, pause, seconds since the last request was written or -1, 1 if parked, 1 if it may be the relay's
-- doing), state, trouble. Answers the number of missed turns, the ids to be fetched again, the ids lost.
local REPORT = '<dddddBB'
local now, counters = moment(ARGV[1]), tonumber(ARGV[3])
local ends, first = exact(now + tonumber(ARGV[2])), 4 + 2 * counters
local turns = read_turns(arguments(first, 4))
local phase_of_relay = redis.call('HGET', BREAKER, 'phase')
local relay_is_away = phase_of_relay and phase_of_relay ~= 'closed'
local missed, again, lost, states, troubles, well = 0, {}, {}, {}, {}, {}

for i = first, #ARGV, 4 do
  local id = ARGV[i]
  local token, period, phase, pause, since, parks, blames_relay =
    struct.unpack(REPORT, ARGV[i + 1])
  local turn = turns[id]
  if not (turn and is_leased(turn) and turn.token == token) then
    lost[#lost + 1] = id
  else
    local parked, trouble, excused = parks == 1, ARGV[i + 3], relay_is_away and blames_relay == 1
    if excused then parked = false end
    if turn.updated then parked, pause, trouble, excused = false, 0, '', false end
    if pause == 0 and not parked then missed = missed + missed_turns(turn.scheduled, now, period, phase) end
    turn.abandoned = 0
    if since >= 0 then turn.last_request = now - since end
    if parked then
      settle(id, turn, nil)
    elseif turn.marked and not turn.updated then
      turn.marked, turn.due, turn.scheduled = false, now, now
      renew(id, turn, ends)
      again[#again + 1] = id
    else
      -- Whoever asked after an update wants to see the new credentials tried.
      settle(id, turn, turn.marked and now or next_due(now + pause, period, phase))
    end
    states[#states + 1], states[#states + 2] = id, ARGV[i + 2]
    if excused then
      -- What is wrong with the user stays what it was.
    elseif trouble == '' then
      troubles[id], well[#well + 1] = nil, id
    else
      troubles[id] = trouble
    end
  end
end

-- A removal first: Redis takes it even when it is out of memory, and then the rest of this script too, so that what was
-- fetched is not fetched again.
redis.call('HDEL', TROUBLES, '')
call_in_chunks('HDEL', TROUBLES, well)
for id, trouble in pairs(troubles) do redis.call('HSET', TROUBLES, id, trouble) end
call_in_chunks('HSET', STATES, states)
write_all()
local function count(name, more)
  -- A counter that is no number begins anew: no report may be lost over it.
  if type(redis.pcall('HINCRBY', 'eagle:tally', name, more)) == 'table' then redis.call('HSET', 'eagle:tally', name, more) end
end
for i = 4, 3 + 2 * counters, 2 do count(ARGV[i], ARGV[i + 1]) end
if missed > 0 then count('missed_turns', string.format('%.0f', missed)) end
return {missed, again, lost}
