#include <config.h> /* the build's; the daemon has one of its own */

#include "daemon/shmd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config.h"
#include "daemon/core/declare.h"
#include "daemon/declared.h"
#include "daemon/io/listener.h"
#include "daemon/io/process_watch.h"
#include "daemon/io/service_manager.h"
#include "daemon/io/signals.h"
#include "daemon/options.h"
#include "daemon/rpc/outcome_to_error.h"
#include "daemon/store/host_linux.h"
#include "daemon/store/journal.h"
#include "daemon/util/log.h"

enum { DRAIN_MS = 5000 };

struct shmd {
    struct options options;
    struct config config;
    struct machine machine;
    struct sysv_linux kernel;
    struct host_linux state_dir;
    struct journal *journal;
    struct core core;
    struct rpc rpc;
    struct loop loop;
    struct signals signals;
    struct service_manager service_manager;
    struct listener listener;
    bool has_core, has_loop;
    bool store_is_failing;
    bool rmid_forced_is_told;
};

/* --- settings */

static struct core_settings settings_of(const struct shmd *d)
{
    return (struct core_settings){.limits = d->config.limits,
                                  .access = {.own_uid = geteuid(),
                                             .has_admin_group = d->config.has_admin_group,
                                             .admin_group = d->config.admin_group},
                                  .attach_timeout_ms = d->config.attach_timeout_ms,
                                  .reconcile_ms = d->config.reconcile_ms};
}

static int load_config(const struct options *options, struct config *ret)
{
    char *error CLEANUP(cleanup_free) = NULL;
    int r = config_load(options->config, !options->config_given, ret, &error);
    if (r < 0 && !error)
        log_error("%s", strerror(-r));
    for (char *rest = error, *line; (line = strsep(&rest, "\n"));)
        log_error("%s", line);
    return r;
}

static void set_log_level(const struct shmd *d)
{
    log_set_level(d->options.has_log_level ? d->options.log_level : d->config.log_level);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning("RLIMIT_NOFILE stays as it is: %s", strerror(errno));
}

/* --- declared segments */

static void complain(void *context, const char *file, const char *what)
{
    (void)context;
    log_error("%s: %s", file, what);
}

static int declare(void *context, const char *file, const struct create_params *params)
{
    struct shmd *d = context;
    struct outcome_detail detail = {0};
    struct failure failure;
    bool created = false;
    char key[32];
    const char *name = params->name ? params->name : key;
    snprintf(key, sizeof(key), "(key %" PRIu32 ")", (uint32_t)params->key.value);
    int r = declare_segment(&d->core, params, &created, &detail);
    if (r == 0) {
        if (created)
            log_info("%s: created %s, which is declared here", file, name);
        return 0;
    }
    outcome_to_failure(r, &detail, NULL, NULL, &failure);
    log_error("%s: the declared segment %s: %s", file, name, failure_message(&failure));
    return 0;
}

/* Where none is set it may well be missing. */
static bool lacks_segments_dir(const struct config *config)
{
    struct stat st;
    return config->has_segments_dir && stat(config->segments_dir, &st) < 0 && errno == ENOENT;
}

#define NO_SEGMENTS_DIR "%s: the configured segments_dir is not there"

static void make_sure_of_declared(struct shmd *d)
{
    declare_none(&d->core);
    if (lacks_segments_dir(&d->config))
        log_warning(NO_SEGMENTS_DIR, d->config.segments_dir);
    const struct declared_visitor visitor = {declare, complain, d};
    int r = declared_load(d->config.segments_dir, &visitor);
    if (r < 0)
        log_error("%s: %s", d->config.segments_dir, strerror(-r));
}

/* --- checking */

static void complain_and_count(void *context, const char *file, const char *what)
{
    unsigned *count = context;
    (*count)++;
    complain(NULL, file, what);
}

static int pass_over(void *context, const char *file, const struct create_params *params)
{
    (void)context;
    (void)file;
    (void)params;
    return 0;
}

/* What a start would say of the configuration and the files of declared segments, and what of these
 * contradicts itself; nothing is made, and what the kernel has is not looked at. */
static int check_config(struct shmd *d)
{
    unsigned count = 0;
    const struct declared_visitor visitor = {pass_over, complain_and_count, &count};
    int r = load_config(&d->options, &d->config);
    if (r < 0)
        return r;
    if (lacks_segments_dir(&d->config)) {
        log_error(NO_SEGMENTS_DIR, d->config.segments_dir);
        return -ENOENT;
    }
    r = declared_check(d->config.segments_dir, &visitor);
    if (r < 0)
        log_error("%s: %s", d->config.segments_dir, strerror(-r));
    return count > 0 ? -EINVAL : r;
}

