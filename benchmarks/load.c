/* A closed-loop load generator for chat completions on 127.0.0.1: one thread, epoll, keep-alive.
 *
 * Each of N connections sends a request, reads the whole reply (Content-Length or chunked), and sends the next. Every
 * request has a text of its own: 6 messages, about 2 KB, words drawn from an English and Portuguese list with a seeded
 * generator, a share of them with an e-mail address of their own. At the end of the time no new request is begun and
 * those under way are read to the end, so that what was counted is what was done. One JSON object goes to stdout.
 *
 * Latency is from the first byte written to the last byte read, in microseconds. With --stream each reply is read as
 * server-sent events: events are lines that begin with "data:", the first one gives the time to first token.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "words.h"

enum { READ_BYTES = 65536, BODY_BYTES = 8192, ID_BYTES = 64 };
enum Part { HEAD, BODY, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

typedef struct {
    int fd, busy, watching_out;
    char *out;
    size_t out_len, out_at;
    char head[16384];
    size_t head_len;
    enum Part part;
    size_t left; /* bytes of body or chunk still to come */
    int until_close, status, reusable, done_seen;
    char line[8]; /* the first bytes of the current line of a stream */
    size_t line_len;
    char id[ID_BYTES];
    long long begun_ns, first_event_ns;
} Conn;

typedef struct {
    uint32_t *us;
    size_t n, cap;
} Samples;

static const char *const ROLES[] = {"system", "user", "assistant", "user", "assistant", "user"};
static const int LENGTHS[] = {260, 320, 380, 260, 380, 300}; /* bytes of text per message */

static int port, n_conns = 32, stream_mode, personal_percent = 25, same_mode;
static long long max_requests;
static double duration_s = 3;
static const char *key = "none", *model = "mock", *path = "/v1/chat/completions", *acks_path;
static uint64_t random_state = 1;
static Conn *conns;
static int epfd;
static volatile sig_atomic_t stop;
static FILE *acks;
static Samples latency, first_event;
static long long begun, completed, errors, non_200, reconnects, events, unfinished_streams, bytes_read, last_done_ns;

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static uint32_t draw(uint32_t below) { /* splitmix64 */
    uint64_t z = (random_state += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return (uint32_t)(((z ^ (z >> 31)) >> 32) * (uint64_t)below >> 32);
}

static void keep(Samples *s, long long ns) {
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 65536;
        s->us = realloc(s->us, s->cap * sizeof *s->us);
    }
    s->us[s->n++] = (uint32_t)(ns / 1000);
}

static size_t write_text(char *at, int bytes) {
    char *start = at;
    int in_sentence = 0;
    while (at - start < bytes) {
        const char *word = WORDS[draw(N_WORDS)];
        size_t n = strlen(word);
        memcpy(at, word, n);
        if (in_sentence == 0 && *at >= 'a' && *at <= 'z') *at -= 32;
        at += n;
        in_sentence++;
        if (in_sentence > 5 && draw(8) == 0) {
            *at++ = '.';
            in_sentence = 0;
        }
        *at++ = ' ';
    }
    at[-1] = '.';
    return (size_t)(at - start);
}

static void build_request(Conn *c) {
    static char body[BODY_BYTES];
    char *at = body;
    if (same_mode) random_state = 1; /* every request says the same */
    at += sprintf(at, "{\"model\":\"%s\",\"messages\":[", model);
    for (int i = 0; i < 6; i++) {
        at += sprintf(at, "%s{\"role\":\"%s\",\"content\":\"", i ? "," : "", ROLES[i]);
        at += write_text(at, LENGTHS[i]);
        if (i == 5 && draw(100) < (uint32_t)personal_percent)
            at += sprintf(at, " Write to %s%u@example.com.", WORDS[draw(180)], draw(1000000000));
        at += sprintf(at, "\"}");
    }
    at += sprintf(at, "],\"max_tokens\":256%s}", stream_mode ? ",\"stream\":true,\"stream_options\":{\"include_usage\":true}" : "");
    size_t len = (size_t)(at - body);
    c->out_len = (size_t)sprintf(c->out,
                                 "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\nContent-Type: "
                                 "application/json\r\nAccept: */*\r\nContent-Length: %zu\r\n\r\n",
                                 path, port, key, len);
    memcpy(c->out + c->out_len, body, len);
    c->out_len += len;
    c->out_at = 0;
}

static int may_begin(void) { return !stop && (max_requests == 0 || begun < max_requests); }

static void flush_out(Conn *c) {
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
    if (n > 0) c->out_at += (size_t)n;
    struct epoll_event e = {.events = EPOLLIN | (c->out_at < c->out_len ? EPOLLOUT : 0), .data.ptr = c};
    int unwritten = c->out_at < c->out_len;
    if (unwritten || c->watching_out) epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e);
    c->watching_out = unwritten;
}

