/* A model provider that costs nothing: OpenAI's chat completions over HTTP/1.1 on 127.0.0.1, one thread, epoll.
 *
 * Every POST gets the same reply of about 1.28 KB with usage; with "stream":true it gets EVENTS content events
 * of about 240 bytes, one write each, PACE ms apart (0: as fast as the socket takes them), a finishing chunk, a
 * usage chunk when "include_usage":true stands in the body, and [DONE]. GET answers 200 (readiness). It reads
 * bodies by Content-Length only, and it never looks at the key.
 *
 * usage: mock PORT [EVENTS=100] [PACE_MS=10]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 16384, READ_BYTES = 65536 };

typedef struct {
    char *in;
    size_t in_len, in_cap;
    char *out; /* what the socket did not take at once */
    size_t out_at, out_len, out_cap;
    int open;
    int streaming, next_event, wants_usage, active_at;
    long long due_ns;
} Conn;

static Conn conns[MAX_FD];
static int active[MAX_FD];
static int n_active;
static int epfd;
static int events_per_stream = 100;
static long long pace_ns = 10 * 1000000LL;
static char reply[4096];
static size_t reply_len;

static const char *const WORDS[] = {"the",  "answer", "begins",   "here", "uma",   "resposta", "curta",   "with",
                                    "some", "plain",  "palavras", "that", "carry", "nothing",  "segredo", "at all"};

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void build_reply(void) {
    char body[2048];
    char text[1024] = "";
    for (size_t i = 0; strlen(text) < 870; i++) {
        strcat(text, WORDS[(i * 7 + i / 16) % 16]);
        strcat(text, i % 12 == 11 ? ". " : " ");
    }
    int len = snprintf(body, sizeof body,
                       "{\"id\":\"chatcmpl-bench0000000000000000000001\",\"object\":\"chat.completion\",\"created\":1790000000,"
                       "\"model\":\"mock\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\","
                       "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":480,"
                       "\"completion_tokens\":190,\"total_tokens\":670,\"prompt_tokens_details\":{\"cached_tokens\":0},"
                       "\"completion_tokens_details\":{\"reasoning_tokens\":0}},\"system_fingerprint\":\"fp_bench\"}",
                       text);
    reply_len = (size_t)snprintf(reply, sizeof reply,
                                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len, body);
}

static void drop(int fd) {
    Conn *c = &conns[fd];
    if (c->streaming) {
        int last = active[--n_active];
        active[c->active_at] = last;
        conns[last].active_at = c->active_at;
    }
    c->streaming = 0;
    c->open = 0;
    c->in_len = c->out_at = c->out_len = 0;
    close(fd);
}

static void watch(int fd, unsigned mask) {
    struct epoll_event e = {.events = mask, .data.fd = fd};
    epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &e);
}

/* Returns 0 when the peer is gone and the connection was dropped. */
static int put(int fd, const char *data, size_t len) {
    Conn *c = &conns[fd];
    if (c->out_len == c->out_at) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            drop(fd);
            return 0;
        }
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
        if (len == 0) return 1;
        c->out_at = c->out_len = 0;
        watch(fd, EPOLLIN | EPOLLOUT);
    }
    if (c->out_len + len > c->out_cap) {
        c->out_cap = (c->out_len + len) * 2;
        c->out = realloc(c->out, c->out_cap);
    }
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
    return 1;
}

static int put_chunk(int fd, const char *data, size_t len) {
    char framed[1024];
    size_t n = (size_t)snprintf(framed, sizeof framed, "%zx\r\n", len);
    memcpy(framed + n, data, len);
    memcpy(framed + n + len, "\r\n", 2);
    return put(fd, framed, n + len + 2);
}

static const char EVENT[] =
    "data: {\"id\":\"chatcmpl-bench0000000000000000000001\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,"
    "\"model\":\"mock\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{\"index\":0,\"delta\":{%s},\"logprobs\":null,"
    "\"finish_reason\":%s}]%s}\n\n";

static int put_event(int fd, int number) {
    char delta[96];
    char data[768];
    snprintf(delta, sizeof delta, number == 0 ? "\"role\":\"assistant\",\"content\":\"%s\"" : "\"content\":\" %s\"",
             WORDS[(number * 7 + number / 16) % 16]);
    int n = snprintf(data, sizeof data, EVENT, delta, "null", "");
    return put_chunk(fd, data, (size_t)n);
}

static int put_end(int fd) {
    Conn *c = &conns[fd];
    char data[768];
    int n = snprintf(data, sizeof data, EVENT, "", "\"stop\"", "");
    if (!put_chunk(fd, data, (size_t)n)) return 0;
    if (c->wants_usage) {
        n = snprintf(data, sizeof data,
                     "data: {\"id\":\"chatcmpl-bench0000000000000000000001\",\"object\":\"chat.completion.chunk\","
                     "\"created\":1790000000,\"model\":\"mock\",\"choices\":[],\"usage\":{\"prompt_tokens\":480,"
                     "\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
                     events_per_stream, 480 + events_per_stream);
        if (!put_chunk(fd, data, (size_t)n)) return 0;
    }
    return put_chunk(fd, "data: [DONE]\n\n", 14) && put(fd, "0\r\n\r\n", 5);
}

