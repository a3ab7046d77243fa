-- Have users fetched again that are parked or wait after failures.
-- ARGV: now or '', then for each user: id, seconds until it falls due. Answers the ids woken,
-- awake and unknown.
local now = moment(ARGV[1])
local turns = read_turns(arguments(2, 2))
local woken, awake, unknown = {}, {}, {}
for i = 2, #ARGV, 2 do
  local id = ARGV[i]
  local turn = turns[id]
  if not turn then
    unknown[#unknown + 1] = id
  elseif not is_leased(turn) and (redis.call('HEXISTS', TROUBLES, id) == 1 or not redis.call('ZSCORE', DUE, id)) then
    wake(id, turn, now + tonumber(ARGV[i + 1]))
    woken[#woken + 1] = id
  else
    awake[#awake + 1] = id
  end
end
write_all()
return {woken, awake, unknown}
