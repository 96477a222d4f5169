-- Appends an update of a thread's state to the thread's log of updates.
-- KEYS: stream, id of the newest update.
-- ARGV: data, milliseconds the log lives, milliseconds the id of the newest update lives, most entries, bell channel.
-- Each entry names its predecessor, so that a reader sees whether one is missing between its place and the entry.
local previous = redis.call('GET', KEYS[2]) or ''
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', 'd', ARGV[1], 'p', previous)
redis.call('SET', KEYS[2], id, 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[5], 'update')
return id
