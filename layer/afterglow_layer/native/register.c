/* Registers the extension before there is a Python, and answers Lambda until Python takes over.

   In: AWS_LAMBDA_RUNTIME_API; as arguments, the program to go on with. Out: that program, in this very process and at
   the lowest priority, with one argument more (`hand_on` says what is in it). A child of the process keeps answering,
   and ends when Python asks it what there was. afterglow/handover.py is the other half.

   Whatever is not certain here is left to that program: without the argument it does everything itself.
   Freestanding: no libc, no memory but static buffers. Why: docs/decisions/0014-a-launcher-before-python.md.
   Built by `make native`, checked in with its sums. */

#include "answerer.h"

/* Subscribe as afterglow/subscription.py does. Now: Lambda takes subscriptions during Init alone, and Python may
   come too late for that. */
static void subscribe(const char *api, const struct inet *to, const struct text *id, int *listener, int *sock)
{
    struct inet own = {INET, {0}, {0}, {0}};
    int size = sizeof own;
    struct text body = {{0}, 0}, request = {{0}, 0};
    *sock = -1;
    *listener = (int)call(SOCKET, INET, STREAM | NONBLOCK, 0, 0, 0);
    if (*listener < 0 || call(BIND, *listener, P(&own), sizeof own, 0, 0) < 0 || call(LISTEN, *listener, 16, 0, 0, 0) < 0
        || call(GETSOCKNAME, *listener, P(&own), P(&size), 0, 0) < 0)
        return;
    say(&body, "{\"schemaVersion\":\"2025-01-29\",\"types\":[\"platform\"],\"buffering\":{\"maxItems\":1000,"
               "\"maxBytes\":262144,\"timeoutMs\":25},\"destination\":{\"protocol\":\"HTTP\","
               "\"URI\":\"http://sandbox.localdomain:");
    say_number(&body, own.port[0] << 8 | own.port[1]);
    say(&body, "\"}}");
    say(&request, "PUT /2022-07-01/telemetry HTTP/1.1\r\nHost: ");
    say(&request, api);
    say(&request, "\r\nContent-Type: application/json\r\nLambda-Extension-Identifier: ");
    add(&request, id->bytes, id->length);
    say(&request, "\r\nContent-Length: ");
    say_number(&request, (int64_t)body.length);
    say(&request, "\r\n\r\n");
    add(&request, body.bytes, body.length);
    *sock = connected(to);
    if (*sock >= 0)
        sent(*sock, &request);
}

static int telemetry_is_off(const char *value)
{
    size_t length = length_of(value);
    return (length == 3 && find(value, 3, "off")) || (length == 1 && *value == '0')
        || (length == 5 && find(value, 5, "false"));
}

static const char *variable(char **environ, const char *name)
{
    for (size_t length = length_of(name); *environ; environ++) {
        size_t same = 0;
        while (same < length && (*environ)[same] == name[same])
            same++;
        if (same == length && (*environ)[length] == '=')
            return *environ + length + 1;
    }
    return NULL;
}

struct handed_on { int api, listener, telemetry_listener, telemetry; long child; int64_t started_ns, cpu_ns; };

static void hand_on(const struct handed_on *what, struct text *to)
{
    int64_t numbers[] = {PYTHON, what->api, what->listener, what->telemetry_listener, what->telemetry, what->child,
                         what->started_ns, what->cpu_ns};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (i)
            say(to, ",");
        say_number(to, numbers[i]);
    }
    add(to, "", 1);
}

/* Register over `fd`; 0: it was refused, or nothing that we know was said. Then `in` holds the answer. */
static long registered(int fd, const char *api, struct text *id)
{
    static struct text request;
    long length;
    say(&request, "POST /2020-01-01/extension/register HTTP/1.1\r\nHost: ");
    say(&request, api);
    say(&request, "\r\nContent-Length: 32\r\nLambda-Extension-Name: afterglow\r\n"
                  "Lambda-Extension-Accept-Feature: accountId\r\n\r\n{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}");
    if (!sent(fd, &request))
        return 0;
    while ((length = whole_answer()) == 0)
        if (!read_more(fd))
            return 0;
    const char *line = length > 0 ? find(in, (size_t)length, "\r\nlambda-extension-identifier:") : NULL;
    if (!line || !status_is_200())
        return 0;
    for (line += 30; *line == ' '; line++)
        ;
    for (; *line != '\r'; line++)
        add(id, line, 1);
    return id->length ? length : 0;
}

