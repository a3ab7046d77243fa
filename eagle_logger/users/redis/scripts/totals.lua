-- ARGV: now or '', the lateness that counts as overdue (in seconds of the store's time). Answers
-- the numbers of users, due, overdue and leased ones, the earliest due time or '', the numbers of
-- users with a trouble and of refused ones.
local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
return {redis.call('HLEN', TURNS), redis.call('ZCARD', DUE), redis.call('ZCOUNT', DUE, '-inf', exact(moment(ARGV[1]) - tonumber(ARGV[2]))),
        redis.call('ZCARD', LEASED), first[2] or '', redis.call('HLEN', TROUBLES), redis.call('SCARD', REFUSED)}
