-- Puts one entry at the head of a list that is read from either end.
-- KEYS: list.
-- ARGV: entry, most entries (the oldest go), seconds the list lives.
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