static void begin(Conn *c) {
    c->busy = 0;
    if (!may_begin()) return;
    build_request(c);
    begun++;
    c->busy = 1;
    c->head_len = c->line_len = 0;
    c->part = HEAD;
    c->done_seen = 0;
    c->first_event_ns = 0;
    c->begun_ns = now_ns();
    flush_out(c);
}

static void connect_to(Conn *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) { /* nobody listens: nothing to measure any more */
        close(c->fd);
        c->fd = -1;
        c->busy = 0;
        errors++;
        stop = 1;
        return;
    }
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &e);
    c->watching_out = 0;
    begin(c);
}

static void again(Conn *c) {
    close(c->fd);
    c->fd = -1;
    c->busy = 0;
    if (!may_begin()) return;
    reconnects++;
    connect_to(c);
}

static void finish(Conn *c) {
    long long now = now_ns();
    last_done_ns = now;
    completed++;
    if (c->status != 200) {
        if (non_200++ == 0) fprintf(stderr, "load: first status that is not 200: %.300s\n", c->head);
    } else if (acks != NULL && c->id[0]) {
        fprintf(acks, "%lld %s\n", now, c->id);
    }
    if (stream_mode && c->status == 200 && !c->done_seen) unfinished_streams++;
    keep(&latency, now - c->begun_ns);
    if (c->first_event_ns) keep(&first_event, c->first_event_ns - c->begun_ns);
    c->reusable ? begin(c) : again(c);
}

static void broken(Conn *c) {
    errors += c->busy;
    again(c);
}

