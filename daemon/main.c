/* SPDX-License-Identifier: MIT */
#include "daemon/shmd.h"

int main(int argc, char **argv)
{
    return shmd_main(argc, argv);
}
