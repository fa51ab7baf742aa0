/* SPDX-License-Identifier: MIT */
/*
 * The data path: bytes that one process has get to where another one looks at them. Through a
 * segment it takes one copy and a word to the other; through a socket, a pipe or a server two
 * copies and more. What each costs is told as a part of what the memory's own copy of as many bytes
 * takes in the same round.
 *
 * The receiver looks at a word of every page, which the sender has changed before: so all came, and
 * attaching includes the pages' faults.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/bench.h"
#include "tests/bench/calls.h"
#include "tests/bench/server.h"
#include "tests/bench/support.h"

enum {
    ROUNDS = 31,
    MIB = 1 << 20,
    SMALL_TIMES = 40, /* hand-overs of 1 MiB in a round */
    BIG = 64,         /* MiB */
    PAGE = 4096,
    PLAIN_KEY = 0x5b100000,
    ATTACHES = 1000, /* in a round */
};

#define SEGMENT_NAME "bench/data"
#define STAT_DATA                                                                                  \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stat\",\"params\":{\"name\":\"" SEGMENT_NAME       \
    "\"}}\n"

/* One end of a way; after the fork each process has one of its own. */
struct end {
    size_t size;
    char *bytes;   /* the sender's own; where the receiver takes them in, if it must */
    char *segment; /* attached for all rounds */
    int word;      /* a socket to the other end: what tells it that there is something */
    int data;      /* through which the bytes go, if they go through a descriptor */
    int server;    /* this end's connection to shmd or redis */
};

/* How bytes are handed over. */
struct way {
    const char *id, *title;
    bool is_shmds, is_attached_once, is_redis, is_pipe;
    void (*give)(struct end *e);        /* and tells the other end */
    const char *(*take)(struct end *e); /* waits until it is told */
    void (*let_go)(struct end *e, const char *taken);
};

/* --- the ways */

static void tell(const struct end *e)
{
    send_all(e->word, "", 1);
}

static void be_told(const struct end *e)
{
    char word;
    receive_bytes(e->word, &word, 1);
}

static char *attach(int shmid)
{
    char *memory = shmat(shmid, NULL, 0);
    if (memory == (void *)-1)
        die("shmat: %s", strerror(errno));
    return memory;
}

static void detach(const char *memory)
{
    if (shmdt(memory) < 0)
        die("shmdt: %s", strerror(errno));
}

static int shmid_by_name(int server)
{
    return (int)answer_number(call(server, STAT_DATA), "shmid");
}

static int shmid_by_key(void)
{
    int shmid = shmget(PLAIN_KEY, 0, 0);
    if (shmid < 0)
        die("shmget: %s", strerror(errno));
    return shmid;
}

static void give_attached(struct end *e)
{
    memcpy(e->segment, e->bytes, e->size);
    tell(e);
}

static const char *take_attached(struct end *e)
{
    be_told(e);
    return e->segment;
}

static void give_into(const struct end *e, int shmid)
{
    char *memory = attach(shmid);
    memcpy(memory, e->bytes, e->size);
    detach(memory);
    tell(e);
}

static void give_by_name(struct end *e)
{
    give_into(e, shmid_by_name(e->server));
}

static const char *take_by_name(struct end *e)
{
    be_told(e);
    return attach(shmid_by_name(e->server));
}

static void give_by_key(struct end *e)
{
    give_into(e, shmid_by_key());
}

static const char *take_by_key(struct end *e)
{
    be_told(e);
    return attach(shmid_by_key());
}

static void let_go_of_attached(struct end *e, const char *taken)
{
    (void)e;
    detach(taken);
}

