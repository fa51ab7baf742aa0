/* SPDX-License-Identifier: MIT */
/*
 * shmd.hpp: libshmd for C++17, in a header alone. The namespace is shmdpp, for C has a struct shmd.
 *
 *   shmdpp::connection daemon;
 *   shmd_create_options options = {};
 *   options.name = "frames";
 *   options.size = 4096;
 *   shmdpp::segment frames = daemon.create(options);
 *   shmdpp::attachment memory = daemon.attach(frames);
 *   std::memcpy(memory.data(), "hello", 5);
 *
 * Each class owns one thing and gives it back when it goes: a connection, what is known of a
 * segment, an attachment, a hold. They can be moved and not copied. A call that fails throws
 * shmdpp::error, which carries the failure, and so does the use of an object that was moved from; a
 * destructor throws nothing. Times and threads are as shmd.h says.
 */
#ifndef SHMD_HPP
#define SHMD_HPP

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#if __cplusplus >= 202002L
#include <span>
#endif

#include "shmd.h"

namespace shmdpp
{

/* What a call was refused with, or could not be done for. */
class error : public std::runtime_error
{
  public:
    error(int code, const std::string &message, std::string name, std::string parameters)
        : std::runtime_error(message), code_(code), name_(std::move(name)),
          parameters_(std::move(parameters))
    {
    }

    /* A negative errno, or an enum shmd_error. */
    int code() const noexcept
    {
        return code_;
    }
    /* The error's name on the wire; empty: the daemon did not refuse. */
    const std::string &name() const noexcept
    {
        return name_;
    }
    /* More about it: a JSON object. */
    const std::string &parameters() const noexcept
    {
        return parameters_;
    }

  private:
    int code_;
    std::string name_, parameters_;
};

namespace detail
{

[[noreturn]] inline void fail(int code, const struct shmd *handle)
{
    const struct shmd_failure *failure = handle ? shmd_last_failure(handle) : nullptr;
    if (!failure)
        throw error(code, shmd_strerror(code), "", "{}");
    char text[1024];
    const bool is_told = shmd_failure_text(handle, text, sizeof(text)) > 0;
    throw error(code, is_told ? text : shmd_strerror(code), failure->name ? failure->name : "",
                failure->parameters ? failure->parameters : "{}");
}

/* PATH nullptr: what shmd_connect() has found. */
[[noreturn]] inline void fail_to_connect(int code, const char *path)
{
    char found[256], text[512];
    const std::string at = path ? path : shmd_socket_path(found, sizeof(found)) == 0 ? found : "";
    shmd_unreachable_text(path, code, text, sizeof(text));
    throw error(code, "cannot reach the daemon" + (at.empty() ? at : " at " + at) + ": " + text, "",
                "{}");
}

inline void check(int result, const struct shmd *handle)
{
    if (result != 0)
        fail(result, handle);
}

[[noreturn]] inline void fail_as_moved(const char *what)
{
    throw error(-EINVAL, std::string("this ") + what + " was moved to another object", "", "{}");
}

struct closes {
    void operator()(struct shmd *handle) const noexcept
    {
        shmd_disconnect(handle);
    }
};

struct frees {
    void operator()(struct shmd_segment *segment) const noexcept
    {
        shmd_segment_free(segment);
    }
};

struct frees_event {
    void operator()(struct shmd_event *event) const noexcept
    {
        shmd_event_free(event);
    }
};

/* A function that fills a segment. What it throws must not pass through C. */
template <typename Fill> struct filling {
    Fill *fill;
    std::exception_ptr thrown;

    static int run(void *address, std::uint64_t size, void *data) noexcept
    {
        filling *self = static_cast<filling *>(data);
        try {
            (*self->fill)(static_cast<std::byte *>(address), static_cast<std::size_t>(size));
            return 0;
        } catch (...) {
            self->thrown = std::current_exception();
            return -ECANCELED;
        }
    }
};

/* A segment that this process holds through a connection. The daemon knows the holder once, however
 * many holds there are, so only the end of the last one may tell it. */
struct held {
    std::uint64_t serial = 0;
    int shmid = -1;
    std::size_t count = 0; /* of the holds */
    bool is_kept = false;  /* create made it a holder, say: until release or the end */
    bool is_over = false;  /* it was released, and what holds there are hold nothing any more */
};

/* What a connection is. Its holds keep it. */
struct connected {
    using holds_by_serial = std::map<std::uint64_t, std::shared_ptr<held>>;

    std::unique_ptr<struct shmd, closes> handle;
    holds_by_serial holds;

    /* Room for one more. It is made before the daemon is asked: afterwards it would be too late for
     * want of memory. */
    static holds_by_serial::node_type make_room()
    {
        holds_by_serial one;
        one.try_emplace(0, std::make_shared<held>());
        return one.extract(one.begin());
    }

