// SPDX-License-Identifier: MIT
/*
 * shmd.hpp in use, as C++17: each scenario of the wrapper, in one run. test_library.py provides the
 * daemon and the compiler.
 */
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "client/shmd.hpp"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                           \
            std::exit(1);                                                                          \
        }                                                                                          \
    } while (0)

/* How many allocations there are before one fails; -1: none does. */
static long allocations_left = -1;

void *operator new(std::size_t size)
{
    void *memory = allocations_left == 0 ? nullptr : std::malloc(size);
    if (!memory)
        throw std::bad_alloc();
    if (allocations_left > 0)
        allocations_left--;
    return memory;
}

void operator delete(void *memory) noexcept
{
    std::free(memory);
}

void operator delete(void *memory, std::size_t) noexcept
{
    std::free(memory);
}

template <typename Call> static int code_of(Call &&call)
{
    try {
        call();
    } catch (const shmdpp::error &e) {
        CHECK(std::strlen(e.what()) > 10);
        return e.code();
    }
    return 0;
}

static shmd_create_options named(const char *name, std::uint64_t size, shmd_lifetime lifetime)
{
    shmd_create_options options = {};
    options.name = name;
    options.size = size;
    options.lifetime = lifetime;
    return options;
}

struct frame {
    int width, height;
};

static void attach(shmdpp::connection &daemon)
{
    bool created = false;
    shmdpp::segment made = daemon.create(named("cpp", 4096, SHMD_LIFETIME_PERSISTENT), &created);
    CHECK(created && made.name() == "cpp" && made->size == 4096);
    {
        shmdpp::attachment memory = daemon.attach(made);
        CHECK(memory.size() == 4096 && memory.end() - memory.begin() == 4096);
        *memory.as<frame>() = {640, 480};
        shmdpp::attachment moved = std::move(memory);
        CHECK(!memory.data() && moved.data());
        shmdpp::readonly_attachment seen = daemon.attach_readonly(daemon.find("cpp"));
        CHECK(seen.as<frame>()->width == 640 && seen.as<frame>()->height == 480);
        CHECK(daemon.stat(*SHMD_NAME("cpp"))->nattch == 2);
        shmdpp::attachment another = daemon.attach(made);
        another = std::move(moved);
        CHECK(!moved.data() && another.data());
        CHECK(daemon.stat(*SHMD_NAME("cpp"))->nattch == 2);
    }
    CHECK(daemon.stat(*SHMD_NAME("cpp"))->nattch == 0);
    struct huge {
        char bytes[8192];
    };
    shmdpp::attachment small = daemon.attach(made);
    CHECK(code_of([&] { small.as<huge>(); }) == -EINVAL);
    CHECK(daemon.remove(*SHMD_NAME("cpp"))->state == SHMD_STATE_REMOVING);
}

static void hold(shmdpp::connection &daemon)
{
    daemon.create(named("held", 1, SHMD_LIFETIME_PROCESS));
    {
        shmdpp::connection other;
        shmdpp::hold first = other.hold(*SHMD_NAME("held"));
        shmdpp::hold second = std::move(first);
        CHECK(other.stat(*SHMD_SERIAL(second.serial()))->holders == 1);
    }
    /* It was the only holder: this process. */
    CHECK(code_of([&] { daemon.find("held"); }) == SHMD_ERROR_NO_SUCH_SEGMENT);
}

static std::uint32_t holders(shmdpp::connection &daemon, const char *name)
{
    return daemon.stat(*SHMD_NAME(name))->holders;
}

/* What made this process a holder of "nested" outlasts holds within it, until it is released. */
template <typename Make> static void nested_holds_within(shmdpp::connection &daemon, Make &&make)
{
    const std::uint64_t serial = make();
    {
        shmdpp::hold outer = daemon.hold(*SHMD_NAME("nested"));
        {
            shmdpp::hold inner = daemon.hold(*SHMD_SERIAL(serial));
            shmdpp::hold third = daemon.hold(*SHMD_NAME("nested"));
            inner = std::move(third);
            CHECK(third.serial() == 0 && inner.serial() == serial);
        }
        CHECK(holders(daemon, "nested") == 1);
    }
    CHECK(holders(daemon, "nested") == 1);
    daemon.release(*SHMD_NAME("nested"));
    CHECK(code_of([&] { daemon.find("nested"); }) == SHMD_ERROR_NO_SUCH_SEGMENT);
}

