-- ARGV: ids in order. Answers five lists, with a value or nothing for each id: records, states,
-- troubles, due times, ends of leases.
local ids = arguments(1, 1)
local records, some = {}, {}
for i = 1, #ids do
  some[#some + 1] = ids[i]
  if i == #ids or bucket(ids[i + 1]) ~= bucket(ids[i]) then
    local found = values_of(bucket(ids[i]), some)
    for k = 1, #some do records[#records + 1] = found[k] end
    some = {}
  end
end
return {records, values_of(STATES, ids), values_of(TROUBLES, ids), redis.call('ZMSCORE', DUE, unpack(ids)),
        redis.call('ZMSCORE', LEASED, unpack(ids))}
