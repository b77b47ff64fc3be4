/* Bytes: looked through, and put together. */

#pragma once

#include "kernel.h"

static size_t length_of(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* Find `what` (lower case) in any case; NULL: not there. */
static const char *find(const char *in, size_t length, const char *what)
{
    size_t wanted = length_of(what);
    for (size_t at = 0; at + wanted <= length; at++) {
        size_t same = 0;
        while (same < wanted && lower(in[at + same]) == what[same])
            same++;
        if (same == wanted)
            return in + at;
    }
    return NULL;
}

/* Requests are under 600 bytes; one that does not fit is not sent. */
struct text { char bytes[1024]; size_t length; };

static void add(struct text *to, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length && to->length < sizeof to->bytes; i++)
        to->bytes[to->length++] = bytes[i];
}
static void say(struct text *to, const char *words) { add(to, words, length_of(words)); }
static void say_number(struct text *to, int64_t number)
{
    char digits[20];
    int at = sizeof digits;
    if (number < 0) {
        say(to, "-");
        number = -number;
    }
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    add(to, digits + at, sizeof digits - (size_t)at);
}
