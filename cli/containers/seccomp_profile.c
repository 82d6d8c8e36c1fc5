/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default seccomp profile: which calls a program in a container may make.
 *
 * What is allowed is listed, by what it is for. What is known and not allowed is EPERM; what is
 * listed nowhere, so newer than this table, is ENOSYS, on which a libc falls back to an older call.
 */
#include "cli/containers/assemble.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/socket.h>

#define BIT(cap) (1ULL << (cap))

/* Words separated by spaces. clang-format off */
static const char files[] =
	"access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 "
	"faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 "
	"fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr "
	"fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat "
	"getcwd getdents getdents64 getxattr getxattrat inotify_add_watch inotify_init "
	"inotify_init1 inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listxattr "
	"listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat "
	"mknod mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2 pread64 preadv "
	"preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr "
	"removexattrat rename renameat renameat2 rmdir sendfile sendfile64 setxattr setxattrat "
	"splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range "
	"sync_file_range2 syncfs tee truncate truncate64 ugetrlimit umask unlink unlinkat utime "
	"utimensat utimensat_time64 utimes vmsplice write writev cachestat statmount listmount";

static const char processes[] =
	"alarm arch_prctl capget capset execve execveat exit exit_group fork getegid getegid32 "
	"geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid "
	"getpriority getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid gettid "
	"getuid getuid32 ioprio_get ioprio_set kill nice pause pidfd_open pidfd_send_signal prctl "
	"prlimit64 rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn "
	"rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_getaffinity "
	"sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min "
	"sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity "
	"sched_setattr sched_setparam sched_setscheduler sched_yield seccomp setfsgid setfsgid32 "
	"setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setpriority setregid "
	"setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit "
	"setsid set_thread_area get_thread_area set_tid_address setuid setuid32 sigaction "
	"sigaltstack signal sigpending sigprocmask sigreturn sigsuspend tgkill times tkill uname "
	"vfork wait4 waitid waitpid landlock_add_rule landlock_create_ruleset "
	"landlock_restrict_self lsm_get_self_attr lsm_list_modules process_mrelease ptrace "
	"process_vm_readv process_vm_writev kcmp pidfd_getfd";

static const char memory[] =
	"brk get_mempolicy madvise map_shadow_stack membarrier memfd_create memfd_secret mincore "
	"mlock mlock2 mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap "
	"pkey_alloc pkey_free pkey_mprotect process_madvise remap_file_pages";

static const char waiting[] =
	"clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep "
	"clock_nanosleep_time64 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 "
	"epoll_wait eventfd eventfd2 futex futex_requeue futex_time64 futex_wait futex_waitv "
	"futex_wake getitimer get_robust_list gettimeofday io_cancel io_destroy io_getevents "
	"io_pgetevents io_pgetevents_time64 io_setup io_submit nanosleep poll ppoll ppoll_time64 "
	"pselect6 pselect6_time64 restart_syscall select _newselect setitimer set_robust_list "
	"signalfd signalfd4 time timer_create timer_delete timerfd_create timerfd_gettime "
	"timerfd_gettime64 timerfd_settime timerfd_settime64 timer_getoverrun timer_gettime "
	"timer_gettime64 timer_settime timer_settime64 adjtimex clock_adjtime clock_adjtime64";

static const char messages[] =
	"accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom "
	"recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown "
	"mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 "
	"mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget "
	"semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget ipc";

static const char machine[] = "getcpu getrandom sysinfo modify_ldt riscv_hwprobe";

/* Known, and refused: the kernel's own affairs. */
static const char refused[] =
	"acct add_key bpf chroot clock_settime clock_settime64 delete_module fanotify_init "
	"finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register "
	"io_uring_setup ioperm iopl kexec_file_load kexec_load keyctl lookup_dcookie mbind "
	"migrate_pages mount mount_setattr move_mount move_pages nfsservctl open_by_handle_at "
	"open_tree perf_event_open pivot_root quotactl quotactl_fd reboot request_key "
	"set_mempolicy set_mempolicy_home_node setdomainname sethostname setns settimeofday stime "
	"swapoff swapon sysfs syslog umount umount2 unshare uselib userfaultfd ustat vhangup vm86 "
	"vm86old";