/* Sends what is due on a stream. Returns 0 when the connection is gone. */
static int advance(int fd, long long now) {
    Conn *c = &conns[fd];
    while (c->streaming && c->due_ns <= now) {
        if (c->next_event < events_per_stream) {
            if (!put_event(fd, c->next_event++)) return 0;
            c->due_ns += pace_ns;
            continue;
        }
        int last = active[--n_active];
        active[c->active_at] = last;
        conns[last].active_at = c->active_at;
        c->streaming = 0;
        return put_end(fd);
    }
    return 1;
}

static int begin_stream(int fd, const char *body, size_t len) {
    static const char HEAD[] =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    Conn *c = &conns[fd];
    c->wants_usage = memmem(body, len, "\"include_usage\":true", 20) || memmem(body, len, "\"include_usage\": true", 21);
    if (!put(fd, HEAD, sizeof HEAD - 1)) return 0;
    c->streaming = 1;
    c->next_event = 0;
    c->due_ns = now_ns();
    c->active_at = n_active;
    active[n_active++] = fd;
    return advance(fd, c->due_ns);
}

/* Answers every whole request that has been read. Returns 0 when the connection is gone. */
static int answer(int fd) {
    Conn *c = &conns[fd];
    size_t at = 0;
    while (!c->streaming && at < c->in_len) {
        char *start = c->in + at;
        size_t left = c->in_len - at;
        char *end = memmem(start, left, "\r\n\r\n", 4);
        if (end == NULL) break;
        size_t head = (size_t)(end - start) + 4;
        size_t length = 0;
        for (char *line = memchr(start, '\n', head); line != NULL && line < end; line = memchr(line + 1, '\n', (size_t)(end - line))) {
            if (strncasecmp(line + 1, "content-length:", 15) == 0) length = strtoull(line + 16, NULL, 10);
            if (strncasecmp(line + 1, "transfer-encoding:", 18) == 0) {
                static const char LENGTH_REQUIRED[] = "HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                if (put(fd, LENGTH_REQUIRED, sizeof LENGTH_REQUIRED - 1)) drop(fd);
                return 0;
            }
        }
        if (left < head + length) break;
        const char *body = start + head;
        int stream = length > 0 && (memmem(body, length, "\"stream\":true", 13) || memmem(body, length, "\"stream\": true", 14));
        if (!(stream ? begin_stream(fd, body, length) : put(fd, reply, reply_len))) return 0;
        at += head + length;
    }
    memmove(c->in, c->in + at, c->in_len - at);
    c->in_len -= at;
    return 1;
}

static void readable(int fd) {
    Conn *c = &conns[fd];
    if (c->in_cap - c->in_len < READ_BYTES) {
        c->in_cap = c->in_len + READ_BYTES * 2;
        c->in = realloc(c->in, c->in_cap);
    }
    ssize_t n = recv(fd, c->in + c->in_len, c->in_cap - c->in_len, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        drop(fd);
    } else if (n > 0) {
        c->in_len += (size_t)n;
        answer(fd);
    }
}

static void writable(int fd) {
    Conn *c = &conns[fd];
    ssize_t n = send(fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) {
        drop(fd);
        return;
    }
    if (n > 0) c->out_at += (size_t)n;
    if (c->out_at == c->out_len) watch(fd, EPOLLIN);
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        if (fd >= MAX_FD) {
            close(fd);
            continue;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        conns[fd].open = 1;
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e);
    }
}

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4096) != 0) {
        perror("mock: cannot listen");
        exit(3);
    }
    return fd;
}

static int wait_ms(long long now) {
    if (n_active == 0) return -1;
    long long first = conns[active[0]].due_ns;
    for (int i = 1; i < n_active; i++)
        if (conns[active[i]].due_ns < first) first = conns[active[i]].due_ns;
    return first <= now ? 0 : (int)((first - now + 999999) / 1000000);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: mock PORT [EVENTS=100] [PACE_MS=10]\n");
        return 64;
    }
    if (argc > 2) events_per_stream = atoi(argv[2]);
    if (argc > 3) pace_ns = atoi(argv[3]) * 1000000LL;
    signal(SIGPIPE, SIG_IGN);
    build_reply();
    epfd = epoll_create1(0);
    int listener = listen_on(atoi(argv[1]));
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &e);
    struct epoll_event ready[512];
    for (;;) {
        int n = epoll_wait(epfd, ready, 512, wait_ms(now_ns()));
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) {
                accept_all(listener);
                continue;
            }
            if (conns[fd].open && ready[i].events & EPOLLOUT) writable(fd);
            if (conns[fd].open && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(fd);
        }
        long long now = now_ns();
        for (int i = n_active - 1; i >= 0; i--)
            if (i < n_active && conns[active[i]].due_ns <= now) {
                int fd = active[i];
                if (advance(fd, now) && !conns[fd].streaming) answer(fd);
            }
    }
}
