-- Make users that a dead holder has claimed due again, in one step through all leased users.
-- ARGV: now or '', a real second, holder, cursor. Answers the next cursor and the ids of these
-- users.
local now, second, holder = moment(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local found = redis.call('ZSCAN', LEASED, ARGV[4], 'COUNT', 500)
local ids, freed = {}, {}
for i = 1, #found[2], 2 do ids[#ids + 1] = found[2][i] end
for id, turn in pairs(read_turns(ids)) do
  if is_leased(turn) and turn.token ~= 0 and turn.holder == holder then
    turn.last_request = now  -- the process may have sent a request just before it died
    give_back(id, turn, now, second)
    freed[#freed + 1] = id
  end
end
write_all()
return {found[1], freed}
