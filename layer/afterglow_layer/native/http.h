/* One HTTP answer at a time, as afterglow/runtime_api.py reads them: when is it whole, what does it say. */

#pragma once

#include "text.h"

static char in[65536];
static size_t in_length;

/* Length of the answer in `in`; 0: not complete; -1: none that we understand. One request is on the wire at a time,
   so a chunked answer (Go's, once it outgrows a buffer) ends where the input does. */
static long whole_answer(void)
{
    const char *end = find(in, in_length, "\r\n\r\n"), *at;
    size_t body = 0, head = end ? (size_t)(end - in) + 4 : 0;
    if (in_length == sizeof in || (in_length >= 5 && !find(in, 5, "http/")))
        return -1;
    if (!end)
        return 0;
    if (find(in, head, "\r\ntransfer-encoding:"))
        return find(in + in_length - 7, 7, "\r\n0\r\n\r\n") ? (long)in_length : 0;
    at = find(in, head, "\r\ncontent-length:");
    for (at = at ? at + 17 : "\r"; *at == ' '; at++)
        ;
    for (; *at >= '0' && *at <= '9' && body < sizeof in; at++)
        body = body * 10 + (size_t)(*at - '0');
    if (*at != '\r' || body >= sizeof in)
        return -1;
    return in_length >= head + body ? (long)(head + body) : 0;
}

static int status_is_200(void) { return in_length > 12 && find(in + 8, 5, " 200 "); }

static int ends_the_connection(long length) { return find(in, (size_t)length, "\r\nconnection: close") != NULL; }

/* Read once; 0: the peer has hung up. */
static int read_more(int fd)
{
    long got = call(READ, fd, P(in + in_length), (long)(sizeof in - in_length), 0, 0);
    if (got <= 0)
        return 0;
    in_length += (size_t)got;
    return 1;
}

/* Whether the answer's body is a SHUTDOWN, however it is spaced. */
static int is_shutdown(long length)
{
    const char *at = find(in, (size_t)length, "\"eventtype\""), *end = in + length;
    if (!at)
        return 0;
    for (at += 11; at < end && (*at == ' ' || *at == ':'); at++)
        ;
    return end - at >= 10 && find(at, 10, "\"shutdown\"");
}
