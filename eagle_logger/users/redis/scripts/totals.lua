-- ARGV: now or '', the lease, the lateness that counts as overdue, the age up to which a lease is
-- new (in seconds of the store's time). Answers the numbers of users, due, overdue and leased ones,
-- the earliest due time or '', the numbers of users with a trouble, of refused ones, and of leases
-- that were given or renewed within that age.
local now = moment(ARGV[1])
local newly_leased = exact(now + tonumber(ARGV[2]) - tonumber(ARGV[4]))
local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
return {redis.call('HLEN', TURNS), redis.call('ZCARD', DUE), redis.call('ZCOUNT', DUE, '-inf', exact(now - tonumber(ARGV[3]))),
        redis.call('ZCARD', LEASED), first[2] or '', redis.call('HLEN', TROUBLES), redis.call('SCARD', REFUSED),
        redis.call('ZCOUNT', LEASED, newly_leased, '+inf')}