static void give_by_descriptor(struct end *e)
{
    for (size_t done = 0; done < e->size;) {
        ssize_t n = write(e->data, e->bytes + done, e->size - done);
        if (n < 0 && errno != EINTR)
            die("writing: %s", strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
}

/* The bytes are their own word. */
static const char *take_by_descriptor(struct end *e)
{
    for (size_t done = 0; done < e->size;) {
        ssize_t n = read(e->data, e->bytes + done, e->size - done);
        if (n == 0 || (n < 0 && errno != EINTR))
            die("reading: %s", n == 0 ? "the sender is gone" : strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    return e->bytes;
}

static void give_by_redis(struct end *e)
{
    char text[100];
    int len = snprintf(text, sizeof(text), "*3\r\n$3\r\nSET\r\n$4\r\ndata\r\n$%zu\r\n", e->size);
    send_all(e->server, text, (size_t)len);
    send_all(e->server, e->bytes, e->size);
    send_all(e->server, "\r\n", 2);
    receive_bytes(e->server, text, strlen("+OK\r\n"));
    if (text[0] != '+')
        die("redis did not take %zu bytes", e->size);
    tell(e);
}

static const char *take_by_redis(struct end *e)
{
    static const char get[] = "*2\r\n$3\r\nGET\r\n$4\r\ndata\r\n";
    char text[100];
    be_told(e);
    send_all(e->server, get, sizeof(get) - 1);
    receive_bytes(e->server, text, (size_t)snprintf(text, sizeof(text), "$%zu\r\n", e->size));
    receive_bytes(e->server, e->bytes, e->size);
    receive_bytes(e->server, text, 2);
    return e->bytes;
}

static const struct way ways[] = {
    {.id = "shmd",
     .title = "shmd's segment, attached once",
     .is_shmds = true,
     .is_attached_once = true,
     .give = give_attached,
     .take = take_attached},
    {.id = "plain",
     .title = "a plain segment, attached once",
     .is_attached_once = true,
     .give = give_attached,
     .take = take_attached},
    {.id = "shmd-each",
     .title = "shmd's segment, by name each time",
     .is_shmds = true,
     .give = give_by_name,
     .take = take_by_name,
     .let_go = let_go_of_attached},
    {.id = "plain-each",
     .title = "a plain segment, by key each time",
     .give = give_by_key,
     .take = take_by_key,
     .let_go = let_go_of_attached},
    {.id = "socket",
     .title = "a Unix socket",
     .give = give_by_descriptor,
     .take = take_by_descriptor},
    {.id = "pipe",
     .title = "a pipe",
     .is_pipe = true,
     .give = give_by_descriptor,
     .take = take_by_descriptor},
    {.id = "redis",
     .title = "redis, SET and GET",
     .is_redis = true,
     .give = give_by_redis,
     .take = take_by_redis},
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]) };

/* --- the two ends */

struct transfer {
    const struct way *way; /* NULL: it is not measured */
    struct end sender;
    pid_t receiver;
    double ns[ROUNDS];
};

/* A receiver, which is forked, shares no page of them. */
static char *new_bytes(size_t size)
{
    char *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED || madvise(memory, size, MADV_DONTFORK) < 0)
        die("no memory for %zu bytes", size);
    return memory;
}

/* A word in every page says which hand-over this is. */
static void mark(char *bytes, size_t size, uint64_t number)
{
    for (size_t at = 0; at < size; at += PAGE)
        memcpy(bytes + at, &number, sizeof(number));
}

static void must_be_marked(const char *bytes, size_t size, uint64_t number)
{
    for (size_t at = 0; at < size; at += PAGE)
        if (memcmp(bytes + at, &number, sizeof(number)) != 0)
            die("what was handed over did not come");
}

static void open_end(struct end *e, const struct way *way, const char *server)
{
    e->server = way->is_shmds || way->is_redis ? connect_patiently(server, 1000000) : -1;
    if (way->is_attached_once)
        e->segment = attach(way->is_shmds ? shmid_by_name(e->server) : shmid_by_key());
}

static _Noreturn void receive_for_ever(struct end *e, const struct way *way, const char *server,
                                       int cpu)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(cpu);
    open_end(e, way, server);
    if (!way->is_attached_once && way->let_go == NULL)
        e->bytes = new_bytes(e->size);
    tell(e); /* it is there */
    for (uint64_t number = 1;; number++) {
        const char *taken = way->take(e);
        must_be_marked(taken, e->size, number);
        if (way->let_go)
            way->let_go(e, taken);
        tell(e);
    }
}

