-- Undo a request whose message could not be sent. Users leased for it are due again, unless a
-- worker has claimed them since.
-- ARGV: now or '', key of the request or '', ids.
local now = moment(ARGV[1])
if ARGV[2] ~= '' then redis.call('DEL', ARGV[2]) end
for id, turn in pairs(read_turns(arguments(3, 1))) do
  if is_leased(turn) and turn.announced and turn.token == 0 then settle(id, turn, math.min(turn.due, now)) end
end
write_all()
