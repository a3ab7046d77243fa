-- Add or update users.
-- ARGV: now or '', then for each user: id, record, seconds until it falls due, state or ''.
local now = moment(ARGV[1])
local turns = read_turns(arguments(2, 4))

-- A worker may still be fetching a removed user of the same id. Then the new user waits under that
-- lease, which no worker holds, and its next request keeps its distance from that one.
local function start(id, due)
  local turn = {last_request = 0, abandoned = 0}
  local gone = redis.call('GET', GONE .. id)
  if gone then
    local remembered_until, last_request, lease_ends = struct.unpack('<ddd', gone)
    if remembered_until > now then turn.last_request = last_request end
    if lease_ends > now then
      lease_to(id, turn, exact(lease_ends), due, due, true, new_tokens(1))
      return turn
    end
  end
  settle(id, turn, due)
  return turn
end

for i = 2, #ARGV, 4 do
  local id, due = ARGV[i], now + tonumber(ARGV[i + 2])
  local turn = turns[id]
  redis.call('HSET', bucket(id), id, ARGV[i + 1])
  redis.call('HDEL', TROUBLES, id)
  redis.call('SREM', REFUSED, id)
  -- A restored state proves its own credentials.
  local restored = ARGV[i + 3] ~= '' and redis.call('HSETNX', STATES, id, ARGV[i + 3]) == 1
  redis.call(restored and 'SREM' or 'SADD', UNPROVEN, id)
  if not turn then
    turns[id] = start(id, due)
  elseif is_leased(turn) then
    turn.updated, turn.abandoned = turn.token ~= 0, 0
    save(id, turn)
  else
    wake(id, turn, due)
  end
end
write_all()