    const std::shared_ptr<held> &of(const struct shmd_segment &segment,
                                    holds_by_serial::node_type &&room) noexcept
    {
        room.key() = segment.serial;
        room.mapped()->serial = segment.serial;
        room.mapped()->shmid = segment.shmid;
        return holds.insert(std::move(room)).position->second;
    }

    static bool has_holders(const struct shmd_segment &segment) noexcept
    {
        return segment.lifetime == SHMD_LIFETIME_PROCESS ||
               segment.lifetime == SHMD_LIFETIME_CONNECTION;
    }

    void keep(const struct shmd_segment &segment, holds_by_serial::node_type &&room) noexcept
    {
        if (has_holders(segment))
            of(segment, std::move(room))->is_kept = true;
    }

    void forget(std::uint64_t serial) noexcept
    {
        const auto found = holds.find(serial);
        if (found == holds.end())
            return;
        found->second->is_over = true;
        holds.erase(found);
    }

    /* The daemon has no serial of what was disowned. */
    void forget_disowned(int shmid) noexcept
    {
        for (auto one = holds.begin(); one != holds.end();) {
            const auto next = std::next(one);
            if (one->second->shmid == shmid)
                forget(one->first);
            one = next;
        }
    }

    void give_back(held &one) noexcept
    {
        if (one.is_over || --one.count > 0 || one.is_kept)
            return;
        const std::uint64_t serial = one.serial;
        forget(serial);
        (void)shmd_release(handle.get(), SHMD_SERIAL(serial), nullptr);
    }
};

} // namespace detail

/* A segment as it was when the daemon answered. It owns no memory of the segment. */
class segment
{
  public:
    explicit segment(struct shmd_segment *taken) noexcept : known_(taken)
    {
    }

    const struct shmd_segment &operator*() const
    {
        if (!known_)
            detail::fail_as_moved("segment");
        return *known_;
    }
    const struct shmd_segment *operator->() const
    {
        return &**this;
    }
    std::string name() const
    {
        const struct shmd_segment &known = **this;
        return known.name ? known.name : "";
    }

  private:
    std::unique_ptr<struct shmd_segment, detail::frees> known_;
};

/* Something that has happened. Its segment belongs to it. */
class event
{
  public:
    explicit event(struct shmd_event *taken) noexcept : known_(taken)
    {
    }

    const struct shmd_event &operator*() const
    {
        if (!known_)
            detail::fail_as_moved("event");
        return *known_;
    }
    const struct shmd_event *operator->() const
    {
        return &**this;
    }

  private:
    std::unique_ptr<struct shmd_event, detail::frees_event> known_;
};

/* Memory that is attached; it is detached at the end. T is const for one that is read-only. One
 * that was moved from has no memory: data() is nullptr, size() 0. */
template <typename T> class basic_attachment
{
  public:
    basic_attachment(T *address, std::size_t size) noexcept : address_(address), size_(size)
    {
    }
    basic_attachment(basic_attachment &&other) noexcept
        : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0))
    {
    }
    basic_attachment &operator=(basic_attachment &&other) noexcept
    {
        basic_attachment taken(std::move(other));
        std::swap(address_, taken.address_);
        std::swap(size_, taken.size_);
        return *this;
    }
    basic_attachment(const basic_attachment &) = delete;
    basic_attachment &operator=(const basic_attachment &) = delete;
    ~basic_attachment()
    {
        if (address_)
            (void)shmd_detach(address_);
    }

    T *data() const noexcept
    {
        return address_;
    }
    std::size_t size() const noexcept
    {
        return size_;
    }
    T *begin() const noexcept
    {
        return address_;
    }
    T *end() const noexcept
    {
        return address_ + size_;
    }
    /* The memory as an object that needs no constructor. */
    template <typename U> auto *as() const
    {
        using object = std::conditional_t<std::is_const_v<T>, const U, U>;
        static_assert(std::is_trivially_copyable_v<U>, "other processes copy no constructors");
        if (!address_)
            detail::fail_as_moved("attachment");
        if (sizeof(U) > size_)
            throw error(-EINVAL, "the segment is smaller than the object", "", "{}");
        return static_cast<object *>(
            static_cast<std::conditional_t<std::is_const_v<T>, const void *, void *>>(address_));
    }
#if __cplusplus >= 202002L
    std::span<T> bytes() const noexcept
    {
        return {address_, size_};
    }
#endif

  private:
    T *address_;
    std::size_t size_;
};

using attachment = basic_attachment<std::byte>;
using readonly_attachment = basic_attachment<const std::byte>;

