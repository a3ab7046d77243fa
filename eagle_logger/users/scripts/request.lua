-- ARGV: now or '', lease, key of the request or '', seconds to keep it, ids. Answers 1 if the request was seen before,
-- else 0 and the ids leased, marked, unknown, parked.
if ARGV[3] ~= '' and not redis.call('SET', ARGV[3], '1', 'NX', 'EX', ARGV[4]) then return {1, {}, {}, {}, {}} end
local now = moment(ARGV[1])
local ends = exact(now + tonumber(ARGV[2]))
local leased, marked, unknown, parked = {}, {}, {}, {}

for i = 5, #ARGV do
  local id, turn = ARGV[i], read_turn(ARGV[i])
  if not turn then
    unknown[#unknown + 1] = id
  elseif is_leased(turn) and turn.token ~= 0 then
    turn.marked = true
    write_leased(id, turn)
    marked[#marked + 1] = id
  elseif is_leased(turn) and turn.announced then
    marked[#marked + 1] = id
  elseif is_leased(turn) then
    turn.announced = true
    write_leased(id, turn)
    leased[#leased + 1] = id
  else
    local scheduled = redis.call('ZSCORE', DUE, id)
    if scheduled then
      scheduled = tonumber(scheduled)
      lease_from(turn, math.min(scheduled, now), scheduled, true)
      redis.call('ZADD', LEASED, ends, id)
      redis.call('ZREM', DUE, id)
      write_leased(id, turn)
      leased[#leased + 1] = id
    else
      parked[#parked + 1] = id
    end
  end
end
return {0, leased, marked, unknown, parked}
