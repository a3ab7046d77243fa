-- Record that a request to each of these users starts now, and renew its lease.
-- ARGV: now or '', lease, then for each user: id, token. Answers the ids whose claims still hold.
local now = moment(ARGV[1])
local ends = exact(now + tonumber(ARGV[2]))
local turns, held = read_turns(arguments(3, 2)), {}
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  local turn = turns[id]
  if turn and is_leased(turn) and turn.token == tonumber(ARGV[i + 1]) then
    turn.last_request = now
    renew(id, turn, ends)
    held[#held + 1] = id
  end
end
write_all()
return held
