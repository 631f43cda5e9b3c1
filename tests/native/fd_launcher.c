// SPDX-License-Identifier: Apache-2.0

// Executes a program with descriptors as systemd passes them (sd_listen_fds(3)).
//
//   fd_launcher NAMES FDS PROGRAM ARGUMENTS...
//
// NAMES are those of the descriptors, with ':' between; FDS their numbers here, with ',' between; both empty: none.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3 };

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    int count = 0;
    for (char *at = argv[2]; *at; at += strcspn(at, ","), at += *at == ',')
        count++;
    // Out of the way first, so that none is overwritten before it was moved.
    int high = FIRST + count + 64;
    int *moved = calloc(count + 1, sizeof *moved);
    int i = 0;
    for (char *at = argv[2]; *at; at += strcspn(at, ","), at += *at == ',') {
        int fd = atoi(at);
        if ((moved[i] = fcntl(fd, F_DUPFD, high)) < 0) {
            perror("fcntl");
            return 1;
        }
        close(fd);
        i++;
    }
    for (i = 0; i < count; i++) {
        if (dup2(moved[i], FIRST + i) < 0) {
            perror("dup2");
            return 1;
        }
        close(moved[i]);
    }
    char number[16];
    if (count > 0) {
        snprintf(number, sizeof number, "%d", count);
        setenv("LISTEN_FDS", number, 1);
        setenv("LISTEN_FDNAMES", argv[1], 1);
        snprintf(number, sizeof number, "%d", getpid());
        setenv("LISTEN_PID", number, 1);
    }
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 1;
}
