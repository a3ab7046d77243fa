-- ARGV: now or '', then for each user: id, record, seconds until it falls due, state or ''.
local now = moment(ARGV[1])
for i = 2, #ARGV, 4 do
  local id, due = ARGV[i], now + tonumber(ARGV[i + 2])
  redis.call('HSET', bucket(id), id, ARGV[i + 1])
  redis.call('HDEL', TROUBLES, id)
  if ARGV[i + 3] ~= '' then redis.call('HSETNX', STATES, id, ARGV[i + 3]) end

  local turn = read_turn(id)
  if not turn then
    turn = {last_request = false, abandoned = 0}
    local gone = redis.call('GET', GONE .. id)
    if gone then
      local a = cmsgpack.unpack(gone)
      if a[1] > now then turn.last_request = a[2] end
      if a[3] and a[3] > now then
        -- Somebody may still be fetching the user that was removed: this one waits under that lease, which nobody holds.
        lease_from(turn, due, due, true)
        turn.token = new_tokens(1)
        redis.call('ZADD', LEASED, exact(a[3]), id)
      end
    end
    if is_leased(turn) then
      write_leased(id, turn)
    else
      redis.call('ZADD', DUE, exact(due), id)
      write_idle(id, turn)
    end
  elseif is_leased(turn) then
    if turn.token ~= 0 then
      turn.updated = true
      write_leased(id, turn)
    end
  else
    -- Waiting (perhaps long, after failures) or parked.
    local score = redis.call('ZSCORE', DUE, id)
    redis.call('ZADD', DUE, exact(math.min(due, tonumber(score or due))), id)
  end
end