static void nested_holds(shmdpp::connection &daemon)
{
    const shmd_create_options options = named("nested", 1, SHMD_LIFETIME_PROCESS);
    nested_holds_within(daemon, [&] { return daemon.create(options)->serial; });
    nested_holds_within(daemon, [&] {
        const std::uint64_t serial = daemon.create(options)->serial;
        CHECK(daemon.create(options)->serial == serial);
        return serial;
    });
    nested_holds_within(daemon, [&] {
        return daemon.create_filled(options, [](std::byte *, std::size_t) {})->serial;
    });
    nested_holds_within(daemon, [&] {
        const std::uint64_t serial =
            daemon.create(named("nested", 1, SHMD_LIFETIME_PERSISTENT))->serial;
        shmd_set_options set = {};
        set.lifetime = SHMD_LIFETIME_PROCESS;
        daemon.set(*SHMD_SERIAL(serial), set);
        return serial;
    });
    nested_holds_within(daemon, [&] {
        const shmdpp::segment made = daemon.create(named("other", 1, SHMD_LIFETIME_PERSISTENT));
        daemon.disown(*SHMD_NAME("other"));
        shmd_adopt_options adopt = {};
        adopt.has_shmid = true;
        adopt.shmid = made->shmid;
        adopt.name = "nested";
        adopt.lifetime = SHMD_LIFETIME_PROCESS;
        return daemon.adopt(adopt)->serial;
    });

    /* A hold that is there when the segment is released, and one that comes after. */
    daemon.create(options);
    shmdpp::connection other;
    shmd_create_options kept = named("kept", 1, SHMD_LIFETIME_CONNECTION);
    other.create(kept);
    kept.no_hold = true;
    daemon.create(kept);
    {
        shmdpp::hold before = daemon.hold(*SHMD_NAME("kept"));
        CHECK(holders(daemon, "kept") == 2);
        daemon.release(*SHMD_NAME("kept"));
        CHECK(holders(daemon, "kept") == 1);
        shmdpp::hold after = daemon.hold(*SHMD_NAME("kept"));
        {
            shmdpp::hold gone = std::move(before);
        }
        CHECK(holders(daemon, "kept") == 2);
    }
    CHECK(holders(daemon, "kept") == 1);

    /* The connection is moved under them. */
    shmdpp::connection first;
    {
        shmdpp::hold outer = first.hold(*SHMD_NAME("nested"));
        shmdpp::connection second = std::move(first);
        CHECK(!first.get());
        {
            shmdpp::hold inner = second.hold(*SHMD_NAME("nested"));
        }
        CHECK(second.stat(*SHMD_NAME("nested"))->holders == 1);
        first = std::move(second);
    }
    CHECK(code_of([&] { daemon.find("nested"); }) == SHMD_ERROR_NO_SUCH_SEGMENT);
}

/* Nobody holds what became persistent or was disowned, and a later hold is another one. */
static void what_holds_end_with(shmdpp::connection &daemon)
{
    shmdpp::connection first;
    shmd_set_options set = {};
    const shmdpp::segment made = first.create(named("ends", 1, SHMD_LIFETIME_CONNECTION));
    set.lifetime = SHMD_LIFETIME_PERSISTENT;
    first.set(*SHMD_NAME("ends"), set);
    set.lifetime = SHMD_LIFETIME_CONNECTION;
    daemon.set(*SHMD_NAME("ends"), set);
    CHECK(holders(daemon, "ends") == 1);
    {
        shmdpp::hold short_one = first.hold(*SHMD_NAME("ends"));
        CHECK(holders(daemon, "ends") == 2);
    }
    CHECK(holders(daemon, "ends") == 1);

    /* The end of a hold of what was disowned asks for nothing, so the failure before it stays. */
    {
        shmdpp::hold ended = first.hold(*SHMD_NAME("ends"));
        first.disown(*SHMD_NAME("ends"));
        CHECK(code_of([&] { first.find("ends"); }) == SHMD_ERROR_NO_SUCH_SEGMENT);
        CHECK(std::strstr(shmd_last_failure(first.get())->parameters, "ends"));
    }
    CHECK(std::strstr(shmd_last_failure(first.get())->parameters, "ends"));
    shmd_adopt_options adopt = {};
    adopt.has_shmid = true;
    adopt.shmid = made->shmid;
    daemon.adopt(adopt);
    daemon.remove(*SHMD_SHMID(made->shmid));
}

