-- Appends a batch of events of one attempt, unless a newer attempt has written already.
-- KEYS: stream, fence.
-- ARGV: attempt, milliseconds to live, bell channels of run and thread, then triples of number, name, data.
-- The bells ring with the name of the last event, so that a listener hears the end.
-- Returns the id of the last event, or false when the attempt is outdated.
local attempt = tonumber(ARGV[1])
local newest = tonumber(redis.call('GET', KEYS[2]) or '0')
if newest > attempt then
  return false
end
redis.call('SET', KEYS[2], attempt, 'PX', ARGV[2])
local last = ''
for i = 5, #ARGV, 3 do
  last = redis.call('XADD', KEYS[1], '*', 'a', attempt, 'n', ARGV[i], 'e', ARGV[i + 1], 'd', ARGV[i + 2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[#ARGV - 1])
redis.call('PUBLISH', ARGV[4], ARGV[#ARGV - 1])
return last
