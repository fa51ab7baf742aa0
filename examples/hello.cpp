// SPDX-License-Identifier: MIT
// hello write NAME fills a segment from standard input, hello read NAME waits until it is filled and prints it; in
// any order, and also when the daemon is killed and started again meanwhile.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <shmd.hpp>
#include <string>

// What CALL gives; when the connection was lost, after another try.
template <typename Call> static shmdpp::segment lasting(shmdpp::connection &daemon, Call &&call)
{
    for (;;) {
        try {
            return call();
        } catch (const shmdpp::error &e) {
            if (e.code() != -ECONNRESET || shmd_reconnect(daemon.get(), 60000) != 0)
                throw;
        }
    }
}

static void fill(shmdpp::connection &daemon, const char *name)
{
    shmd_create_options options = {};
    options.name = name;
    options.size = 4096;
    options.exclusive = options.not_ready = true;
    const shmdpp::segment segment = daemon.create(options);
    {
        const shmdpp::attachment memory = daemon.attach(segment);
        if (std::fread(memory.data(), 1, memory.size(), stdin) == 0)
            std::fputs("hello: standard input has nothing\n", stderr);
    }
    lasting(daemon, [&] { return daemon.ready(*SHMD_SERIAL(segment->serial)); });
}

static void print(shmdpp::connection &daemon, const char *name)
{
    const shmdpp::segment segment = lasting(daemon, [&] { return daemon.wait(name); });
    const shmdpp::readonly_attachment memory = daemon.attach_readonly(segment);
    const char *text = reinterpret_cast<const char *>(memory.data());
    std::fwrite(text, 1, strnlen(text, memory.size()), stdout);
}

int main(int argc, char *argv[])
{
    const std::string verb = argc == 3 ? argv[1] : "";
    if (verb != "write" && verb != "read") {
        std::fputs("usage: hello write|read NAME\n", stderr);
        return 2;
    }
    try {
        shmdpp::connection daemon;
        verb == "write" ? fill(daemon, argv[2]) : print(daemon, argv[2]);
        return 0;
    } catch (const std::exception &e) {
        std::fprintf(stderr, "hello: %s\n", e.what());
        return 1;
    }
}
