/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be said about a container when it is made: the options of `run` and `create`, as given.
 *
 * One table describes them for the command line, for its help, and for the record that keeps them
 * (cli/options_json.h). Texts with a grammar of their own (volumes, ports, limits …) stay texts
 * here; cli/containers/assemble.h and its parts read them, at creation and at every start.
 */
#pragma once

#include "cli/options.h"

#include <stdint.h>

enum run_pull { RUN_PULL_MISSING, RUN_PULL_ALWAYS, RUN_PULL_NEVER, RUN_PULL_NEWER };

/* AUTO: when the command is a distribution's init. */
enum run_systemd { RUN_SYSTEMD_AUTO, RUN_SYSTEMD_NEVER, RUN_SYSTEMD_ALWAYS };
extern const struct json_name run_systemd_names[];

struct run_options {
	/* the process */
	struct strings env, env_file, groups, ulimits;
	const char *entrypoint, *workdir, *user;
	bool interactive, tty, init;
	int stop_signal; /* 0: the image's, else TERM */
	struct opt_u32 stop_timeout;
	struct opt_i64 oom_score_adj;

	/* what it is called */
	const char *name, *hostname, *domainname;
	struct strings labels, label_file, annotations;

	/* files */
	struct strings volumes, mounts, tmpfs, volumes_from, secrets, devices, device_rules;
	const char *gpus;
	bool read_only;
	struct opt_u64 shm_size;

	/* network */
	struct strings network, aliases, publish, expose, dns, dns_search, dns_option, add_host;
	const char *ip, *ip6, *mac;
	bool publish_all;
	struct strings allow_connect, deny_connect;

	/* limits */
	struct opt_i64 memory, memory_swap, memory_reservation, pids_limit;
	struct opt_u64 cpu_shares, cpu_period;
	struct opt_i64 cpu_quota;
	const char *cpus, *cpuset_cpus, *cpuset_mems;
	struct opt_u32 blkio_weight;
	struct strings read_bps, write_bps, read_iops, write_iops; /* "DEVICE:RATE" */
	bool oom_kill_disable;
	const char *cgroup_parent;

	/* privileges */
	int isolation;  /* enum spec_isolation; 0: container */
	bool template_; /* org.brig.template */
	bool nested;    /* org.brig.vm.nested */
	bool privileged;
	int systemd; /* enum run_systemd */
	struct strings cap_add, cap_drop, security, sysctls;
	const char *userns, *pid, *ipc, *uts, *cgroupns;
	struct strings uidmap, gidmap;
	const char *subuidname, *subgidname;
	const char *record_seccomp;

	/* its life */
	const char *restart;
	bool remove;
	const char *log_driver;
	struct strings log_options;
	const char *health_cmd, *health_interval, *health_timeout, *health_start_period;
	struct opt_u32 health_retries;
	bool no_healthcheck;
	const char *platform;
};

/* For the record; the command line has tables with more (cli/containers/options_rows.h). */
extern const struct option run_options[];

/* Reads an environment file (--env-file, --label-file) of LEN bytes: a line is NAME=VALUE, NAME
 * (taken from our environment by the caller) or a comment. Appends to RET, from ARENA. −EINVAL. */
int run_options_read_lines(const char *name, const char *text, struct arena *arena,
	struct strings *ret, struct err *err);

/* Appends ITEM, which must outlive ARENA. −ENOMEM. */
int strings_add(struct strings *list, const char *item, struct arena *arena);
bool strings_have(const struct strings *list, const char *item);
