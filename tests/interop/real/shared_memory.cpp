// SPDX-License-Identifier: MIT
// A program of Qt's: shares a text by QSharedMemory, as one of several processes would.
//   shared_memory create|attach KEYFILE [TEXT]
// It prints what it did, and ends when its standard input does.
#include <QSharedMemory>

#include <cstdio>
#include <cstring>

int main(int argc, char **argv)
{
    enum { SIZE = 129 };
    if (argc < 3)
        return 2;
    QSharedMemory memory;
    memory.setNativeKey(QString::fromLocal8Bit(argv[2]));
    bool creates = std::strcmp(argv[1], "create") == 0;
    if (!(creates ? memory.create(SIZE) : memory.attach())) {
        std::printf("error %d\n", memory.error());
        return 1;
    }
    if (argc > 3)
        std::strcpy(static_cast<char *>(memory.data()), argv[3]);
    std::printf("%d %s\n", memory.size(), static_cast<const char *>(memory.constData()));
    std::fflush(stdout);
    while (std::getchar() != EOF)
        continue;
    return 0;
}
