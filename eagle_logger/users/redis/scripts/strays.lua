-- ARGV: 'due' or 'leased', cursor. One step through that set. Answers the next cursor and the ids that do not belong there.
local leased = ARGV[1] == 'leased'
local found = redis.call('ZSCAN', leased and LEASED or DUE, ARGV[2], 'COUNT', 500)
local ids, strays = {}, {}
for i = 1, #found[2], 2 do ids[#ids + 1] = found[2][i] end
local turns = read_turns(ids)
for _, id in ipairs(ids) do
  local turn = turns[id]
  if not turn or is_leased(turn) ~= leased or redis.call('HEXISTS', bucket(id), id) == 0 then strays[#strays + 1] = id end
end
return {found[1], strays}
