-- ARGV: id. Answers nothing if there is no such user, else id, record, state, trouble, due or
-- nothing, end of lease or nothing.
local id = ARGV[1]
local record = redis.call('HGET', bucket(id), id)
if not record then return nil end
return {id, record, redis.call('HGET', STATES, id), redis.call('HGET', TROUBLES, id), redis.call('ZSCORE', DUE, id),
        redis.call('ZSCORE', LEASED, id)}
