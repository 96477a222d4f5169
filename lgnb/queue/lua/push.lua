-- Puts entries at the head of a list that is read from either end.
-- KEYS: list.
-- ARGV: most entries (the oldest go), seconds the list lives, entries.
redis.call('LPUSH', KEYS[1], unpack(ARGV, 3))
redis.call('LTRIM', KEYS[1], 0, ARGV[1] - 1)
redis.call('EXPIRE', KEYS[1], ARGV[2])
