/* Sockets: where the Runtime API is, and where the hook will come to. */

#pragma once

#include "text.h"

struct inet { uint16_t family; unsigned char port[2], host[4], zero[8]; };

/* Read "127.0.0.1:9001" to its end; 0: it is something else (a name, IPv6), which is Python's to resolve. */
static int read_address(const char *text, struct inet *to)
{
    unsigned number = 0;
    int part = 0, digits = 0;
    to->family = 2;
    for (;; text++) {
        if (*text >= '0' && *text <= '9' && digits < 5) {
            number = number * 10 + (unsigned)(*text - '0');
            digits++;
        } else if (digits && part < 4 && number < 256 && *text == (part < 3 ? '.' : ':')) {
            to->host[part++] = (unsigned char)number;
            number = 0;
            digits = 0;
        } else if (digits && part == 4 && number < 65536 && !*text) {
            to->port[0] = (unsigned char)(number >> 8);
            to->port[1] = (unsigned char)number;
            return 1;
        } else
            return 0;
    }
}

enum { UNIX = 1, INET = 2, STREAM = 1, SEQPACKET = 5, NONBLOCK = 04000, NOSIGNAL = 0x4000 };

static int connected(const struct inet *to)
{
    int one = 1, fd = (int)call(SOCKET, INET, STREAM, 0, 0, 0);
    if (fd < 0)
        return -1;
    if (call(CONNECT, fd, P(to), sizeof *to, 0, 0) < 0) {
        call(CLOSE, fd, 0, 0, 0, 0);
        return -1;
    }
    call(SETSOCKOPT, fd, 6, 1, P(&one), sizeof one); /* TCP_NODELAY */
    return fd;
}

static int send_all(int fd, const char *bytes, size_t length)
{
    while (length) {
        long sent = call(SENDTO, fd, P(bytes), (long)length, NOSIGNAL, 0);
        if (sent <= 0)
            return 0;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 1;
}

static int sent(int fd, const struct text *request)
{
    return request->length < sizeof request->bytes && send_all(fd, request->bytes, request->length);
}

enum { PYTHON = 9 }; /* our end of the pair: of one digit, as bare-loop.sh writes to it as well */

/* Connect us, at PYTHON, with the child to come, at the descriptor returned. -1: whoever started us has left something
   open there, and nothing else may become PYTHON later. */
static int paired(void)
{
    int pair[2];
    if (call(FCNTL, PYTHON, 1 /* F_GETFD */, 0, 0, 0) >= 0 || call(SOCKETPAIR, UNIX, STREAM, 0, P(pair), 0) < 0)
        return -1;
    if (pair[1] == PYTHON)
        return pair[0];
    if (pair[0] != PYTHON) {
        call(DUP3, pair[0], PYTHON, 0, 0, 0);
        call(CLOSE, pair[0], 0, 0, 0, 0);
    }
    return pair[1];
}

/* The hook's listener: afterglow/boot.py, open_listener. -1: Python tries again, and says why it cannot be had. */
static int hook_listener(const char *api)
{
    struct { uint16_t family; char name[108]; } address = {UNIX, {0}};
    const char *prefix = "afterglow/1/";
    size_t length = 1;
    while (*prefix)
        address.name[length++] = *prefix++;
    while (*api && length < sizeof address.name)
        address.name[length++] = *api++;
    int fd = (int)call(SOCKET, UNIX, SEQPACKET | NONBLOCK, 0, 0, 0);
    if (fd < 0 || *api)
        return -1;
    if (call(BIND, fd, P(&address), (long)(2 + length), 0, 0) < 0 || call(LISTEN, fd, 64, 0, 0, 0) < 0) {
        call(CLOSE, fd, 0, 0, 0, 0);
        return -1;
    }
    return fd;
}