static void start_transfer(struct transfer *t, const struct way *way, size_t size, char *bytes,
                           const char *server, int cpu)
{
    int word[2], data[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, word) < 0 ||
        (way->is_pipe ? pipe2(data, O_CLOEXEC)
                      : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, data)) < 0)
        die("no socket or pipe: %s", strerror(errno));
    t->way = way;
    t->receiver = fork();
    if (t->receiver < 0)
        die("fork: %s", strerror(errno));
    if (t->receiver == 0) {
        struct end e = {.size = size, .word = word[1], .data = data[0]};
        close(word[0]);
        close(data[1]);
        receive_for_ever(&e, way, server, cpu);
    }
    close(word[1]);
    close(data[0]);
    t->sender = (struct end){.size = size, .word = word[0], .data = data[1]};
    t->sender.bytes = bytes;
    open_end(&t->sender, way, server);
    be_told(&t->sender);
}

static void stop_transfer(struct transfer *t)
{
    kill(t->receiver, SIGKILL);
    waitpid(t->receiver, NULL, 0);
    if (t->sender.segment)
        detach(t->sender.segment);
    if (t->sender.server >= 0)
        close(t->sender.server);
    close(t->sender.word);
    close(t->sender.data);
}

/* From the bytes of one process to the answer of the other that it has looked at them. */
static double time_transfer(struct transfer *t, int times, uint64_t *number)
{
    int64_t took = 0;
    for (int i = 0; i < times; i++) {
        mark(t->sender.bytes, t->sender.size, ++*number);
        int64_t begin = now_ns();
        t->way->give(&t->sender);
        be_told(&t->sender);
        took += now_ns() - begin;
    }
    return (double)took / times;
}

static double time_copy(char *to, const char *from, size_t size, int times)
{
    int64_t begin = now_ns();
    for (int i = 0; i < times; i++) {
        memcpy(to, from, size);
        __asm__ volatile("" : : "r"(to) : "memory"); /* each copy is made */
    }
    return (double)(now_ns() - begin) / times;
}

/* --- a size */

struct sizing {
    const char *id, *title;
    size_t size;
    int times;
    bool has_two_cores; /* the receiver has another than the sender and the servers */
};

static const struct sizing sizings[] = {
    {"1m", "1 MiB", MIB, SMALL_TIMES, false},
    {"64m", "64 MiB", (size_t)BIG *MIB, 1, false},
    {"64m-two", "64 MiB, two cores", (size_t)BIG *MIB, 1, true},
};

static void add_row(struct bench *b, const struct sizing *s, const char *id, const char *title,
                    const double *ns, const double *copy, size_t rounds)
{
    char *row_id = NULL, *row_title = NULL; /* for good */
    double ratios[ROUNDS];
    for (size_t i = 0; i < rounds; i++)
        ratios[i] = copy ? ns[i] / copy[i] : 0;
    if (asprintf(&row_id, "data-%s-%s", s->id, id) < 0 ||
        asprintf(&row_title, "%s: %s", s->title, title) < 0)
        die("no memory");
    report_row(&b->report, (struct row){.id = row_id,
                                        .title = row_title,
                                        .figure = median(ns, rounds) / 1000,
                                        .unit = "µs",
                                        .ratio = copy ? median(ratios, rounds) : 0,
                                        .against = "memcpy of as much"});
}

static void make_segment(int shmd, size_t size)
{
    char request[200];
    snprintf(request, sizeof(request),
             "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"create\",\"params\":{\"name\":"
             "\"" SEGMENT_NAME "\",\"size\":%zu}}\n",
             size);
    call(shmd, request);
    if (shmget(PLAIN_KEY, size, IPC_CREAT | IPC_EXCL | 0600) < 0)
        die("shmget: %s", strerror(errno));
}

static void remove_segment(int shmd)
{
    call(shmd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"remove\",\"params\":{\"name\":"
               "\"" SEGMENT_NAME "\"}}\n");
    if (shmctl(shmid_by_key(), IPC_RMID, NULL) < 0)
        die("IPC_RMID: %s", strerror(errno));
}

