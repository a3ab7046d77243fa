-- ARGV: now or '', lease, then id and token for each. Answers the ids that are still their holder's.
local now = moment(ARGV[1])
local ends = exact(now + tonumber(ARGV[2]))
local held = {}
for i = 3, #ARGV, 2 do
  local id, turn = ARGV[i], read_turn(ARGV[i])
  if turn and is_leased(turn) and turn.token == tonumber(ARGV[i + 1]) then
    turn.last_request = now
    redis.call('ZADD', LEASED, ends, id)
    write_leased(id, turn)
    held[#held + 1] = id
  end
end
return held