static void close_all(const struct handed_on *what, int child_end)
{
    call(CLOSE, what->api, 0, 0, 0, 0);
    call(CLOSE, what->listener, 0, 0, 0, 0);
    call(CLOSE, child_end, 0, 0, 0, 0);
    call(CLOSE, PYTHON, 0, 0, 0, 0);
}

/* In the child: let go of what is Python's, or others would find it open when nobody listens any more. */
static void close_pythons(const struct handed_on *what)
{
    call(CLOSE, PYTHON, 0, 0, 0, 0);
    call(CLOSE, what->listener, 0, 0, 0, 0);
    call(CLOSE, what->telemetry_listener, 0, 0, 0, 0);
    call(CLOSE, what->telemetry, 0, 0, 0, 0);
}

static void ask_for_next(struct text *next, const char *api, const struct text *id, int fd)
{
    say(next, "GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: ");
    say(next, api);
    say(next, "\r\nContent-Length: 0\r\nLambda-Extension-Identifier: ");
    add(next, id->bytes, id->length);
    say(next, "\r\n\r\n");
    pending = sent(fd, next);
}

/* Do all that the cold start waits for; `inherits` stays empty where that cannot be. */
static void be_first(const char *api, char **environ, struct text *inherits)
{
    static struct text next, id;
    struct handed_on what = {-1, -1, -1, -1, 0, now_ns(MONOTONIC), now_ns(PROCESS_CPU)};
    struct inet to = {0, {0}, {0}, {0}};
    int child_end = read_address(api, &to) ? paired() : -1; /* first, while PYTHON is free */
    if (child_end < 0)
        return;
    what.listener = hook_listener(api);
    what.api = connected(&to);
    long length = what.api < 0 ? 0 : registered(what.api, api, &id);
    if (length == 0) {
        close_all(&what, child_end);
        return;
    }
    keep('R', now_ns(MONOTONIC), in, (size_t)length);
    if (ends_the_connection(length)) {
        call(CLOSE, what.api, 0, 0, 0, 0);
        what.api = connected(&to);
    }
    drop_front((size_t)length);
    ask_for_next(&next, api, &id, what.api);
    const char *wish = variable(environ, "AFTERGLOW_TELEMETRY");
    if (!wish || !telemetry_is_off(wish))
        subscribe(api, &to, &id, &what.telemetry_listener, &what.telemetry);
    what.child = call(CLONE, 17 /* SIGCHLD */, 0, 0, 0, 0);
    if (what.child == 0) {
        close_pythons(&what);
        answer_until_asked(what.api, child_end, &next);
    }
    if (what.child < 0) { /* no process to be had: Python is told at once that it has to answer */
        keep('L', pending, in, in_length);
        send_all(child_end, out, out_length);
    }
    call(CLOSE, child_end, 0, 0, 0, 0);
    hand_on(&what, inherits);
    call(SETPRIORITY, 0, 0, 19, 0, 0); /* the function goes first */
}

__attribute__((used)) void begin(long *stack)
{
    long count = stack[0];
    char **arguments = (char **)(stack + 1), **environ = arguments + count + 1;
    static struct text inherits;
    static char *command[16];
    const char *api = variable(environ, "AWS_LAMBDA_RUNTIME_API");
    if (api && count > 1 && count < 15)
        be_first(api, environ, &inherits);
    for (long i = 1; i < count; i++)
        command[i - 1] = arguments[i];
    if (inherits.length)
        command[count - 1] = inherits.bytes;
    call(EXECVE, P(command[0]), P(command), P(environ), 0, 0);
    call(EXIT_GROUP, 127, 0, 0, 0, 0);
}