class connection;

/* The process is a holder of a segment as long as this lives. Several holds by one connection may
 * be taken of a segment: the end of the last one is the end of what the daemon knows. When the
 * connection has made the process a holder before, by create, create_filled, adopt or set, that
 * goes on until its release(), which ends all of them. What was done through get() is not counted.
 * Another connection of the process counts for itself; but of a segment of lifetime `process` the
 * process is one holder over all of them. A hold keeps its connection open, also when the object
 * that it was taken through is gone. */
class hold
{
  public:
    hold(hold &&) noexcept = default;
    hold &operator=(hold &&other) noexcept
    {
        hold taken(std::move(other));
        std::swap(connected_, taken.connected_);
        std::swap(held_, taken.held_);
        return *this;
    }
    hold(const hold &) = delete;
    hold &operator=(const hold &) = delete;
    ~hold()
    {
        if (connected_)
            connected_->give_back(*held_);
    }

    /* 0: it was moved from. */
    std::uint64_t serial() const noexcept
    {
        return held_ ? held_->serial : 0;
    }

  private:
    friend class connection;
    hold(std::shared_ptr<detail::connected> connected,
         const std::shared_ptr<detail::held> &held) noexcept
        : connected_(std::move(connected)), held_(held)
    {
        ++held_->count;
    }

    std::shared_ptr<detail::connected> connected_;
    std::shared_ptr<detail::held> held_;
};

/* A connection to the daemon. */
class connection
{
  public:
    /* PATH nullptr: as shmd_socket_path() finds it. */
    explicit connection(const char *path = nullptr, int timeout_ms = -1)
        : connected_(std::make_shared<detail::connected>())
    {
        struct shmd *handle = nullptr;
        const int result = shmd_connect(path, timeout_ms, &handle);
        if (result != 0)
            detail::fail_to_connect(result, path);
        connected_->handle.reset(handle);
    }

    /* For the calls of shmd.h that have no method here. nullptr: it was moved from. */
    struct shmd *get() const noexcept
    {
        return connected_ ? connected_->handle.get() : nullptr;
    }

