-- Appends a batch of events of one attempt, unless a newer attempt has written already.
-- KEYS: stream, fence.
-- ARGV: attempt, milliseconds to live, bell channels of run and thread, what the bell of the run tells before it rings or
-- '', then triples of number, name, data.
-- The fence holds the newest attempt and its last number, so that a batch sent twice is appended once.
-- The bells ring with the name of the last event, so that a listener hears the end.
-- Returns the id of the last event, '' when all were there already, or false when the attempt is outdated.
local attempt = tonumber(ARGV[1])
local fence = redis.call('GET', KEYS[2]) or '0 -1'
local newest, number = string.match(fence, '^(%d+) (-?%d+)$')
newest, number = tonumber(newest), tonumber(number)
if newest > attempt then
  return false
end
if newest < attempt then
  number = -1
end
local last = ''
for i = 6, #ARGV, 3 do
  if tonumber(ARGV[i]) > number then
    number = tonumber(ARGV[i])
    last = redis.call('XADD', KEYS[1], '*', 'a', attempt, 'n', ARGV[i], 'e', ARGV[i + 1], 'd', ARGV[i + 2])
  end
end
redis.call('SET', KEYS[2], attempt .. ' ' .. number, 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if ARGV[5] ~= '' then
  redis.call('PUBLISH', ARGV[3], ARGV[5])
end
redis.call('PUBLISH', ARGV[3], ARGV[#ARGV - 1])
redis.call('PUBLISH', ARGV[4], ARGV[#ARGV - 1])
return last
