-- ARGV: now or '', lease, number of counters, then name and count for each counter, then for each report: id, token,
-- period, phase, pause, 1 if parked else 0, state, trouble. Answers the number of missed turns, the ids to be fetched
-- again, the ids lost.
local now, counters = moment(ARGV[1]), tonumber(ARGV[3])
local ends = exact(now + tonumber(ARGV[2]))
local missed, again, lost = 0, {}, {}

for i = 4 + 2 * counters, #ARGV, 8 do
  local id, turn = ARGV[i], read_turn(ARGV[i])
  if not (turn and is_leased(turn) and turn.token == tonumber(ARGV[i + 1])) then
    lost[#lost + 1] = id
  else
    local period, phase, pause = tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
    local parked, state, trouble = ARGV[i + 5] == '1', ARGV[i + 6], ARGV[i + 7]
    if turn.updated then parked, pause, trouble = false, 0, '' end
    if pause == 0 and not parked then missed = missed + missed_turns(turn.scheduled, now, period, phase) end
    turn.abandoned = 0
    if turn.marked and not turn.updated and not parked then
      turn.marked, turn.due, turn.scheduled = false, now, now
      redis.call('ZADD', LEASED, ends, id)
      write_leased(id, turn)
      again[#again + 1] = id
    else
      -- ZREM first: Redis takes it even when out of memory, and then the rest of this script too, so that what was
      -- fetched is not fetched again.
      redis.call('ZREM', LEASED, id)
      if not parked then
        -- Whoever asked after an update wants to see the new credentials tried.
        local due = turn.marked and now or next_due(now + pause, period, phase)
        redis.call('ZADD', DUE, exact(due), id)
      end
      write_idle(id, turn)
    end
    redis.call('HSET', STATES, id, state)
    if trouble == '' then redis.call('HDEL', TROUBLES, id) else redis.call('HSET', TROUBLES, id, trouble) end
  end
end

for i = 4, 3 + 2 * counters, 2 do redis.call('HINCRBY', 'eagle:tally', ARGV[i], ARGV[i + 1]) end
if missed > 0 then redis.call('HINCRBY', 'eagle:tally', 'missed_turns', string.format('%.0f', missed)) end
return {missed, again, lost}