/* --- what the loop calls */

static void on_stop(void *context, int number)
{
    struct shmd *d = context;
    log_notice("stopping on %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    loop_stop(&d->loop);
}

static void warn_of_rmid_forced(struct shmd *d)
{
    if (d->core.rmid_forced && !d->rmid_forced_is_told)
        log_warning("kernel.shm_rmid_forced is set: segments that nobody has attached last only as "
                    "long as this daemon; unset it for persistence");
    d->rmid_forced_is_told = d->core.rmid_forced;
}

static void log_unacknowledged(const struct unacknowledged *found)
{
    char shmids[16 * UNCLEAR_MAX] = "";
    size_t len = 0;
    if (found->is_removed)
        log_notice("removed the segment that a former daemon was about to create when it ended: "
                   "nobody was told of it");
    if (found->n_unclear == 0)
        return;
    for (size_t i = 0; i < found->n_unclear && i < UNCLEAR_MAX; i++)
        len += (size_t)snprintf(shmids + len, sizeof(shmids) - len, " %" PRId32, found->unclear[i]);
    log_warning("a former daemon was about to create a segment when it ended, and %zu segments may "
                "be it: none of them is removed (shmids%s%s)",
                found->n_unclear, shmids, found->n_unclear > UNCLEAR_MAX ? " ..." : "");
}

static void log_start(const struct core_start *found, const char *what)
{
    log_unacknowledged(&found->unacknowledged);
    if (found->gone + found->recycled + found->dying + found->indeterminate + found->dead == 0)
        return;
    log_notice("%s: %" PRIu64 " segments as recorded, %" PRIu64 " gone, %" PRIu64
               " recycled, %" PRIu64 " dying, %" PRIu64 " indeterminate; removed %" PRIu64
               " whose holders have died",
               what, found->kept, found->gone, found->recycled, found->dying, found->indeterminate,
               found->dead);
}

static void on_reload(void *context)
{
    struct shmd *d = context;
    struct config fresh;
    service_manager_reloading();
    if (load_config(&d->options, &fresh) < 0) {
        log_error("the configuration is not as it should be: what was in force stays so");
    } else {
        config_deinit(&d->config);
        d->config = fresh;
        set_log_level(d);
        const struct core_settings settings = settings_of(d);
        core_configure(&d->core, &settings);
        log_notice("the configuration is read again");
    }
    struct core_start found;
    core_reconcile(&d->core, &found);
    log_start(&found, "reconciled");
    warn_of_rmid_forced(d);
    make_sure_of_declared(d);
    service_manager_ready("reloaded");
}

static void on_store_written(void *context, int error, const char *reason)
{
    struct shmd *d = context;
    /* Once, not for every request that meets it. */
    if (error == 0 && d->store_is_failing)
        log_notice("the store works again");
    else if (error != 0 && !d->store_is_failing)
        log_error("the store does not take changes, requests are refused: %s", reason);
    d->store_is_failing = error != 0;
}

/* --- building */

static void log_sentence(void *context, enum log_level level, const char *sentence)
{
    (void)context;
    log_line(level, "%s", sentence);
}

static int open_journal(struct shmd *d)
{
    host_linux_init(&d->state_dir, d->options.state_dir);
    const struct journal_options options = {.host = {&host_linux_ops, &d->state_dir},
                                            .directory = d->options.state_dir,
                                            .boot_id = d->machine.boot_id,
                                            .ipc_namespace = d->machine.ipc_namespace,
                                            .own_uid = geteuid(),
                                            .log = log_sentence};
    return journal_open(&options, &d->journal);
}

static int build_core(struct shmd *d)
{
    sysv_linux_open(&d->kernel);
    const struct core_seams seams = {.sysv = {&sysv_linux_ops, &d->kernel},
                                     .clock = {&clock_linux_ops, NULL},
                                     .processes = {&process_linux_ops, NULL},
                                     .watcher = {&process_watch_ops, &d->loop},
                                     .store = {&journal_ops, d->journal}};
    const struct core_settings settings = settings_of(d);
    core_init(&d->core, &seams, &settings, &d->machine, getpid(), getegid());
    d->has_core = true;
    rpc_init(&d->rpc, &d->core, PACKAGE_VERSION, loop_wake, &d->loop);
    int r = loop_init(&d->loop, &d->rpc);
    d->has_loop = true;
    if (r < 0)
        log_error("no event loop: %s", strerror(-r));
    d->loop.store_written = on_store_written;
    d->loop.context = d;
    return r;
}

static int start_core(struct shmd *d)
{
    struct core_start found;
    int r = core_start(&d->core, &found);
    if (r < 0) {
        log_error("the records could not be loaded: %s", strerror(-r));
        return r;
    }
    log_start(&found, "started");
    if (found.store_error < 0)
        on_store_written(d, found.store_error, strerror(-found.store_error));
    warn_of_rmid_forced(d);
    make_sure_of_declared(d);
    return 0;
}

static int make_state_dir(const struct options *options)
{
    const char *path = options->state_dir;
    if (!options->makes_state_dir)
        return 0;
    if (mkdir(path, 0755) == 0) {
        log_notice("made the directory %s", path);
        return 0;
    }
    if (errno == EEXIST)
        return 0;
    int r = -errno;
    log_error("cannot make the directory %s: %s", path, strerror(-r));
    return r;
}

/* What is opened later must not be taken for standard input, output or error by anybody. */
static void open_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static int open_listener(struct shmd *d)
{
    char *error CLEANUP(cleanup_free) = NULL;
    int fd = -1;
    bool inherited = true;
    int r = listener_inherit(&fd, &error);
    if (r == -ENOENT && !error && d->options.socket) {
        inherited = false;
        r = listener_bind(d->options.socket, d->options.socket_mode, &fd, &error);
    }
    if (r == 0)
        r = listener_init(&d->listener, &d->loop, fd, inherited ? NULL : d->options.socket);
    if (r < 0)
        log_error("%s", error ? error : strerror(-r));
    return r;
}

static int build(struct shmd *d)
{
    machine_read(&d->machine);
    raise_descriptor_limit();
    int r = make_state_dir(&d->options);
    if (r == 0)
        r = open_journal(d);
    if (r == 0)
        r = build_core(d);
    /* Before anybody can know that it is there: a signal waits for the loop. */
    d->signals = (struct signals){.on_stop = on_stop, .on_reload = on_reload, .context = d};
    if (r == 0)
        r = signals_init(&d->signals, &d->loop);
    if (r == 0)
        r = start_core(d);
    if (r == 0)
        r = open_listener(d);
    if (r == 0)
        r = service_manager_init(&d->service_manager, &d->loop);
    return r;
}

static void tear_down(struct shmd *d)
{
    service_manager_deinit(&d->service_manager);
    signals_deinit(&d->signals);
    listener_deinit(&d->listener);
    if (d->has_loop)
        loop_close_connections(&d->loop);
    if (d->has_core) {
        ledger_settle_events(&d->core);
        core_deinit(&d->core);
        sysv_linux_close(&d->kernel);
    }
    if (d->has_loop)
        loop_deinit(&d->loop);
    journal_close(d->journal);
    host_linux_deinit(&d->state_dir);
    config_deinit(&d->config);
    options_deinit(&d->options);
}

static int serve(struct shmd *d)
{
    int r = build(d);
    if (r < 0)
        return r;
    log_notice("serving %s with %" PRIu64 " segments",
               d->listener.path ? d->listener.path : "the socket handed over",
               (uint64_t)d->core.registry.count);
    service_manager_ready("serving");
    r = loop_run(&d->loop);
    if (r < 0)
        log_error("the event loop: %s", strerror(-r));
    service_manager_stopping();
    listener_deinit(&d->listener);
    loop_drain(&d->loop, DRAIN_MS);
    return r;
}

int shmd_main(int argc, char **argv)
{
    struct shmd *d = calloc(1, sizeof(*d));
    int r = -ENOMEM;
    if (!d)
        return 1;
    open_standard_descriptors();
    switch (options_parse(argc, argv, getenv, geteuid(), &d->options, stdout, stderr)) {
    case OPTIONS_RUN: r = load_config(&d->options, &d->config); break;
    case OPTIONS_CHECK_CONFIG:
        r = check_config(d);
        tear_down(d);
        free(d);
        return r < 0 ? 1 : 0;
    case OPTIONS_DUMP_STATE:
        r = journal_dump(d->options.dump_state, stdout, stderr);
        tear_down(d);
        free(d);
        return r < 0 ? 1 : 0;
    case OPTIONS_EXIT_OK: free(d); return 0;
    case OPTIONS_EXIT_USAGE: free(d); return 2;
    }
    set_log_level(d);
    if (r == 0)
        r = serve(d);
    tear_down(d);
    free(d);
    return r < 0 ? 1 : 0;
}