/* Does CALL until memory is enough, and CHECK_NOTHING after each time that it is not. */
template <typename Call, typename Check>
static void without_memory(Call &&call, Check &&check_nothing)
{
    for (long enough = 0;; enough++) {
        try {
            allocations_left = enough;
            call();
            allocations_left = -1;
            CHECK(enough > 0);
            return;
        } catch (const std::bad_alloc &) {
            allocations_left = -1;
            check_nothing();
        }
    }
}

static void no_memory(shmdpp::connection &daemon)
{
    const auto nothing_is_there = [&] {
        CHECK(code_of([&] { daemon.find("scarce"); }) == SHMD_ERROR_NO_SUCH_SEGMENT);
    };
    const auto nobody_else_holds = [&] { CHECK(holders(daemon, "scarce") == 1); };
    const shmd_create_options options = named("scarce", 1, SHMD_LIFETIME_CONNECTION);
    shmdpp::connection other;
    without_memory([&] { daemon.create_filled(options, [](std::byte *, std::size_t) {}); },
                   nothing_is_there);
    daemon.remove(*SHMD_NAME("scarce"));
    without_memory([&] { daemon.create(options); }, nothing_is_there);
    without_memory(
        [&] {
            shmdpp::hold held = other.hold(*SHMD_NAME("scarce"));
            allocations_left = -1;
            CHECK(holders(daemon, "scarce") == 2);
        },
        nobody_else_holds);
    nobody_else_holds();
    daemon.remove(*SHMD_NAME("scarce"));
}

/* What an object that was moved from is asked is refused. */
static void moved_from(shmdpp::connection &daemon)
{
    const shmd_create_options options = named("moved", 4096, SHMD_LIFETIME_CONNECTION);
    shmd_subscribe_options subscribe = {};
    subscribe.prefix = "moved";
    shmdpp::connection first;
    shmdpp::connection second = std::move(first);
    CHECK(!first.get() && second.get());
    second.subscribe(subscribe);
    shmdpp::segment here = second.create(options);
    const shmdpp::segment there = std::move(here);
    CHECK(there.name() == "moved" && there->size == 4096);

    CHECK(code_of([&] { first.create(options); }) == -EINVAL);
    CHECK(code_of([&] { first.create_filled(options, [](std::byte *, std::size_t) {}); }) ==
          -EINVAL);
    CHECK(code_of([&] { first.adopt({}); }) == -EINVAL);
    CHECK(code_of([&] { first.disown(*SHMD_NAME("moved")); }) == -EINVAL);
    CHECK(code_of([&] { first.stat(*SHMD_NAME("moved")); }) == -EINVAL);
    CHECK(code_of([&] { first.find("moved"); }) == -EINVAL);
    CHECK(code_of([&] { first.wait("moved", 0); }) == -EINVAL);
    CHECK(code_of([&] { first.wait_and_hold("moved", 0); }) == -EINVAL);
    CHECK(code_of([&] { first.set(*SHMD_NAME("moved"), {}); }) == -EINVAL);
    CHECK(code_of([&] { first.ready(*SHMD_NAME("moved")); }) == -EINVAL);
    CHECK(code_of([&] { first.remove(*SHMD_NAME("moved")); }) == -EINVAL);
    CHECK(code_of([&] { first.hold(*SHMD_NAME("moved")); }) == -EINVAL);
    CHECK(code_of([&] { first.release(*SHMD_NAME("moved")); }) == -EINVAL);
    CHECK(code_of([&] { first.attach(there); }) == -EINVAL);
    CHECK(code_of([&] { first.attach_readonly(there); }) == -EINVAL);
    CHECK(code_of([&] { first.subscribe(); }) == -EINVAL);
    CHECK(code_of([&] { first.next_event(0); }) == -EINVAL);

    CHECK(code_of([&] { (void)here->size; }) == -EINVAL);
    CHECK(code_of([&] { (void)(*here).size; }) == -EINVAL);
    CHECK(code_of([&] { (void)here.name(); }) == -EINVAL);
    CHECK(code_of([&] { second.attach(here); }) == -EINVAL);

    std::optional<shmdpp::event> created = second.next_event();
    CHECK(created);
    const shmdpp::event told = std::move(*created);
    CHECK(told->kind == SHMD_EVENT_CREATED);
    CHECK(code_of([&] { (void)(*created)->kind; }) == -EINVAL);
    CHECK(code_of([&] { (void)(**created).kind; }) == -EINVAL);

    shmdpp::attachment memory = second.attach(there);
    const shmdpp::attachment moved = std::move(memory);
    CHECK(memory.size() == 0 && memory.begin() == memory.end());
    CHECK(code_of([&] { (void)memory.as<frame>(); }) == -EINVAL);

    /* A hold outlives the object that it was taken through, and is good as long as it lives. */
    shmdpp::hold outer = second.hold(*SHMD_NAME("moved"));
    {
        shmdpp::connection last = std::move(second);
        shmdpp::hold inner = last.hold(*SHMD_NAME("moved"));
        outer = std::move(inner);
        CHECK(inner.serial() == 0);
    }
    CHECK(holders(daemon, "moved") == 1);
    {
        const shmdpp::hold end = std::move(outer);
    }
    shmdpp::connection watcher;
    watcher.subscribe(subscribe);
    if (code_of([&] { daemon.find("moved"); }) == 0)
        while (watcher.next_event().value()->kind != SHMD_EVENT_REMOVED)
            ;
    CHECK(code_of([&] { daemon.find("moved"); }) == SHMD_ERROR_NO_SUCH_SEGMENT);
}

