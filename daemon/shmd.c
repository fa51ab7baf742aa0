/* SPDX-License-Identifier: MIT */
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

#include "daemon/configuration.h"
#include "daemon/core/reconcile.h"
#include "daemon/io/failed_start.h"
#include "daemon/io/listener.h"
#include "daemon/io/process_watch.h"
#include "daemon/io/service_manager.h"
#include "daemon/io/signals.h"
#include "daemon/options.h"
#include "daemon/store/host_linux.h"
#include "daemon/store/journal.h"
#include "daemon/util/log.h"
#include "protocol/json_arena.h"

enum {
    DRAIN_MS = 4000,     /* of the 5 s that an end may take */
    STATUS_BYTES = 1200, /* of the unit's status line */
};

/* shmd(8) lists them, and the units name those after which a restart would change nothing. */
enum exit_status {
    EXIT_STATUS_OK = 0,
    EXIT_STATUS_FAILED = 1,
    EXIT_STATUS_USAGE = 2,
    EXIT_STATUS_CONFIG = 78, /* as sysexits.h has it */
};

struct shmd {
    struct options options;
    struct configuration configuration;
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
    bool rmid_forced_is_logged;
};

/* --- settings */

static void set_log_level(const struct shmd *d)
{
    log_set_level(d->options.has_log_level ? d->options.log_level
                                           : d->configuration.config.log_level);
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

/* --- what the loop calls */

static void on_stop(void *context, int number)
{
    struct shmd *d = context;
    log_notice("stopping on %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
    loop_stop(&d->loop);
}

static void warn_of_rmid_forced(struct shmd *d)
{
    if (d->core.rmid_forced && !d->rmid_forced_is_logged)
        log_warning("kernel.shm_rmid_forced is set: segments that nobody has attached last only as "
                    "long as this daemon; unset it for persistence");
    d->rmid_forced_is_logged = d->core.rmid_forced;
}

static void log_unacknowledged(const struct unacknowledged *found)
{
    char shmids[16 * UNCLEAR_MAX] = "";
    size_t len = 0;
    if (found->is_removed)
        log_notice("removed the segment that a former daemon was about to create when it ended: "
                   "no client knows of it");
    if (found->n_unclear == 0)
        return;
    for (size_t i = 0; i < found->n_unclear && i < UNCLEAR_MAX; i++)
        len += (size_t)snprintf(shmids + len, sizeof(shmids) - len, " %" PRId32, found->unclear[i]);
    log_warning(
        "a former daemon was about to create a segment when it ended; it may be one of "
        "these or none, and all of them stay: ipcrm -m removes what nobody needs (shmids%s%s)",
        shmids, found->n_unclear > UNCLEAR_MAX ? " ..." : "");
}

static void log_sweep(const struct sweep_result *found, uint64_t dead, const char *what)
{
    if (found->gone + found->recycled + found->dying + found->indeterminate + dead == 0)
        return;
    log_notice(
        "%s: %" PRIu64 " segments as recorded, %" PRIu64 " gone, %" PRIu64 " recycled, %" PRIu64
        " dying, %" PRIu64 " indeterminate; removed %" PRIu64 " whose holders have died",
        what, found->match, found->gone, found->recycled, found->dying, found->indeterminate, dead);
}

/* The end of a sweep that a reload asked for. */
static void on_swept(void *context, const struct sweep_result *found)
{
    log_sweep(found, 0, "reconciled");
    warn_of_rmid_forced(context);
}

/* A reload leads to the present state: the records are compared with the kernel even when the new
 * configuration is refused. That is done in parts, and has not ended when this returns. */
static int reload(struct shmd *d)
{
    int r = configuration_reload(&d->configuration);
    if (r == 0) {
        set_log_level(d);
        const struct core_settings settings = configuration_settings(&d->configuration);
        core_configure(&d->core, &settings);
        log_notice("the configuration is read again");
    } else {
        log_error("reload refused: the configuration is wrong, and the one in force stays");
    }
    reconcile_ask(&d->core);
    if (r == 0)
        configuration_declare(&d->configuration, &d->core);
    return r;
}

/* Reloads. The service manager and the log get the result. */
static int reload_and_report(struct shmd *d)
{
    char status[STATUS_BYTES];
    service_manager_reloading();
    int r = reload(d);
    if (r == 0) {
        service_manager_ready("reloaded");
        return 0;
    }
    configuration_describe_errors(&d->configuration, "reload refused", status, sizeof(status));
    service_manager_ready(status);
    return r;
}

static void on_hangup(void *context)
{
    log_notice("reloading on SIGHUP");
    int r = reload_and_report(context);
    (void)r; /* a signal has no answer */
}

/* The method `reload`. */
static int on_reload_request(void *context, const struct caller *caller,
                             struct outcome_detail *ret_detail)
{
    struct shmd *d = context;
    log_notice("reloading as requested by %s (pid %" PRId32 ", uid %" PRIu32 ")", caller->comm,
               caller->pid, caller->uid);
    int r = reload_and_report(d);
    if (r != -EINVAL)
        return r;
    *ret_detail = (struct outcome_detail){.config_errors = d->configuration.errors.items,
                                          .n_config_errors = d->configuration.errors.count};
    return OUTCOME_INVALID_CONFIGURATION;
}

static void on_store_written(void *context, int error, const char *reason)
{
    struct shmd *d = context;
    /* Once, not for every request that meets it. */
    if (error == 0 && d->store_is_failing)
        log_notice("the store works again");
    else if (error != 0 && !d->store_is_failing)
        log_error("the store in %s does not take changes, requests are refused: %s",
                  d->options.state_dir, reason);
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
    const struct core_settings settings = configuration_settings(&d->configuration);
    core_init(&d->core, &seams, &settings, &d->machine, getpid(), getegid());
    d->has_core = true;
    d->core.sweep.swept = on_swept;
    d->core.sweep.context = d;
    rpc_init(&d->rpc, &d->core, PACKAGE_VERSION, loop_wake, &d->loop);
    d->rpc.reload = on_reload_request;
    d->rpc.reload_context = d;
    int r = loop_init(&d->loop, &d->rpc);
    d->has_loop = true;
    if (r < 0)
        log_error("no event loop: %s", strerror(-r));
    d->loop.store_written = on_store_written;
    d->loop.context = d;
    return r;
}

static void log_caps(const struct shmd *d)
{
    const struct quota_cap *caps = d->core.quota.caps;
    if (d->machine.max_descriptors != UINT64_MAX)
        log_notice("RLIMIT_NOFILE is %" PRIu64 ": at most %" PRIu64 " connections and %" PRIu64
                   " processes that segments depend on",
                   d->machine.max_descriptors, caps[QUOTA_CONNECTIONS].total,
                   caps[QUOTA_PROCESSES].total);
}

static int start_core(struct shmd *d)
{
    struct core_start found;
    configuration_declare(&d->configuration, &d->core);
    int r = core_start(&d->core, &found);
    if (r < 0) {
        log_error("the records could not be loaded: %s", strerror(-r));
        return r;
    }
    log_unacknowledged(&found.unacknowledged);
    log_sweep(&found.sweep, found.dead, "started");
    log_caps(d);
    if (found.store_error < 0)
        on_store_written(d, found.store_error, strerror(-found.store_error));
    warn_of_rmid_forced(d);
    configuration_declare(&d->configuration, &d->core);
    return 0;
}

/* A daemon that can do nothing says so and does not start. */
static int check_kernel(void)
{
    struct sysv_linux kernel;
    struct sysv_limits limits;
    sysv_linux_open(&kernel);
    int r = sysv_linux_ops.limits(&kernel, &limits);
    sysv_linux_close(&kernel);
    if (r == -ENOSYS)
        log_error("this kernel has no System V shared memory (CONFIG_SYSVIPC), or a seccomp filter "
                  "hides it");
    else if (r == -EPERM)
        log_error("System V shared memory is forbidden to shmd by a seccomp filter or a security "
                  "module: allow shmget, shmctl, shmat and shmdt");
    else
        r = 0;
    return r;
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
    int r = check_kernel();
    if (r == 0)
        r = make_state_dir(&d->options);
    if (r == 0)
        r = open_journal(d);
    if (r == 0)
        r = build_core(d);
    /* Before anybody can know that it is there: a signal waits for the loop. */
    d->signals = (struct signals){.on_stop = on_stop, .on_reload = on_hangup, .context = d};
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
        ledger_write_event_serial(&d->core);
        core_deinit(&d->core);
        sysv_linux_close(&d->kernel);
    }
    rpc_deinit(&d->rpc);
    if (d->has_loop)
        loop_deinit(&d->loop);
    journal_close(d->journal);
    host_linux_deinit(&d->state_dir);
    configuration_deinit(&d->configuration);
    options_deinit(&d->options);
}

/* A daemon with errors in segments.d serves, without the segments in question. */
static void report_ready(const struct shmd *d)
{
    char status[STATUS_BYTES] = "serving";
    if (d->configuration.errors.count > 0)
        configuration_describe_errors(&d->configuration, "serving, but not all that is declared",
                                      status, sizeof(status));
    service_manager_ready(status);
}

static int serve(struct shmd *d)
{
    log_notice("serving %s with %" PRIu64 " segments",
               d->listener.path ? d->listener.path : "the socket handed over",
               (uint64_t)d->core.registry.count);
    report_ready(d);
    int r = loop_run(&d->loop);
    if (r < 0)
        log_error("the event loop: %s", strerror(-r));
    service_manager_stopping();
    listener_deinit(&d->listener);
    loop_drain(&d->loop, DRAIN_MS);
    return r;
}

/* The service manager and the clients that wait get the reason why there will be no daemon. */
static enum exit_status fail_to_start(const struct shmd *d, enum exit_status status)
{
    static const struct config_error none[1];
    struct failure failure;
    char text[STATUS_BYTES];
    switch (status) {
    case EXIT_STATUS_CONFIG:
        configuration_describe_errors(&d->configuration, "cannot start", text, sizeof(text));
        service_manager_failed(text);
        failure_init(&failure, PROTOCOL_ERROR_INVALID_CONFIGURATION);
        failure.config_errors = none; /* what is in the files is for the administrator alone */
        failure_set_message(&failure, "the daemon cannot start because its configuration has "
                                      "errors: the administrator finds them in its log or by shmd "
                                      "--check-config");
        break;
    case EXIT_STATUS_USAGE:
    case EXIT_STATUS_FAILED:
    case EXIT_STATUS_OK:
        failure_init(&failure, PROTOCOL_ERROR_INTERNAL);
        failure_set_message(&failure, "the daemon cannot start: its log says why");
        break;
    }
    failed_start_answer(&failure);
    return status;
}

static enum exit_status run(struct shmd *d)
{
    int r = configuration_start(&d->configuration);
    if (r == -EINVAL)
        return fail_to_start(d, EXIT_STATUS_CONFIG);
    set_log_level(d);
    if (r == 0)
        r = build(d);
    if (r < 0)
        return fail_to_start(d, EXIT_STATUS_FAILED);
    return serve(d) < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

int shmd_main(int argc, char **argv)
{
    struct shmd *d = calloc(1, sizeof(*d));
    enum exit_status status = EXIT_STATUS_FAILED;
    if (!d)
        return EXIT_STATUS_FAILED;
    json_arena_install();
    open_standard_descriptors();
    enum options_result result =
        options_parse(argc, argv, getenv, geteuid(), &d->options, stdout, stderr);
    d->configuration.path = d->options.config;
    d->configuration.is_given = d->options.config_given;
    d->configuration.machine = &d->machine;
    raise_descriptor_limit();
    machine_read(&d->machine);
    switch (result) {
    case OPTIONS_RUN: status = run(d); break;
    case OPTIONS_CHECK_CONFIG:
        status = configuration_check(&d->configuration) < 0 ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
        break;
    case OPTIONS_DUMP_STATE:
        status = journal_dump(d->options.dump_state, stdout, stderr) < 0 ? EXIT_STATUS_FAILED
                                                                         : EXIT_STATUS_OK;
        break;
    case OPTIONS_EXIT_OK: status = EXIT_STATUS_OK; break;
    case OPTIONS_EXIT_USAGE: status = fail_to_start(d, EXIT_STATUS_USAGE); break;
    }
    tear_down(d);
    free(d);
    return (int)status;
}
