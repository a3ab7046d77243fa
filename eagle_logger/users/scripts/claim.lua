-- ARGV: now or '', lease, holder, ids. Answers now, then for each claimed user: id, token, due, last request or '',
-- abandoned, record, state, trouble.
local now, holder = moment(ARGV[1]), ARGV[3]
local ends = exact(now + tonumber(ARGV[2]))
local claimed = {}
for i = 4, #ARGV do
  local turn = read_turn(ARGV[i])
  -- Once more in this list, it is not free any more: its holder is set below.
  if turn and is_leased(turn) and turn.token == 0 and not claimed[ARGV[i]] then
    claimed[ARGV[i]] = turn
    claimed[#claimed + 1] = ARGV[i]
  end
end
if #claimed == 0 then return {exact(now)} end

local token = new_tokens(#claimed)
local answer = {exact(now)}
for i, id in ipairs(claimed) do
  local turn = claimed[id]
  local due, last_request, abandoned = math.min(turn.due, now), turn.last_request, turn.abandoned
  turn.token, turn.holder, turn.abandoned = token + i - 1, holder, abandoned + 1
  redis.call('ZADD', LEASED, ends, id)
  write_leased(id, turn)
  answer[#answer + 1] = {
    id, string.format('%.0f', turn.token), exact(due), last_request and exact(last_request) or '', abandoned,
    redis.call('HGET', bucket(id), id), redis.call('HGET', STATES, id), redis.call('HGET', TROUBLES, id)}
end
return answer
