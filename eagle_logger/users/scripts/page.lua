-- ARGV: the id to start behind or '', number of users. Answers, in order of id: id, record, state, trouble, due or '',
-- end of lease or ''.
local after, wanted = ARGV[1], tonumber(ARGV[2])
local answer = {}
local first = after == '' and 0 or tonumber(string.sub(after, 1, 2), 16)
for number = first, 255 do
  local key = USERS .. string.format('%02x', number)
  local ids = redis.call('HKEYS', key)
  table.sort(ids)
  for _, id in ipairs(ids) do
    if id > after then
      answer[#answer + 1] = {
        id, redis.call('HGET', key, id), redis.call('HGET', STATES, id), redis.call('HGET', TROUBLES, id),
        redis.call('ZSCORE', DUE, id), redis.call('ZSCORE', LEASED, id)}
      if #answer == wanted then return answer end
    end
  end
end
return answer
