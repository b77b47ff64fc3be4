/* What goes on while Python starts: events are answered, and kept for it. */

#pragma once

#include "http.h"
#include "oom.h"
#include "sockets.h"

enum { HEAD = 13, ROOM = 131072 };
static char out[ROOM + HEAD + sizeof in]; /* what is left unread fits always */
static size_t out_length;

/* Keep an entry for Python: kind, a number, a length, bytes. 0: there is no room for it. */
static int keep(char kind, int64_t number, const char *bytes, size_t length)
{
    uint32_t size = (uint32_t)length;
    if (out_length + HEAD + length > (kind == 'L' ? sizeof out : ROOM))
        return 0;
    out[out_length] = kind;
    memcpy(out + out_length + 1, &number, 8);
    memcpy(out + out_length + 9, &size, 4);
    memcpy(out + out_length + HEAD, bytes, length);
    out_length += HEAD + length;
    return 1;
}

static void drop_front(size_t length)
{
    for (size_t i = length; i < in_length; i++)
        in[i - length] = in[i];
    in_length -= length;
}

struct pollfd { int fd; short events, revents; };
static int pending, reading = 1, full, alone;

/* Deal with what has come: keep it for Python, ask for the next event. */
static void answer(int api, const struct text *next)
{
    int64_t at_ns = now_ns(MONOTONIC);
    long length;
    while (reading && (length = whole_answer()) != 0) {
        full = length > 0 && !alone && !keep('E', at_ns, in, (size_t)length);
        if (length < 0 || full) {
            reading = 0; /* Python finds it in what is left */
            return;
        }
        pending = 0;
        if (alone && is_shutdown(length))
            call(EXIT_GROUP, 0, 0, 0, 0, 0);
        reading = status_is_200() && !is_shutdown(length) && !ends_the_connection(length);
        drop_front((size_t)length);
        if (reading)
            pending = sent(api, next);
    }
}

/* Answer until Python wants to know what there was, by ending its half of the connection. A byte instead says that
   there is no Python here, and will be none: then answer until SHUTDOWN. */
static void answer_until_asked(int api, int python, const struct text *next)
{
    char word;
    keep('K', oom_kills(), in, 0);
    send_all(python, out, out_length); /* at once: with it, Python can go on even if we are killed */
    out_length = 0;
    for (;;) {
        struct pollfd ready[2] = {{python, 1, 0}, {reading ? api : -1, 1, 0}};
        if (call(PPOLL, P(ready), 2, 0, 0, 8) < 0)
            continue;
        if (ready[0].revents) {
            if (call(READ, python, P(&word), 1, 0, 0) <= 0)
                break;
            alone = 1;
            reading |= full;
        }
        if (ready[1].revents)
            reading = read_more(api); /* 0: Python finds the connection closed, too */
        answer(api, next);
        if (alone && !reading)
            break;
    }
    keep('L', pending, in, in_length);
    send_all(python, out, out_length);
    call(EXIT_GROUP, 0, 0, 0, 0, 0);
}
