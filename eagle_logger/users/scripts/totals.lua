-- ARGV: now or '', how late is overdue (in this clock's seconds). Answers users, due, overdue, leased, the earliest due time or '', how many have any trouble, and how
-- many of those who are not parked the relay refuses.
local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
return {redis.call('HLEN', TURNS), redis.call('ZCARD', DUE), redis.call('ZCOUNT', DUE, '-inf', exact(moment(ARGV[1]) - tonumber(ARGV[2]))),
        redis.call('ZCARD', LEASED), first[2] or '', redis.call('HLEN', TROUBLES), redis.call('SCARD', REFUSED)}
