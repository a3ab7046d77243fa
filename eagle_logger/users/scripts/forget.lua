-- ARGV: key of the request or '', ids. Those that were announced and that nobody has claimed since are due again.
if ARGV[1] ~= '' then redis.call('DEL', ARGV[1]) end
for id, turn in pairs(read_turns(arguments(2, 1))) do
  if is_leased(turn) and turn.announced and turn.token == 0 then settle(id, turn, turn.due) end
end
write_all()
