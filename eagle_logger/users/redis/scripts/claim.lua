-- Claim those of these users that are leased and not claimed yet.
-- ARGV: now or '', lease, gap between two requests, holder, ids. Answers now, then for each
-- claimed user: id, numbers (packed: token, due, last request before this claim or 0, abandoned,
-- flags: 1 if a request starting now was recorded, 2 if the credentials are unproven), record,
-- state, trouble.
local now, gap, holder = moment(ARGV[1]), tonumber(ARGV[3]), ARGV[4]
local ends = exact(now + tonumber(ARGV[2]))
local ids = arguments(5, 1)
local turns, claimed = read_turns(ids), {}
for _, id in ipairs(ids) do
  local turn = turns[id]
  if turn and is_leased(turn) and turn.token == 0 then
    turn.token = -1  -- so that an id that is given twice is claimed once
    claimed[#claimed + 1] = id
  end
end
if #claimed == 0 then return {exact(now)} end

local CLAIM = '<dddI2B'

-- As core/poison_users.py has it: a death counts against a suspect only if it is fetched alone.
local alone = redis.call('GET', ALONE)
local function deaths_after(id, turn)
  return is_suspect(turn) and id ~= alone and turn.abandoned or turn.abandoned + 1
end

local token = new_tokens(#claimed)
local states, troubles = values_of(STATES, claimed), values_of(TROUBLES, claimed)
local some_unproven = redis.call('EXISTS', UNPROVEN) == 1
local answer = {exact(now)}
for i, id in ipairs(claimed) do
  local turn = turns[id]
  local before = turn.last_request
  local begun = now - before >= gap
  local flags = begun and 1 or 0
  if some_unproven then flags = flags + 2 * redis.call('SISMEMBER', UNPROVEN, id) end
  local numbers = struct.pack(CLAIM, token + i - 1, math.min(turn.due, now), math.min(before, now), turn.abandoned, flags)
  answer[i + 1] = {id, numbers, redis.call('HGET', bucket(id), id), states[i], troubles[i]}
  if before == 0 then turn.scheduled = now end  -- a user that was never visited has missed no turn
  if begun then turn.last_request = now end
  turn.token, turn.holder, turn.abandoned = token + i - 1, holder, deaths_after(id, turn)
  renew(id, turn, ends)
end
write_all()
return answer
