-- Remove a user.
-- ARGV: now or '', lease, milliseconds to remember it, id. Answers 1 if there was such a user.
local now, id = moment(ARGV[1]), ARGV[4]
local turn = read_turns({id})[id]
if not turn then return 0 end
local ends = redis.call('ZSCORE', LEASED, id)
redis.call('HDEL', bucket(id), id)
redis.call('HDEL', STATES, id)
redis.call('HDEL', TROUBLES, id)
redis.call('HDEL', TURNS, id)
redis.call('SREM', UNPROVEN, id)
redis.call('SREM', REFUSED, id)
redis.call('ZREM', PARKINGS, id)
redis.call('ZREM', DUE, id)
redis.call('ZREM', LEASED, id)
-- Its gateway may be answering a request at this moment. put.lua must know if the user is added
-- again.
local lease_ends = is_leased(turn) and turn.token ~= 0 and tonumber(ends) or 0
redis.call('SET', GONE .. id, struct.pack('<ddd', now + tonumber(ARGV[2]), turn.last_request, lease_ends), 'PX', ARGV[3])
return 1