    /* CREATED, unless that is nullptr, tells whether it was not there before. */
    segment create(const struct shmd_create_options &options, bool *created = nullptr)
    {
        auto room = detail::connected::make_room();
        bool is_new = false;
        segment made = ask([&](struct shmd_segment **ret) {
            return shmd_create(handle(), &options, ret, &is_new);
        });
        note_created(*made, options, is_new, std::move(room), created);
        return made;
    }
    /* As create(), and FILL(std::byte *, std::size_t) writes to the memory of a new segment, which
     * is all zero. Only then it is ready, so that no wait() returns it before, and with `replace`
     * only then it takes the name. Without that others can find it while it is filled, in the state
     * `initialising`. An existing one is not filled. When FILL throws, the new segment is removed
     * again, as after any other failure. FILL must not use this connection, nor OPTIONS say
     * `not_ready` or the lifetime `attached`. */
    template <typename Fill>
    segment create_filled(const struct shmd_create_options &options, Fill &&fill,
                          bool *created = nullptr)
    {
        auto room = detail::connected::make_room();
        bool is_new = false;
        detail::filling<std::remove_reference_t<Fill>> filling = {&fill, nullptr};
        struct shmd_content content = {};
        content.fill = filling.run;
        content.data = &filling;
        struct shmd_segment *known = nullptr;
        const int result = shmd_create_filled(handle(), &options, &content, &known, &is_new);
        if (filling.thrown)
            std::rethrow_exception(filling.thrown);
        detail::check(result, handle());
        note_created(*known, options, is_new, std::move(room), created);
        return segment(known);
    }
    segment adopt(const struct shmd_adopt_options &options)
    {
        auto room = detail::connected::make_room();
        segment adopted =
            ask([&](struct shmd_segment **ret) { return shmd_adopt(handle(), &options, ret); });
        connected_->keep(*adopted, std::move(room));
        return adopted;
    }
    segment disown(const struct shmd_target &target)
    {
        segment left =
            ask([&](struct shmd_segment **ret) { return shmd_disown(handle(), &target, ret); });
        connected_->forget_disowned(left->shmid);
        return left;
    }
    segment stat(const struct shmd_target &target)
    {
        return ask([&](struct shmd_segment **ret) { return shmd_stat(handle(), &target, ret); });
    }
    /* The caller's own, root's or the daemon's, unless TRUST widens that. */
    segment find(const std::string &name, const struct shmd_trust *trust = nullptr)
    {
        return ask([&](struct shmd_segment **ret) {
            return shmd_stat_trusted(handle(), SHMD_NAME(name.c_str()), trust, ret);
        });
    }
    /* As find(), once it is there and ready. TIMEOUT_MS -1: for ever. */
    segment wait(const std::string &name, std::int64_t timeout_ms = -1,
                 const struct shmd_trust *trust = nullptr)
    {
        return ask([&](struct shmd_segment **ret) {
            return shmd_wait_trusted(handle(), name.c_str(), timeout_ms, 0, trust, ret);
        });
    }
    /* As wait(), and the process is its holder from that instant on, so that the end of another
     * holder in between does not remove it. Of a segment of another lifetime than `process` and
     * `connection` nobody is a holder, and the hold holds nothing. */
    shmdpp::hold wait_and_hold(const std::string &name, std::int64_t timeout_ms = -1,
                               const struct shmd_trust *trust = nullptr)
    {
        auto room = detail::connected::make_room();
        const segment found = ask([&](struct shmd_segment **ret) {
            return shmd_wait_trusted(handle(), name.c_str(), timeout_ms, SHMD_WAIT_HOLD, trust,
                                     ret);
        });
        if (detail::connected::has_holders(*found))
            return {connected_, connected_->of(*found, std::move(room))};
        room.mapped()->serial = found->serial;
        room.mapped()->is_over = true;
        return {connected_, room.mapped()};
    }
    segment set(const struct shmd_target &target, const struct shmd_set_options &options)
    {
        auto room = detail::connected::make_room();
        segment changed = ask(
            [&](struct shmd_segment **ret) { return shmd_set(handle(), &target, &options, ret); });
        if (!detail::connected::has_holders(*changed))
            connected_->forget(changed->serial);
        else if (options.lifetime != 0)
            connected_->keep(*changed, std::move(room));
        return changed;
    }
    segment ready(const struct shmd_target &target)
    {
        return ask([&](struct shmd_segment **ret) { return shmd_ready(handle(), &target, ret); });
    }
    segment remove(const struct shmd_target &target, unsigned flags = 0)
    {
        return forget(ask(
            [&](struct shmd_segment **ret) { return shmd_remove(handle(), &target, flags, ret); }));
    }
    shmdpp::hold hold(const struct shmd_target &target)
    {
        auto room = detail::connected::make_room();
        const segment held =
            ask([&](struct shmd_segment **ret) { return shmd_hold(handle(), &target, ret); });
        return {connected_, connected_->of(*held, std::move(room))};
    }
    /* The process does not hold it through this connection any more, whatever made it a holder. */
    segment release(const struct shmd_target &target)
    {
        return forget(
            ask([&](struct shmd_segment **ret) { return shmd_release(handle(), &target, ret); }));
    }
    attachment attach(const segment &what)
    {
        return attach_as<std::byte>(what, 0);
    }
    readonly_attachment attach_readonly(const segment &what)
    {
        return attach_as<const std::byte>(what, SHMD_ATTACH_READONLY);
    }

    /* What happens from now on is given by next_event(). The serial of the newest event there is.
     */
    std::uint64_t subscribe(const struct shmd_subscribe_options &options = {})
    {
        std::uint64_t newest = 0;
        detail::check(shmd_subscribe(handle(), &options, &newest), handle());
        return newest;
    }
    /* Empty: there was none within TIMEOUT_MS (-1: for ever, 0: only look). */
    std::optional<event> next_event(int timeout_ms = -1)
    {
        struct shmd_event *next = nullptr;
        const int result = shmd_next_event(handle(), timeout_ms, &next);
        if (result == -ETIMEDOUT)
            return std::nullopt;
        detail::check(result, handle());
        return event(next);
    }

  private:
    struct shmd *handle() const
    {
        if (!connected_)
            detail::fail_as_moved("connection");
        return connected_->handle.get();
    }
    segment forget(segment gone) noexcept
    {
        connected_->forget(gone->serial);
        return gone;
    }
    void note_created(const struct shmd_segment &made, const struct shmd_create_options &options,
                      bool is_new, detail::connected::holds_by_serial::node_type &&room,
                      bool *created) noexcept
    {
        if (is_new || !options.no_hold)
            connected_->keep(made, std::move(room));
        if (created)
            *created = is_new;
    }
    template <typename Call> segment ask(Call &&call)
    {
        struct shmd_segment *known = nullptr;
        detail::check(call(&known), handle());
        return segment(known);
    }
    template <typename T> basic_attachment<T> attach_as(const segment &what, unsigned flags)
    {
        void *address = nullptr;
        detail::check(shmd_attach(handle(), &*what, flags, &address), handle());
        return {static_cast<T *>(address), static_cast<std::size_t>(what->size)};
    }

    std::shared_ptr<detail::connected> connected_;
};

} // namespace shmdpp

#endif
