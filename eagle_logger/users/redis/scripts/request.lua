-- Have users fetched now.
-- ARGV: now or '', lease, key of the request or '', seconds to keep it, ids. Answers 1 if the
-- request was seen before, else 0 and the ids leased, marked, unknown, parked.
if ARGV[3] ~= '' and not redis.call('SET', ARGV[3], '1', 'NX', 'EX', ARGV[4]) then return {1, {}, {}, {}, {}} end
local now, ids = moment(ARGV[1]), arguments(5, 1)
local ends = exact(now + tonumber(ARGV[2]))
local turns = read_turns(ids)
local leased, marked, unknown, parked = {}, {}, {}, {}

for _, id in ipairs(ids) do
  local turn = turns[id]
  -- When the user falls due without this request; nothing if it is leased or parked.
  local scheduled = turn and not is_leased(turn) and tonumber(redis.call('ZSCORE', DUE, id) or nil)
  if not turn then
    unknown[#unknown + 1] = id
  elseif scheduled then
    lease_to(id, turn, ends, math.min(scheduled, now), scheduled, true, 0)
    leased[#leased + 1] = id
  elseif not is_leased(turn) then
    parked[#parked + 1] = id
  elseif turn.token == 0 and not turn.announced then
    -- If dispatch sent a message, it waits in a queue. The message of this request may overtake it.
    turn.announced = true
    save(id, turn)
    leased[#leased + 1] = id
  else
    turn.marked = turn.token ~= 0
    save(id, turn)
    marked[#marked + 1] = id
  end
end
write_all()
return {0, leased, marked, unknown, parked}
