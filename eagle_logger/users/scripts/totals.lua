-- ARGV: now or ''. Answers users, due, overdue, leased, the earliest due time or '', and how many have any trouble.
local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
return {redis.call('HLEN', TURNS), redis.call('ZCARD', DUE), redis.call('ZCOUNT', DUE, '-inf', exact(moment(ARGV[1]))),
        redis.call('ZCARD', LEASED), first[2] or '', redis.call('HLEN', TROUBLES)}