static void ready(shmdpp::connection &daemon)
{
    shmd_create_options options = named("filled", 1, SHMD_LIFETIME_PERSISTENT);
    options.not_ready = true;
    daemon.create(options);
    CHECK(code_of([&] { daemon.wait("filled", 0); }) == SHMD_ERROR_TIMED_OUT);
    CHECK(daemon.ready(*SHMD_NAME("filled"))->state == SHMD_STATE_READY);
    CHECK(daemon.wait("filled")->state == SHMD_STATE_READY);
    shmd_set_options set = {};
    set.has_mode = true;
    set.mode = 0640;
    CHECK(daemon.set(*SHMD_NAME("filled"), set)->mode == 0640);
    daemon.remove(*SHMD_NAME("filled"), SHMD_REMOVE_IF_UNATTACHED);
}

static void wait_and_hold(shmdpp::connection &daemon)
{
    CHECK(code_of([&] { daemon.wait_and_hold("awaited", 0); }) == SHMD_ERROR_TIMED_OUT);
    shmdpp::connection maker;
    const shmdpp::segment made = maker.create(named("awaited", 1, SHMD_LIFETIME_CONNECTION));
    {
        shmdpp::hold outer = daemon.wait_and_hold("awaited");
        CHECK(outer.serial() == made->serial && holders(daemon, "awaited") == 2);
        {
            shmdpp::hold inner = daemon.wait_and_hold("awaited", 0);
        }
        maker.release(*SHMD_NAME("awaited"));
        CHECK(holders(daemon, "awaited") == 1);
    }
    CHECK(code_of([&] { daemon.find("awaited"); }) == SHMD_ERROR_NO_SUCH_SEGMENT);

    /* Its end asks for nothing, so the failure before it stays. */
    daemon.create(named("awaited", 1, SHMD_LIFETIME_PERSISTENT));
    {
        shmdpp::hold nothing = daemon.wait_and_hold("awaited");
        CHECK(nothing.serial() > 0 && holders(daemon, "awaited") == 0);
        CHECK(code_of([&] { daemon.find("missing"); }) == SHMD_ERROR_NO_SUCH_SEGMENT);
    }
    CHECK(shmd_last_failure(daemon.get())->code == SHMD_ERROR_NO_SUCH_SEGMENT);
    daemon.remove(*SHMD_NAME("awaited"));
}

