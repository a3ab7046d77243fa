-- ARGV: now or '', lease, milliseconds to remember it, id. Answers 1 if there was such a user.
local now, id = moment(ARGV[1]), ARGV[4]
local turn = read_turn(id)
if not turn then return 0 end
local ends = redis.call('ZSCORE', LEASED, id)
redis.call('HDEL', bucket(id), id)
redis.call('HDEL', STATES, id)
redis.call('HDEL', TROUBLES, id)
redis.call('HDEL', TURNS, id)
redis.call('ZREM', DUE, id)
redis.call('ZREM', LEASED, id)
-- Its gateway may be answering a request this moment: whoever adds the user again shall know.
local until_then = turn.token and turn.token ~= 0 and tonumber(ends) or false
local gone = cmsgpack.pack({now + tonumber(ARGV[2]), turn.last_request, until_then})
redis.call('SET', GONE .. id, gone, 'PX', ARGV[3])
return 1
