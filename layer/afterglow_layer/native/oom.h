/* How many processes the kernel has killed for memory so far, as afterglow/proc.py reads it (read_oom_kills): Python
   may come when the function's has been killed already, and could not tell one from the other. */

#pragma once

#include "text.h"

enum { HERE = -100, UNKNOWN = -1 }; /* AT_FDCWD */

static size_t read_file(const char *path, char *to, size_t room)
{
    long fd = call(OPENAT, HERE, P(path), 0, 0, 0), got = 0;
    size_t length = 0;
    while (fd >= 0 && length < room && (got = call(READ, fd, P(to + length), (long)(room - length), 0, 0)) > 0)
        length += (size_t)got;
    if (fd >= 0)
        call(CLOSE, fd, 0, 0, 0, 0);
    return length;
}

/* The number behind "oom_kill" at the start of a line of that file; UNKNOWN: no such file, or no such line. */
static int64_t kills_in(const struct text *path)
{
    static char file[16384];
    size_t length = 1 + read_file(path->bytes, file + 1, sizeof file - 2);
    int64_t number = 0;
    file[0] = '\n';
    file[length] = 0;
    const char *at = find(file, length, "\noom_kill ");
    if (!at)
        return UNKNOWN;
    for (at += 10; *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (*at - '0');
    return number;
}

static int64_t kills_of_group(const char *folder, const char *path, size_t length, const char *name)
{
    struct text whole = {{0}, 0};
    say(&whole, "/sys/fs/cgroup");
    say(&whole, folder);
    add(&whole, path, length);
    say(&whole, name);
    return whole.length < sizeof whole.bytes ? kills_in(&whole) : UNKNOWN;
}

/* Of our own cgroup (v2: memory.events, v1: memory.oom_control), else of this machine. */
static int64_t oom_kills(void)
{
    static char groups[4096];
    size_t length = read_file("/proc/self/cgroup", groups, sizeof groups);
    int64_t kills = UNKNOWN;
    for (size_t at = 0, end; at < length && kills == UNKNOWN; at = end + 1) {
        size_t names = at, path;
        for (end = at; end < length && groups[end] != '\n'; end++)
            ;
        while (names < end && groups[names] != ':')
            names++;
        for (path = names + 1; path < end && groups[path] != ':'; path++)
            ;
        if (path++ >= end)
            continue;
        size_t size = end - path;
        if (find(groups + names, path - names, "memory"))
            kills = kills_of_group("/memory", groups + path, size, "/memory.oom_control");
        else if (names == at + 1 && groups[at] == '0') {
            kills = kills_of_group("", groups + path, size, "/memory.events");
            if (kills == UNKNOWN)
                kills = kills_of_group("/unified", groups + path, size, "/memory.events");
        }
    }
    static const struct text machine = {"/proc/vmstat", 12};
    return kills == UNKNOWN ? kills_in(&machine) : kills;
}