static void create_filled(shmdpp::connection &daemon)
{
    const shmd_create_options options = named("letters", 4096, SHMD_LIFETIME_PERSISTENT);
    struct mishap {
    };
    try {
        daemon.create_filled(options, [](std::byte *, std::size_t) { throw mishap(); });
        CHECK(false);
    } catch (const mishap &) {
    }
    CHECK(code_of([&] { daemon.find("letters"); }) == SHMD_ERROR_NO_SUCH_SEGMENT);

    bool created = false;
    char letter = 'a';
    shmdpp::connection other;
    auto fill = [&](std::byte *memory, std::size_t size) {
        CHECK(other.find("letters")->state == SHMD_STATE_INITIALISING);
        CHECK(code_of([&] { other.wait("letters", 0); }) == SHMD_ERROR_TIMED_OUT);
        std::memset(memory, letter++, size);
    };
    shmdpp::segment made = daemon.create_filled(options, fill, &created);
    CHECK(created && letter == 'b' && made->state == SHMD_STATE_READY);
    CHECK(daemon.attach_readonly(made).data()[4095] == std::byte{'a'});
    daemon.create_filled(options, fill, &created);
    CHECK(!created && letter == 'b');
    CHECK(code_of([&] { daemon.create_filled(named(nullptr, 0, shmd_lifetime(9)), fill); }) ==
          -EINVAL);
    daemon.remove(*SHMD_NAME("letters"));
}

static void events(shmdpp::connection &daemon)
{
    shmd_subscribe_options options = {};
    options.prefix = "seen/";
    options.kinds = SHMD_EVENT_CREATED | SHMD_EVENT_REMOVED;
    shmdpp::connection watcher;
    const std::uint64_t newest = watcher.subscribe(options);
    CHECK(!watcher.next_event(0));
    daemon.create(named("seen/1", 1, SHMD_LIFETIME_PERSISTENT));
    daemon.remove(*SHMD_NAME("seen/1"));
    std::optional<shmdpp::event> first = watcher.next_event();
    CHECK(first && (*first)->kind == SHMD_EVENT_CREATED && (*first)->event_serial > newest);
    CHECK(std::strcmp((*first)->segment->name, "seen/1") == 0);
    first = watcher.next_event();
    CHECK(first && (**first).kind == SHMD_EVENT_REMOVED);
    options.kinds = SHMD_EVENT_GAP;
    CHECK(code_of([&] { watcher.subscribe(options); }) == -EINVAL);
}

static void disown_and_adopt(shmdpp::connection &daemon)
{
    const shmdpp::segment made = daemon.create(named("mine", 1, SHMD_LIFETIME_PERSISTENT));
    CHECK(!daemon.disown(*SHMD_NAME("mine"))->managed);
    shmd_adopt_options options = {};
    options.has_shmid = true;
    options.shmid = made->shmid;
    options.name = "mine/again";
    CHECK(daemon.adopt(options).name() == "mine/again");
    CHECK(code_of([&] { daemon.adopt(options); }) != 0);
    daemon.remove(*SHMD_NAME("mine/again"));
}

static void errors(shmdpp::connection &daemon)
{
    try {
        daemon.find("nothing");
        CHECK(false);
    } catch (const shmdpp::error &e) {
        CHECK(e.code() == SHMD_ERROR_NO_SUCH_SEGMENT && e.name() == "io.shmd.NoSuchSegment");
        CHECK(e.parameters().find("nothing") != std::string::npos);
        CHECK(std::strstr(e.what(), "nothing"));
    }
    try {
        shmdpp::connection nobody("/nowhere/shmd.sock", 0);
        CHECK(false);
    } catch (const shmdpp::error &e) {
        CHECK(e.code() == -ENOENT);
        CHECK(std::strstr(e.what(), "cannot reach the daemon at /nowhere/shmd.sock: "));
        CHECK(std::strstr(e.what(), "is it running?"));
    }
    setenv("SHMD_SOCKET", "/nowhere/else.sock", 1);
    try {
        shmdpp::connection nobody;
        CHECK(false);
    } catch (const shmdpp::error &e) {
        CHECK(std::strstr(e.what(), "at /nowhere/else.sock: "));
    }
}

int main()
{
    shmdpp::connection daemon;
    attach(daemon);
    hold(daemon);
    nested_holds(daemon);
    what_holds_end_with(daemon);
    no_memory(daemon);
    moved_from(daemon);
    ready(daemon);
    wait_and_hold(daemon);
    create_filled(daemon);
    events(daemon);
    disown_and_adopt(daemon);
    errors(daemon);
    return 0;
}
