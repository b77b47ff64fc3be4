/* The least that an extension can cost: a static program that registers, asks for events, and does nothing.
   In: AWS_LAMBDA_RUNTIME_API. Built by bench/arms.py with gcc -static -O2. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static char answer[65536];

static void give_up(const char *at)
{
    perror(at);
    exit(1);
}

/* Send a request; read one answer with a Content-Length into `answer`. */
static void ask(int fd, const char *request)
{
    size_t have = 0;
    if (write(fd, request, strlen(request)) < 0)
        give_up("write");
    for (;;) {
        ssize_t got = read(fd, answer + have, sizeof answer - 1 - have);
        if (got <= 0)
            give_up("read");
        have += (size_t)got;
        answer[have] = 0;
        char *body = strstr(answer, "\r\n\r\n");
        if (body == NULL)
            continue;
        char *length = strcasestr(answer, "\r\nContent-Length:");
        size_t wanted = length != NULL && length < body ? strtoul(length + 17, NULL, 10) : 0;
        if (have >= (size_t)(body + 4 - answer) + wanted)
            return;
    }
}

int main(void)
{
    char address[256], request[1024], id[128] = "";
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
    if (api == NULL)
        return 2;
    snprintf(address, sizeof address, "%s", api);
    char *colon = strrchr(address, ':');
    if (colon == NULL)
        return 2;
    *colon = 0;

    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(colon + 1))};
    inet_pton(AF_INET, address, &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    for (int tries = 0; connect(fd, (struct sockaddr *)&to, sizeof to) != 0; tries++) {
        if (errno != ECONNREFUSED || tries == 100) /* nothing promises that RIE listens before it starts us */
            give_up("connect");
        usleep(100);
    }

    const char *body = "{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}";
    snprintf(request, sizeof request,
             "POST /2020-01-01/extension/register HTTP/1.1\r\nHost: %s\r\nLambda-Extension-Name: native\r\n"
             "Content-Length: %zu\r\n\r\n%s", api, strlen(body), body);
    ask(fd, request);
    char *line = strcasestr(answer, "\r\nLambda-Extension-Identifier:");
    if (line == NULL)
        give_up(answer);
    sscanf(line + 30, " %127[^\r]", id);

    snprintf(request, sizeof request,
             "GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: %s\r\nLambda-Extension-Identifier: %s\r\n\r\n",
             api, id);
    do
        ask(fd, request);
    while (strstr(answer, "\"SHUTDOWN\"") == NULL);
    return 0;
}
