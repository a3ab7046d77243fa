-- ARGV: now or '', the lateness that counts as overdue (in this clock's seconds). Answers users, due, overdue, leased, the earliest
-- due time or '', how many users have any trouble, and how many the relay refuses who are not parked.
local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
return {redis.call('HLEN', TURNS), redis.call('ZCARD', DUE), redis.call('ZCOUNT', DUE, '-inf', exact(moment(ARGV[1]) - tonumber(ARGV[2]))),
        redis.call('ZCARD', LEASED), first[2] or '', redis.call('HLEN', TROUBLES), redis.call('SCARD', REFUSED)}
