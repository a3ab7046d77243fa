-- ARGV: now or '', lease, limit. Answers the ids leased, longest due first.
local now, limit = moment(ARGV[1]), tonumber(ARGV[3])
local ends = exact(now + tonumber(ARGV[2]))

-- ZADD before ZREM: when Redis is out of memory it refuses the first, and nothing has changed.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASED, '-inf', exact(now), 'LIMIT', 0, limit)) do
  local turn = read_turn(id)
  if turn and is_leased(turn) then give_back(id, turn) else redis.call('ZREM', LEASED, id) end
end

local due = redis.call('ZRANGEBYSCORE', DUE, '-inf', exact(now), 'WITHSCORES', 'LIMIT', 0, limit)
local ids = {}
for from = 1, #due, 2000 do
  local members, names, turns = {}, {}, {}
  for i = from, math.min(from + 1999, #due), 2 do names[#names + 1] = due[i] end
  for i, packed in ipairs(redis.call('HMGET', TURNS, unpack(names))) do
    if packed then  -- whoever strayed into the set is dropped from it; it must not stop the others
      local idle, since, id = cmsgpack.unpack(packed), tonumber(due[from + 2 * i - 1]), names[i]
      local turn = {last_request = idle[1], abandoned = idle[2]}
      lease_from(turn, since, since, false)
      ids[#ids + 1], turns[#turns + 1], turns[#turns + 2] = id, id, pack_leased(turn)
      members[#members + 1], members[#members + 2] = ends, id
    end
  end
  if #members > 0 then
    redis.call('ZADD', LEASED, unpack(members))
    redis.call('HSET', TURNS, unpack(turns))
  end
  redis.call('ZREM', DUE, unpack(names))
end
return ids
