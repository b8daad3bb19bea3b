"""The cache's scripts, which Redis runs as a whole, without anybody in between.

KEYS[1] is the register of an epoch, a hash: field "" is when it was born (ms), every other one an
id that is held: "!" and one `token@end`, or "+" and several, or what is left of several. KEYS[2..]
are documents, in the order of the ids: "=" head, newline, body; or "?" and the token of a lease.
They change with what a cache does in one step.
"""

__all__ = ["FILL", "HOLD", "READ", "RELEASE", "SCRIPTS"]

# `%.0f`: Lua would write a time of today as 1.7e+12. A read goes on where a write is refused
# (`pcall`): for a reader, a cache that is full or a replica is cold.
_PRELUDE = """
local DAY = 86400000
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function cold(limit)
    local born = tonumber(redis.call('HGET', KEYS[1], '') or '')
    if not born or born > now then
        redis.pcall('HSET', KEYS[1], '', string.format('%.0f', now))
        redis.pcall('PEXPIRE', KEYS[1], DAY)
        return true
    end
    if redis.call('PTTL', KEYS[1]) < DAY / 2 then
        redis.pcall('PEXPIRE', KEYS[1], DAY)
    end
    return now - born < limit
end

local function others(held, token)
    local alive, mine = {}, false
    for name, finish in string.gmatch(held or '', '(%w+)@(%d+)') do
        if name == token then
            mine = true
        elseif tonumber(finish) > now then
            alive[#alive + 1] = name .. '@' .. finish
        end
    end
    return alive, mine
end

local function refused(reply)
    return type(reply) == 'table' and reply.err
end
"""

# ARGV: token, ms of a lease, ms of cold, ids. Replies, for each id: the document, 1 for a lease, 0.
READ = (
    _PRELUDE
    + """
local token = '?' .. ARGV[1]
local chilly = cold(tonumber(ARGV[3]))
local held = redis.call('HMGET', KEYS[1], unpack(ARGV, 4))
local found = redis.call('MGET', unpack(KEYS, 2))
local replies = {}
for i = 1, #KEYS - 1 do
    local value = found[i]
    replies[i] = 0
    if value and string.sub(value, 1, 1) == '=' then
        replies[i] = value
    elseif value == token then
        replies[i] = 1
    elseif not value and not chilly and #others(held[i], '') == 0 then
        if not refused(redis.pcall('SET', KEYS[i + 1], token, 'PX', ARGV[2])) then
            replies[i] = 1
        end
    end
end
return replies
"""
)

# ARGV: token, ms of a hold, ms of cold, ids. Replies, for each id, the head of what it dropped.
HOLD = (
    _PRELUDE
    + """
cold(tonumber(ARGV[3]))
if redis.call('HLEN', KEYS[1]) > 10000 then
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
        if all[i] ~= '' and #others(all[i + 1], '') == 0 then
            redis.call('HDEL', KEYS[1], all[i])
        end
    end
end
local replies = {}
for i = 1, #KEYS - 1 do
    local id = ARGV[i + 3]
    local alive = others(redis.call('HGET', KEYS[1], id), ARGV[1])
    local mark = #alive == 0 and '!' or '+'
    alive[#alive + 1] = ARGV[1] .. '@' .. string.format('%.0f', now + tonumber(ARGV[2]))
    redis.call('HSET', KEYS[1], id, mark .. table.concat(alive, ','))
    local value = redis.call('GET', KEYS[i + 1])
    replies[i] = value and string.match(value, '^=([^\\n]*)\\n') or ''
    redis.call('DEL', KEYS[i + 1])
end
return replies
"""
)

# ARGV: token, s that a document stays, ms of cold, then id and document, or '', in turn.
RELEASE = (
    _PRELUDE
    + """
local chilly = cold(tonumber(ARGV[3]))
for i = 1, #KEYS - 1 do
    local id, document = ARGV[2 * i + 2], ARGV[2 * i + 3]
    local held = redis.call('HGET', KEYS[1], id)
    local alive, mine = others(held, ARGV[1])
    if mine and #alive > 0 then
        redis.pcall('HSET', KEYS[1], id, '+' .. table.concat(alive, ','))
    elseif mine then
        redis.call('HDEL', KEYS[1], id)
        if document ~= '' and not chilly and string.sub(held, 1, 1) == '!' then
            redis.pcall('SET', KEYS[i + 1], document, 'EX', ARGV[2])
        end
    end
end
return 1
"""
)

# ARGV: token, s that a document stays, documents.
FILL = """
for i = 1, #KEYS - 1 do
    if redis.call('GET', KEYS[i + 1]) == '?' .. ARGV[1] then
        redis.pcall('SET', KEYS[i + 1], ARGV[i + 2], 'EX', ARGV[2])
    end
end
return 1
"""

SCRIPTS = (READ, HOLD, RELEASE, FILL)