static void read_head(Conn *c) {
    c->status = atoi(c->head + 9);
    c->left = 0;
    c->until_close = 1;
    c->reusable = 1;
    c->id[0] = 0;
    c->part = BODY;
    for (char *line = strstr(c->head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        const char *at = line + 2;
        if (strncasecmp(at, "content-length:", 15) == 0) {
            c->left = strtoull(at + 15, NULL, 10);
            c->until_close = 0;
        } else if (strncasecmp(at, "transfer-encoding: chunked", 26) == 0) {
            c->part = CHUNK_SIZE;
            c->until_close = 0;
        } else if (strncasecmp(at, "connection: close", 17) == 0) {
            c->reusable = 0;
        } else if (strncasecmp(at, "x-request-id:", 13) == 0) {
            sscanf(at + 13, " %63[^\r\n]", c->id);
        }
    }
}

static void read_events(Conn *c, const char *data, size_t n) {
    if (!stream_mode) return;
    for (size_t i = 0; i < n; i++) {
        if (data[i] == '\n') {
            c->line_len = 0;
            continue;
        }
        if (c->line_len < 7) {
            c->line[c->line_len++] = data[i];
            if (c->line_len == 5 && memcmp(c->line, "data:", 5) == 0) {
                events++;
                if (c->first_event_ns == 0) c->first_event_ns = now_ns();
            }
            if (c->line_len == 7 && c->line[5] == ' ' && c->line[6] == '[') c->done_seen = 1;
        } else {
            const char *end = memchr(data + i, '\n', n - i);
            if (end == NULL) return;
            i = (size_t)(end - data) - 1;
        }
    }
}

/* Reads n bytes of a reply; returns 0 when they are not HTTP. */
static int feed(Conn *c, const char *data, size_t n) {
    while (n > 0) {
        size_t used = 1;
        if (!c->busy) return 0; /* bytes nobody asked for */
        if (c->part == HEAD) {
            if (c->head_len + 1 >= sizeof c->head) return 0;
            c->head[c->head_len++] = *data;
            if (*data == '\n' && c->head_len >= 4 && memcmp(c->head + c->head_len - 4, "\r\n\r\n", 4) == 0) {
                c->head[c->head_len] = 0;
                read_head(c);
                c->head_len = 0;
                if (c->part == BODY && !c->until_close && c->left == 0) finish(c);
            }
        } else if (c->part == BODY || c->part == CHUNK_DATA) {
            used = c->until_close || n < c->left ? n : c->left;
            read_events(c, data, used);
            if (!c->until_close && (c->left -= used) == 0) {
                if (c->part == BODY) finish(c);
                else c->part = CHUNK_END;
            }
        } else if (*data == '\n') {
            if (c->part == CHUNK_END) {
                c->part = CHUNK_SIZE;
                c->head_len = 0;
            } else if (c->part == CHUNK_SIZE) {
                c->head[c->head_len] = 0;
                c->left = strtoull(c->head, NULL, 16);
                c->part = c->left ? CHUNK_DATA : TRAILER;
                c->head_len = 0;
            } else if (c->head_len == 0) {
                finish(c);
            } else {
                c->head_len = 0;
            }
        } else if (*data != '\r') {
            if (c->head_len + 1 >= sizeof c->head) return 0;
            c->head[c->head_len++] = *data;
        }
        data += used;
        n -= used;
    }
    return 1;
}

static void readable(Conn *c) {
    static char data[READ_BYTES];
    ssize_t n = recv(c->fd, data, sizeof data, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        if (n == 0 && c->busy && c->part == BODY && c->until_close) {
            c->reusable = 0;
            finish(c);
        } else {
            broken(c);
        }
        return;
    }
    bytes_read += n;
    int fd = c->fd;
    if (!feed(c, data, (size_t)n) && c->fd == fd) broken(c);
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t at_share(Samples *s, double share) { return s->n ? s->us[(size_t)(share * (double)(s->n - 1))] : 0; }

static void report(long long started_ns) {
    double elapsed = (double)((last_done_ns ? last_done_ns : now_ns()) - started_ns) / 1e9;
    qsort(latency.us, latency.n, sizeof *latency.us, by_value);
    qsort(first_event.us, first_event.n, sizeof *first_event.us, by_value);
    printf("{\"requests\":%lld,\"errors\":%lld,\"non_200\":%lld,\"reconnects\":%lld,\"elapsed_s\":%.6f,\"rps\":%.1f,"
           "\"p50_us\":%u,\"p90_us\":%u,\"p99_us\":%u,\"bytes_read\":%lld,\"events\":%lld,\"unfinished_streams\":%lld,"
           "\"first_event_p50_us\":%u,\"first_event_p99_us\":%u}\n",
           completed, errors, non_200, reconnects, elapsed, elapsed > 0 ? (double)completed / elapsed : 0.0, at_share(&latency, 0.5),
           at_share(&latency, 0.9), at_share(&latency, 0.99), bytes_read, events, unfinished_streams, at_share(&first_event, 0.5),
           at_share(&first_event, 0.99));
}

static void on_signal(int number) { stop = number; }

static void read_options(int argc, char **argv) {
    static const struct option OPTIONS[] = {
        {"port", 1, 0, 'p'},  {"connections", 1, 0, 'c'}, {"duration", 1, 0, 'd'}, {"requests", 1, 0, 'n'},
        {"key", 1, 0, 'k'},   {"model", 1, 0, 'm'},       {"path", 1, 0, 'u'},     {"seed", 1, 0, 's'},
        {"stream", 0, 0, 'e'}, {"personal", 1, 0, 'i'},   {"acks", 1, 0, 'a'},
        {"same", 0, 0, 'q'},   {0, 0, 0, 0}};
    for (int o; (o = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        if (o == 'p') port = atoi(optarg);
        else if (o == 'c') n_conns = atoi(optarg);
        else if (o == 'd') duration_s = atof(optarg);
        else if (o == 'n') max_requests = atoll(optarg);
        else if (o == 'k') key = optarg;
        else if (o == 'm') model = optarg;
        else if (o == 'u') path = optarg;
        else if (o == 's') random_state = strtoull(optarg, NULL, 10) * 0x2545F4914F6CDD1DULL + 1;
        else if (o == 'e') stream_mode = 1;
        else if (o == 'i') personal_percent = atoi(optarg);
        else if (o == 'a') acks_path = optarg;
        else if (o == 'q') same_mode = 1;
        else exit(64);
    }
    if (port == 0 || n_conns < 1) {
        fprintf(stderr, "usage: load --port P [--connections N] [--duration S | --requests N] [--stream] [--key K] [--model M]\n"
                        "            [--path U] [--seed N] [--personal PERCENT] [--acks FILE] [--same]\n");
        exit(64);
    }
}

int main(int argc, char **argv) {
    static const double DRAIN_S = 15;
    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (acks_path != NULL && (acks = fopen(acks_path, "w")) == NULL) {
        perror("load: cannot write acknowledgements");
        return 3;
    }
    epfd = epoll_create1(0);
    conns = calloc((size_t)n_conns, sizeof *conns);
    long long started = now_ns();
    long long end = max_requests ? INT64_MAX : started + (long long)(duration_s * 1e9);
    long long give_up = INT64_MAX;
    for (int i = 0; i < n_conns; i++) {
        conns[i].out = malloc(BODY_BYTES + 1024);
        connect_to(&conns[i]);
    }
    struct epoll_event ready[256];
    for (;;) {
        long long now = now_ns();
        if (now >= end) stop = 1;
        if (stop && give_up == INT64_MAX) give_up = now + (long long)(DRAIN_S * 1e9);
        int busy = 0;
        for (int i = 0; i < n_conns; i++) busy += conns[i].busy;
        if (busy == 0 || now >= give_up) {
            errors += busy;
            break;
        }
        int n = epoll_wait(epfd, ready, 256, 20);
        for (int i = 0; i < n; i++) {
            Conn *c = ready[i].data.ptr;
            if (c->fd >= 0 && ready[i].events & EPOLLOUT) flush_out(c);
            if (c->fd >= 0 && ready[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c);
        }
    }
    if (acks != NULL) fclose(acks);
    report(started);
    return 0;
}
