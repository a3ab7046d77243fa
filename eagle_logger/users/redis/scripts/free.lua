-- ARGV: now or '', a real second, holder, cursor. One step through all that is leased. Answers the next cursor and who was given back.
local now, second, holder = moment(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local found = redis.call('ZSCAN', LEASED, ARGV[4], 'COUNT', 500)
local ids, freed = {}, {}
for i = 1, #found[2], 2 do ids[#ids + 1] = found[2][i] end
for id, turn in pairs(read_turns(ids)) do
  if is_leased(turn) and turn.token ~= 0 and turn.holder == holder then
    turn.last_request = now  -- it may have written its request with its last breath
    give_back(id, turn, now, second)
    freed[#freed + 1] = id
  end
end
write_all()
return {found[1], freed}
