-- ARGV: holder, cursor. One step through all that is leased. Answers the next cursor and how many were given back.
local found = redis.call('ZSCAN', LEASED, ARGV[2], 'COUNT', 500)
local freed = 0
for i = 1, #found[2], 2 do
  local id = found[2][i]
  local turn = read_turn(id)
  if turn and is_leased(turn) and turn.token ~= 0 and turn.holder == ARGV[1] then
    give_back(id, turn)
    freed = freed + 1
  end
end
return {found[1], freed}
