-- Replace records that have not changed since they were read.
-- ARGV: for each user: id, record as it was read, new record. Answers the ids whose records were
-- replaced.
local written = {}
for i = 1, #ARGV, 3 do
  local key = bucket(ARGV[i])
  if redis.call('HGET', key, ARGV[i]) == ARGV[i + 1] then
    redis.call('HSET', key, ARGV[i], ARGV[i + 2])
    written[#written + 1] = ARGV[i]
  end
end
return written
