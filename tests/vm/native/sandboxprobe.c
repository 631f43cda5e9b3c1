// SPDX-License-Identifier: Apache-2.0
// What a process can reach where it is run: one line for each thing that is tried, "NAME ok" or "NAME ERRNO". Run by a unit in the place of its program, and by root outside of it.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *name, long result)
{
	printf("%s %s\n", name, result >= 0 ? "ok" : strerrorname_np(errno));
	fflush(stdout);
}

static void try_open(const char *name, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	tell(name, fd);
	if (fd >= 0)
		close(fd);
}

static void try_socket(const char *name, int family, int type)
{
	int fd = socket(family, type, 0);

	tell(name, fd);
	if (fd >= 0)
		close(fd);
}

static struct sockaddr_in internet(const char *address, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, address, &at.sin_addr);
	return at;
}

static void try_bind(const char *name, int port)
{
	struct sockaddr_in at = internet("127.0.0.1", port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	tell(name, bind(fd, (struct sockaddr *)&at, sizeof(at)));
	close(fd);
}

// A datagram to where nobody answers: what is sent without leave is refused by the call itself.
static void try_send(const char *name, const char *address)
{
	struct sockaddr_in at = internet(address, 9);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	tell(name, sendto(fd, "", 1, 0, (struct sockaddr *)&at, sizeof(at)));
	close(fd);
}

static void try_memory(void)
{
	void *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *later = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	tell("mmap-writable-executable", both == MAP_FAILED ? -1 : 0);
	if (later != MAP_FAILED)
		tell("mprotect-executable", mprotect(later, 4096, PROT_READ | PROT_EXEC));
}

static void try_processes(pid_t other)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)0x400000, 1 };
	long attached = ptrace(PTRACE_SEIZE, other, NULL, NULL);

	tell("ptrace", attached);
	if (attached == 0)
		ptrace(PTRACE_INTERRUPT, other, NULL, NULL), waitpid(other, NULL, __WALL), ptrace(PTRACE_DETACH, other, NULL, NULL);
	// Nothing is mapped there, perhaps: who may look gets EFAULT.
	long got = process_vm_readv(other, &here, 1, &there, 1, 0);
	tell("process-vm-readv", got < 0 && errno == EFAULT ? 0 : got);
	tell("kill", kill(other, 0));
}

static void try_system(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	tell("clock-settime", clock_settime(CLOCK_REALTIME, &now));
	tell("mount", mount("none", "/mnt", "tmpfs", 0, NULL));
	umount("/mnt");
	tell("setuid-root", setresuid(0, 0, 0));
	tell("chmod-setuid", chmod("/run/barbroker/probe", 04755));
	// There is no such command: who may ask is told that.
	tell("bpf", syscall(SYS_bpf, 999, NULL, 0) < 0 && errno == EINVAL ? 0 : -1);
	tell("unshare-user", unshare(CLONE_NEWUSER));
}

// sandboxprobe sandbox PID NODE FOREIGN-NODE: with a process of another user, a device's node that is the broker's, and one that is another's and everybody may open.
static int sandbox(char **argument)
{
	try_open("own-device", argument[1], O_RDWR);
	try_open("foreign-device", argument[2], O_RDWR);
	try_open("disk", "/dev/vda", O_RDONLY);
	try_open("null", "/dev/null", O_RDWR);
	try_socket("socket-unix", AF_UNIX, SOCK_STREAM);
	try_socket("socket-netlink", AF_NETLINK, SOCK_RAW);
	try_socket("socket-packet", AF_PACKET, SOCK_RAW);
	try_bind("bind-metrics", 9464);
	try_bind("bind-other", 9465);
	try_send("send-loopback", "127.0.0.1");
	try_send("send-elsewhere", "10.0.2.2");
	try_open("home", "/home", O_RDONLY | O_DIRECTORY);
	try_open("home-file", "/home/alice/file", O_RDONLY);
	try_open("root-home", "/root", O_RDONLY | O_DIRECTORY);
	try_open("write-etc", "/etc/probe", O_WRONLY | O_CREAT);
	try_open("write-usr", "/usr/probe", O_WRONLY | O_CREAT);
	try_open("write-sysctl", "/proc/sys/kernel/core_pattern", O_WRONLY);
	try_open("write-run", "/run/probe", O_WRONLY | O_CREAT);
	try_open("write-own", "/run/barbroker/probe", O_WRONLY | O_CREAT);
	try_open("write-state", "/var/lib/barbroker/probe", O_WRONLY | O_CREAT);
	try_open("foreign-tmp", "/tmp/foreign", O_RDONLY);
	try_open("kernel-log", "/dev/kmsg", O_RDONLY);
	try_memory();
	try_processes(atoi(argument[0]));
	try_system();
	unlink("/run/barbroker/probe");
	unlink("/var/lib/barbroker/probe");
	unlink("/run/probe"), unlink("/etc/probe"), unlink("/usr/probe");
	return 0;
}

// sandboxprobe dial PATH: connects to a packet socket, says something that means nothing, and waits for an answer.
static int dial(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char answer[4096];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) || send(fd, "\xff", 1, 0) != 1)
		return perror(path), 1;
	return recv(fd, answer, sizeof(answer), 0) <= 0;
}

int main(int count, char **argument)
{
	if (count == 5 && !strcmp(argument[1], "sandbox"))
		return sandbox(argument + 2);
	if (count == 3 && !strcmp(argument[1], "dial"))
		return dial(argument[2]);
	fprintf(stderr, "usage: sandboxprobe sandbox PID NODE FOREIGN-NODE | dial PATH\n");
	return 2;
}
