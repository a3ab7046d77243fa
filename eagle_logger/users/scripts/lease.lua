-- ARGV: now or '', lease, limit. Answers the ids leased, longest due first.
local now, limit = moment(ARGV[1]), tonumber(ARGV[3])
local ends = exact(now + tonumber(ARGV[2]))

local function up_to_now(set) return redis.call('ZRANGEBYSCORE', set, '-inf', exact(now), 'WITHSCORES', 'LIMIT', 0, limit) end

local function every_second(words)
  local found = {}
  for i = 1, #words, 2 do found[#found + 1] = words[i] end
  return found
end

-- Whoever strayed into a set is dropped from it: it must not stop the others.
local ended = every_second(up_to_now(LEASED))
local turns = read_turns(ended)
for _, id in ipairs(ended) do
  local turn = turns[id]
  if turn and is_leased(turn) then give_back(id, turn) else out_of_leased[#out_of_leased + 1] = id end
end
write_all()

local due = up_to_now(DUE)
local ids, leased = every_second(due), {}
turns = read_turns(ids)
for i, id in ipairs(ids) do
  local since = tonumber(due[2 * i])
  if turns[id] then
    lease_to(id, turns[id], ends, since, since, false, 0)
    leased[#leased + 1] = id
  else
    out_of_due[#out_of_due + 1] = id
  end
end
write_all()
return leased