/* What a capability makes sense of: without it they would fail by themselves, or worse. */
static const struct {
	int cap;
	const char *names;
} by_cap[] = {
	{CAP_DAC_READ_SEARCH, "open_by_handle_at"},
	{CAP_SYS_ADMIN, "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick "
			"lookup_dcookie mount mount_setattr move_mount open_tree perf_event_open "
			"pivot_root "
			"quotactl quotactl_fd setdomainname sethostname setns syslog umount "
			"umount2 unshare"},
	{CAP_SYS_BOOT, "reboot kexec_load kexec_file_load"},
	{CAP_SYS_CHROOT, "chroot"},
	{CAP_SYS_MODULE, "delete_module init_module finit_module"},
	{CAP_SYS_PACCT, "acct"},
	{CAP_SYS_RAWIO, "iopl ioperm"},
	{CAP_SYS_TIME, "settimeofday stime clock_settime clock_settime64"},
	{CAP_SYS_TTY_CONFIG, "vhangup"},
	{CAP_SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node move_pages "
		       "migrate_pages"},
	{CAP_SYSLOG, "syslog"},
	{CAP_BPF, "bpf"},
	{CAP_PERFMON, "perf_event_open"},
};
/* clang-format on */

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: not without CAP_SYS_ADMIN. */
static const json_int_t namespace_flags = 0x7e020000;
static const json_int_t personalities[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
/* Of the some 45 families of sockets that the kernel knows these are what programs are written for.
 * Among the others are most of its holes, and AF_VSOCK, which passes every network rule. */
static const json_int_t families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET};

static void add_words(json_t *names, const char *words)
{
	while (*words) {
		size_t n = strcspn(words, " ");

		json_array_append_new(names, json_stringn(words, n));
		words += n + (words[n] == ' ');
	}
}

static void add_rule(json_t *rules, const char *words, const char *action, json_int_t code)
{
	json_t *names = json_array(), *rule;

	add_words(names, words);
	rule = json_pack("{s:o, s:s}", "names", names, "action", action);
	if (code)
		json_object_set_new(rule, "errnoRet", json_integer(code));
	json_array_append_new(rules, rule);
}

static void add_argument_rule(
	json_t *rules, const char *name, json_int_t value, json_int_t value_two, const char *op)
{
	json_array_append_new(rules, json_pack("{s:[s], s:s, s:[{s:i, s:I, s:I, s:s}]}", "names",
					     name, "action", "SCMP_ACT_ALLOW", "args", "index", 0,
					     "value", value, "valueTwo", value_two, "op", op));
}

/* Equal in all 64 bits, though the kernel looks at 32: what differs in the others is refused. */
static void add_families(json_t *rules)
{
	for (size_t i = 0; i < ARRAY_LEN(families); i++)
		add_argument_rule(rules, "socket", families[i], 0, "SCMP_CMP_EQ");
	add_argument_rule(rules, "socketpair", AF_UNIX, 0, "SCMP_CMP_EQ");
	add_rule(rules, "socket socketpair", "SCMP_ACT_ERRNO", EAFNOSUPPORT);
}

/* Whether the word NAME is allowed by one of CAPS. */
static bool allowed_by_cap(const char *name, size_t len, uint64_t caps)
{
	for (size_t i = 0; i < ARRAY_LEN(by_cap); i++) {
		const char *words = by_cap[i].names;

		while (caps & BIT(by_cap[i].cap) && *words) {
			size_t n = strcspn(words, " ");

			if (n == len && memcmp(words, name, n) == 0)
				return true;
			words += n + (words[n] == ' ');
		}
	}
	return false;
}

/* Two rules for one call would be one too many. */
static void add_refused(json_t *rules, uint64_t caps)
{
	json_t *no = json_array(), *yes = json_array();
	const char *words = refused;

	while (*words) {
		size_t n = strcspn(words, " ");

		json_array_append_new(
			allowed_by_cap(words, n, caps) ? yes : no, json_stringn(words, n));
		words += n + (words[n] == ' ');
	}
	json_array_append_new(rules, json_pack("{s:o, s:s, s:i}", "names", no, "action",
					     "SCMP_ACT_ERRNO", "errnoRet", EPERM));
	if (json_array_size(yes))
		json_array_append_new(
			rules, json_pack("{s:o, s:s}", "names", yes, "action", "SCMP_ACT_ALLOW"));
	else
		json_decref(yes);
}

json_t *seccomp_default_profile(uint64_t caps)
{
	const char *const allowed[] = {files, processes, memory, waiting, messages, machine};
	json_t *rules = json_array();

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		add_rule(rules, allowed[i], "SCMP_ACT_ALLOW", 0);
	add_refused(rules, caps);
	for (size_t i = 0; i < ARRAY_LEN(personalities); i++)
		add_argument_rule(rules, "personality", personalities[i], 0, "SCMP_CMP_EQ");
	add_families(rules);
	if (caps & BIT(CAP_SYS_ADMIN)) {
		add_rule(rules, "clone clone3", "SCMP_ACT_ALLOW", 0);
	} else {
		add_argument_rule(rules, "clone", namespace_flags, 0, "SCMP_CMP_MASKED_EQ");
		/* Its flags are in memory, out of a filter's reach: libc falls back on clone. */
		add_rule(rules, "clone3", "SCMP_ACT_ERRNO", ENOSYS);
	}
	return json_pack("{s:s, s:i, s:[s, s, s], s:o}", "defaultAction", "SCMP_ACT_ERRNO",
		"defaultErrnoRet", ENOSYS, "architectures",
#ifdef __aarch64__
		"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_AARCH64",
#else
		"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32",
#endif
		"syscalls", rules);
}
