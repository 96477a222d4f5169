-- Appends protocol events of one attempt to the log of a thread and numbers them.
-- KEYS: stream, counter, fence of the run.
-- ARGV: attempt, '1' when the run has ended, milliseconds the log lives, milliseconds the counter lives, most entries,
--   bell channel, the place of the first event among those of the attempt or 0, then sextuples of event id, method,
--   namespace, name, params and run id.
-- The fence holds the newest attempt and its last place, so that a batch sent twice is appended once, or 'ended'.
-- A number is the entry's id too, so a reader finds its place by number. Where the counter is missing (a new thread, or
-- Redis lost it), counting begins at the clock's milliseconds: above every number that can have been given before.
-- Returns the last number, or false when the attempt is outdated or the run's end is logged already.
local fence = redis.call('GET', KEYS[3]) or '0 0'
if fence == 'ended' then
  return false
end
local attempt = tonumber(ARGV[1])
local newest, place = string.match(fence, '^(%d+) (%d+)$')
newest, place = tonumber(newest), tonumber(place)
if newest > attempt then
  return false
end
if newest < attempt then
  place = 0
end
local next = tonumber(ARGV[7])
local number = tonumber(redis.call('GET', KEYS[2]) or '0')
if number == 0 then
  local now = redis.call('TIME')
  number = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
end
for i = 8, #ARGV, 6 do
  if next == 0 or next > place then
    number = number + 1
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[5], string.format('%.0f-0', number), 'i', ARGV[i], 'm', ARGV[i + 1],
      'n', ARGV[i + 2], 'x', ARGV[i + 3], 'p', ARGV[i + 4], 'r', ARGV[i + 5])
    place = math.max(place, next)
  end
  if next > 0 then
    next = next + 1
  end
end
redis.call('SET', KEYS[2], string.format('%.0f', number), 'PX', ARGV[4])
redis.call('SET', KEYS[3], ARGV[2] == '1' and 'ended' or (attempt .. ' ' .. place), 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[6], 'protocol')
return string.format('%.0f', number)