/* All receivers wait; in a round each way has its turn. */
static void measure_size(struct bench *b, const struct sizing *s, const struct server *shmd,
                         const struct server *redis, int fd)
{
    static struct transfer transfers[WAYS];
    size_t rounds = bench_rounds(b, ROUNDS);
    double copy[ROUNDS];
    uint64_t numbers[WAYS] = {0};
    char *bytes = new_bytes(s->size), *copied = new_bytes(s->size);
    make_segment(fd, s->size);
    for (size_t i = 0; i < WAYS; i++) {
        bool is_wanted = !ways[i].is_redis || redis->pid != 0;
        transfers[i] = (struct transfer){0};
        if (is_wanted)
            start_transfer(&transfers[i], &ways[i], s->size, bytes,
                           ways[i].is_redis ? redis->socket : shmd->socket,
                           s->has_two_cores ? b->other_cpu : b->server_cpu);
    }
    for (size_t i = 0; i < WAYS; i++)
        if (transfers[i].way)
            time_transfer(&transfers[i], 1, &numbers[i]); /* from now on all pages are there */
    for (size_t round = 0; round < rounds; round++) {
        time_copy(copied, bytes, s->size, 1);
        copy[round] = time_copy(copied, bytes, s->size, s->times);
        for (size_t i = 0; i < WAYS; i++) {
            if (!transfers[i].way)
                continue;
            time_copy(copied, bytes, s->size, 1); /* each finds the same in the caches */
            transfers[i].ns[round] = time_transfer(&transfers[i], s->times, &numbers[i]);
        }
    }
    add_row(b, s, "memcpy", "memcpy", copy, NULL, rounds);
    for (size_t i = 0; i < WAYS; i++) {
        if (!transfers[i].way)
            continue;
        add_row(b, s, ways[i].id, ways[i].title, transfers[i].ns, copy, rounds);
        stop_transfer(&transfers[i]);
    }
    remove_segment(fd);
    munmap(bytes, s->size);
    munmap(copied, s->size);
}

/* --- attaching */

/* SHMID 0: it is asked for each time, by SERVER's name, or by key when SERVER is none. */
static double time_attaches(int shmid, bool is_asked, int server)
{
    int64_t begin = now_ns();
    for (int i = 0; i < ATTACHES; i++) {
        if (is_asked)
            shmid = server < 0 ? shmid_by_key() : shmid_by_name(server);
        const volatile char *memory = attach(shmid);
        (void)memory[0];
        detach((const char *)(uintptr_t)memory);
    }
    return (double)(now_ns() - begin) / (double)ATTACHES;
}

static void measure_attach(struct bench *b, int fd)
{
    static const char *const ids[] = {"attach-plain", "attach", "attach-plain-key", "attach-name"};
    static const char *const titles[] = {
        "shmat and shmdt of a plain segment", "shmat and shmdt of shmd's",
        "the same, its shmid by shmget of a key", "the same, its shmid by stat of a name"};
    double ns[4][ROUNDS], ratios[4][ROUNDS];
    size_t rounds = bench_rounds(b, ROUNDS);
    make_segment(fd, MIB);
    int plain = shmid_by_key(), ours = shmid_by_name(fd);
    for (size_t round = 0; round < rounds; round++) {
        ns[0][round] = time_attaches(plain, false, -1);
        ns[1][round] = time_attaches(ours, false, -1);
        ns[2][round] = time_attaches(0, true, -1);
        ns[3][round] = time_attaches(0, true, fd);
        for (size_t i = 0; i < 4; i++)
            ratios[i][round] = ns[i][round] / ns[0][round];
    }
    for (size_t i = 0; i < 4; i++)
        report_row(&b->report, (struct row){.id = ids[i],
                                            .title = titles[i],
                                            .figure = median(ns[i], rounds) / 1000,
                                            .unit = "µs",
                                            .ratio = i > 0 ? median(ratios[i], rounds) : 0,
                                            .against = "a plain segment"});
    remove_segment(fd);
}

void bench_data(struct bench *b)
{
    pin(b->server_cpu);
    struct server shmd = server_shmd(b->shmd, b->directory, "data", b->server_cpu, false);
    struct server redis = server_redis(b->directory, b->server_cpu);
    int fd = connect_patiently(shmd.socket, 1000000);
    if (redis.pid == 0)
        report_note(&b->report, "absent: redis-server, to hand bytes over");
    measure_attach(b, fd);
    for (size_t i = 0; i < sizeof(sizings) / sizeof(sizings[0]); i++)
        if (!sizings[i].has_two_cores || b->other_cpu != b->server_cpu)
            measure_size(b, &sizings[i], &shmd, &redis, fd);
    close(fd);
    server_stop(&redis, SIGTERM);
    server_stop(&shmd, SIGTERM);
}
