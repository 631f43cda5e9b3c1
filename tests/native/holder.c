// SPDX-License-Identifier: Apache-2.0
//
// A process that holds a buffer, for tests: it is told over a SOCK_SEQPACKET socket what to do with the fd that comes with the first command,
// and says what became of it. usage: holder SOCKET [LISTEN]
//
//   hold SIZE [ro]  keeps and maps the fd that comes along            -> ok | error NAME
//   touch           reads the first byte of each page, and writes it back
//                   unless mapped read-only                           -> ok | sigbus
//   put OFFSET BYTE stores a byte through the mapping                 -> ok | sigbus
//   get OFFSET      loads one                                         -> N | sigbus
//   remap           maps the fd anew, before touching that mapping    -> ok | sigbus | error NAME
//   size            of the fd                                         -> N
//   cut SIZE        truncates the fd                                  -> ok | error NAME
//   fork            a child with the same mapping takes over the commands until it is told to exit; exit gives them back to the parent
//   pass PATH       sends the fd to another holder, which listens     -> ok
//   take SIZE       accepts a connection on LISTEN and holds the fd that was waiting in it
//   exit
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int control, listener = -1, held = -1, readonly;
static size_t size;
static volatile uint8_t *map;
static sigjmp_buf escape;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void on_sigbus(int signal)
{
	(void)signal;
	siglongjmp(escape, 1);
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	strcpy(a.sun_path, path);
	return a;
}

static int dial(const char *path)
{
	struct sockaddr_un a = address(path);
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a)))
		die(path);
	return s;
}

static void say(const char *text)
{
	if (send(control, text, strlen(text), MSG_NOSIGNAL) < 0)
		die("send");
}

static void say_number(unsigned long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", number);
	say(text);
}

static void say_error(void)
{
	char text[64];

	snprintf(text, sizeof(text), "error %s", strerrorname_np(errno));
	say(text);
}

static ssize_t receive(int s, char *text, size_t capacity, int *fd)
{
	char buffer[CMSG_SPACE(sizeof(int))];
	struct iovec data = { text, capacity - 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = buffer, .msg_controllen = sizeof(buffer) };
	ssize_t length = recvmsg(s, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	*fd = -1;
	if (length >= 0) {
		text[length] = 0;
		if (header && header->cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(header), sizeof(int));
	}
	return length;
}

static void pass(const char *path)
{
	char buffer[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { "fd", 2 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = buffer, .msg_controllen = sizeof(buffer) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int s = dial(path);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &held, sizeof(int));
	if (sendmsg(s, &message, MSG_NOSIGNAL) < 0)
		die("sendmsg");
	close(s); // What is in its queue stays there to be accepted and received.
	say("ok");
}

static volatile uint8_t *map_held(void)
{
	return mmap(NULL, size, readonly ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, held, 0);
}

static void touch(volatile uint8_t *memory)
{
	for (size_t offset = 0; offset < size; offset += 4096) {
		uint8_t byte = memory[offset];

		if (!readonly)
			memory[offset] = byte;
	}
}

static void hold(int fd)
{
	if (fd < 0) {
		errno = EBADF;
		say_error();
		return;
	}
	held = fd;
	map = map_held();
	if (map == MAP_FAILED)
		say_error();
	else
		say("ok");
}

static void take(void)
{
	char text[16];
	int fd, s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (s < 0 || receive(s, text, sizeof(text), &fd) < 0)
		die("take");
	close(s);
	hold(fd);
}

static void fork_child(void)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0)
		die("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			exit(1);
		say("ok");
	} else {
		waitpid(child, NULL, 0);
		say("ok");
	}
}

static void obey(const char *text, int fd)
{
	unsigned long first = 0, second = 0;
	char path[108];

	if (sscanf(text, "hold %lu", &first) == 1) {
		size = first;
		readonly = strstr(text, " ro") != NULL;
		hold(fd);
	} else if (!strcmp(text, "touch")) {
		touch(map);
		say("ok");
	} else if (sscanf(text, "put %lu %lu", &first, &second) == 2) {
		map[first] = second;
		say("ok");
	} else if (sscanf(text, "get %lu", &first) == 1) {
		say_number(map[first]);
	} else if (!strcmp(text, "remap")) {
		volatile uint8_t *again = map_held();

		if (again == MAP_FAILED) {
			say_error();
			return;
		}
		touch(again);
		say("ok");
	} else if (!strcmp(text, "size")) {
		struct stat status;

		if (fstat(held, &status))
			say_error();
		else
			say_number(status.st_size);
	} else if (sscanf(text, "cut %lu", &first) == 1) {
		if (ftruncate(held, first))
			say_error();
		else
			say("ok");
	} else if (!strcmp(text, "fork")) {
		fork_child();
	} else if (sscanf(text, "pass %107s", path) == 1) {
		pass(path);
	} else if (sscanf(text, "take %lu", &first) == 1) {
		size = first;
		take();
	} else if (!strcmp(text, "exit")) {
		exit(0);
	} else {
		fprintf(stderr, "holder: no such command: %s\n", text);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_sigbus };
	char text[256];
	int fd;

	if (argc < 2)
		return 2;
	sigaction(SIGBUS, &action, NULL);
	if (argc > 2) {
		struct sockaddr_un a = address(argv[2]);

		listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 8))
			die(argv[2]);
	}
	control = dial(argv[1]);
	while (receive(control, text, sizeof(text), &fd) > 0) {
		if (sigsetjmp(escape, 1))
			say("sigbus");
		else
			obey(text, fd);
	}
	return 0;
}
