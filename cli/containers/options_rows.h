/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of run_options (cli/containers/options.h), as a macro: `run` and `create` have tables of
 * their own that begin with these. The struct they fill begins with a struct run_options.
 */
#pragma once

#include "cli/containers/options.h"
#include "spec/names.h"

#define RUN(member) OPTION_AT(run_options, member)

#define RUN_OPTION_ROWS                                                                            \
	{"add-host", 0, OPTION_TEXTS, RUN(add_host), .argument = "NAME:IP",                        \
		.help = "add a line to /etc/hosts; host-gateway stands for this machine"},         \
		{"allow-connect", 0, OPTION_TEXTS, RUN(allow_connect), .argument = "HOST[:PORT]",  \
			.help = "let it connect there, and nowhere that is not allowed"},          \
		{"annotation", 0, OPTION_TEXTS, RUN(annotations), .argument = "KEY=VALUE",         \
			.help = "add an annotation to the runtime's configuration"},               \
		{"blkio-weight", 0, OPTION_OPT_U32, RUN(blkio_weight),                             \
			.help = "share of the disks' time, 10 to 1000"},                           \
		{"cap-add", 0, OPTION_TEXTS, RUN(cap_add), .argument = "CAP",                      \
			.help = "add a capability, or ALL"},                                       \
		{"cap-drop", 0, OPTION_TEXTS, RUN(cap_drop), .argument = "CAP",                    \
			.help = "take a capability away, or ALL"},                                 \
		{"cgroup-parent", 0, OPTION_TEXT, RUN(cgroup_parent), .argument = "PATH",          \
			.help = "make the container's cgroup below PATH"},                         \
		{"cgroupns", 0, OPTION_TEXT, RUN(cgroupns), .argument = "host|private",            \
			.help = "which cgroups it sees"},                                          \
		{"cpu-period", 0, OPTION_OPT_U64, RUN(cpu_period), .argument = "USEC",             \
			.help = "length of a period of --cpu-quota"},                              \
		{"cpu-quota", 0, OPTION_OPT_I64, RUN(cpu_quota), .argument = "USEC",               \
			.help = "processor time in each period"},                                  \
		{"cpu-shares", 'c', OPTION_OPT_U64, RUN(cpu_shares),                               \
			.help = "share of the processors when they are busy [1024]"},              \
		{"cpus", 0, OPTION_TEXT, RUN(cpus), .argument = "N",                               \
			.help = "how many processors it may keep busy: 1.5"},                      \
		{"cpuset-cpus", 0, OPTION_TEXT, RUN(cpuset_cpus), .argument = "LIST",              \
			.help = "processors it may use: 0-3,7"},                                   \
		{"cpuset-mems", 0, OPTION_TEXT, RUN(cpuset_mems), .argument = "LIST",              \
			.help = "memory nodes it may use"},                                        \
		{"deny-connect", 0, OPTION_TEXTS, RUN(deny_connect), .argument = "HOST[:PORT]",    \
			.help = "do not let it connect there"},                                    \
		{"device", 0, OPTION_TEXTS, RUN(devices), .argument = "HOST[:PATH[:rwm]]",         \
			.help = "give it a device of this machine; vfio:0000:03:00.0 for "         \
				"--isolation vm"},                                                 \
		{"device-cgroup-rule", 0, OPTION_TEXTS, RUN(device_rules), .argument = "RULE",     \
			.help = "let it use devices that it finds: \"c 42:* rmw\""},               \
		{"device-read-bps", 0, OPTION_TEXTS, RUN(read_bps), .argument = "DEVICE:RATE",     \
			.help = "most bytes a second that it reads from a disk: /dev/sda:1m"},     \
		{"device-read-iops", 0, OPTION_TEXTS, RUN(read_iops), .argument = "DEVICE:RATE",   \
			.help = "most reads a second from a disk"},                                \
		{"device-write-bps", 0, OPTION_TEXTS, RUN(write_bps), .argument = "DEVICE:RATE",   \
			.help = "most bytes a second that it writes to a disk"},                   \
		{"device-write-iops", 0, OPTION_TEXTS, RUN(write_iops), .argument = "DEVICE:RATE", \
			.help = "most writes a second to a disk"},                                 \
		{"dns", 0, OPTION_TEXTS, RUN(dns), .argument = "IP",                               \
			.help = "ask this name server"},                                           \
		{"dns-option", 0, OPTION_TEXTS, RUN(dns_option), .argument = "OPTION",             \
			.help = "an option for resolv.conf"},                                      \
		{"dns-search", 0, OPTION_TEXTS, RUN(dns_search), .argument = "DOMAIN",             \
			.help = "look names up in this domain"},                                   \
		{"domainname", 0, OPTION_TEXT, RUN(domainname), .argument = "NAME",                \
			.help = "its NIS domain name"},                                            \
		{"entrypoint", 0, OPTION_TEXT, RUN(entrypoint), .argument = "COMMAND",             \
			.help = "run this instead of the image's entrypoint; \"\" for none"},      \
		{"env", 'e', OPTION_TEXTS, RUN(env), .argument = "NAME[=VALUE]",                   \
			.help = "set a variable; without a value, as it is here"},                 \
		{"env-file", 0, OPTION_TEXTS, RUN(env_file), .argument = "FILE",                   \
			.help = "set the variables of the lines of FILE"},                         \
		{"expose", 0, OPTION_TEXTS, RUN(expose), .argument = "PORT[/PROTO]",               \
			.help = "note that it listens there"},                                     \
		{"gidmap", 0, OPTION_TEXTS, RUN(gidmap), .argument = "CONTAINER:HOST:SIZE",        \
			.help = "what groups of it are on this machine; the same as --uidmap"},    \
		{"gpus", 0, OPTION_TEXT, RUN(gpus), .argument = "all|N",                           \
			.help = "give it the graphics processors of this machine"},                \
		{"group-add", 0, OPTION_TEXTS, RUN(groups), .argument = "GROUP",                   \
			.help = "add a supplementary group"},                                      \
		{"health-cmd", 0, OPTION_TEXT, RUN(health_cmd), .argument = "COMMAND",             \
			.help = "see by this shell command whether it is well"},                   \
		{"health-interval", 0, OPTION_TEXT, RUN(health_interval), .argument = "TIME",      \
			.help = "time between two looks [30s]"},                                   \
		{"health-retries", 0, OPTION_OPT_U32, RUN(health_retries),                         \
			.help = "failures in a row that make it unhealthy [3]"},                   \
		{"health-start-period", 0, OPTION_TEXT, RUN(health_start_period),                  \
			.argument = "TIME", .help = "time in which failures do not count [0s]"},   \
		{"health-timeout", 0, OPTION_TEXT, RUN(health_timeout), .argument = "TIME",        \
			.help = "time that a look may take [30s]"},                                \
		{"hostname", 'h', OPTION_TEXT, RUN(hostname), .argument = "NAME",                  \
			.help = "its host name [its short id]"},                                   \
		{"init", 0, OPTION_FLAG, RUN(init),                                                \
			.help = "run a small init in it that passes on signals and reaps "         \
				"processes"},                                                      \
		{"interactive", 'i', OPTION_FLAG, RUN(interactive),                                \
			.help = "give it standard input"},                                         \
		{"ip", 0, OPTION_TEXT, RUN(ip), .argument = "ADDRESS",                             \
			.help = "its IPv4 address"},                                               \
		{"ip6", 0, OPTION_TEXT, RUN(ip6), .argument = "ADDRESS",                           \
			.help = "its IPv6 address"},                                               \
		{"ipc", 0, OPTION_TEXT, RUN(ipc), .argument = "private|host|container:NAME",       \
			.help = "whose shared memory and queues it sees"},                         \
		{"isolation", 0, OPTION_NAME, RUN(isolation), .names = spec_isolation_names,       \
			.help = "share this machine's kernel, or run in a virtual machine of its " \
				"own [container]"},                                                \
		{"label", 'l', OPTION_TEXTS, RUN(labels), .argument = "KEY[=VALUE]",               \
			.help = "add a label"},                                                    \
		{"label-file", 0, OPTION_TEXTS, RUN(label_file), .argument = "FILE",               \
			.help = "add the labels of the lines of FILE"},                            \
		{"log-driver", 0, OPTION_TEXT, RUN(log_driver), .argument = "json-file|none",      \
			.help = "where its output goes"},                                          \
		{"log-opt", 0, OPTION_TEXTS, RUN(log_options), .argument = "KEY=VALUE",            \
			.help = "max-size=SIZE [10m], max-file=N [3]"},                            \
		{"mac-address", 0, OPTION_TEXT, RUN(mac), .argument = "MAC",                       \
			.help = "its hardware address"},                                           \
		{"memory", 'm', OPTION_LIMIT, RUN(memory), .help = "most memory"},                 \
		{"memory-reservation", 0, OPTION_LIMIT, RUN(memory_reservation),                   \
			.help = "memory that is left to it when there is little"},                 \
		{"memory-swap", 0, OPTION_LIMIT, RUN(memory_swap),                                 \
			.help = "most memory and swap together; -1: any"},                         \
		{"mount", 0, OPTION_TEXTS, RUN(mounts), .argument = "type=TYPE,…",                 \
			.help = "mount something: type=bind|volume|tmpfs, source=, target=, "      \
				"readonly …"},                                                     \
		{"name", 0, OPTION_TEXT, RUN(name), .argument = "NAME", .help = "call it NAME"},   \
		{"nested", 0, OPTION_FLAG, RUN(nested),                                            \
			.help = "let its virtual machine have virtual machines"},                  \
		{"network", 0, OPTION_TEXTS, RUN(network), .argument = "NETWORK",                  \
			.help = "connect it to a network, or host, none, container:NAME"},         \
		{"net", 0, OPTION_TEXTS, RUN(network), .hidden = true},                            \
		{"network-alias", 0, OPTION_TEXTS, RUN(aliases), .argument = "NAME",               \
			.help = "a further name of it on its networks"},                           \
		{"no-healthcheck", 0, OPTION_FLAG, RUN(no_healthcheck),                            \
			.help = "without the image's health check"},                               \
		{"oom-kill-disable", 0, OPTION_FLAG, RUN(oom_kill_disable), .hidden = true},       \
		{"oom-score-adj", 0, OPTION_OPT_I64, RUN(oom_score_adj),                           \
			.help = "how soon it is killed when memory is short, -1000 to 1000"},      \
		{"pid", 0, OPTION_TEXT, RUN(pid), .argument = "host|container:NAME",               \
			.help = "whose processes it sees"},                                        \
		{"pids-limit", 0, OPTION_OPT_I64, RUN(pids_limit), .argument = "N",                \
			.help = "most processes; -1: any"},                                        \
		{"platform", 0, OPTION_TEXT, RUN(platform), .argument = "OS/ARCH",                 \
			.help = "take the image for this platform"},                               \
		{"privileged", 0, OPTION_FLAG, RUN(privileged),                                    \
			.help = "give it all privileges and devices: no protection"},              \
		{"publish", 'p', OPTION_TEXTS, RUN(publish), .argument = "[[IP:]PORT:]PORT",       \
			.help = "make a port of it reachable on this machine"},                    \
		{"publish-all", 'P', OPTION_FLAG, RUN(publish_all),                                \
			.help = "make all ports that the image exposes reachable"},                \
		{"read-only", 0, OPTION_FLAG, RUN(read_only),                                      \
			.help = "its root cannot be written to"},                                  \
		{"record-seccomp", 0, OPTION_TEXT, RUN(record_seccomp), .argument = "FILE",        \
			.help = "write the smallest seccomp profile that the run needed to FILE"}, \
		{"restart", 0, OPTION_TEXT, RUN(restart), .argument = "POLICY",                    \
			.help = "no, on-failure[:N], always or unless-stopped"},                   \
		{"rm", 0, OPTION_FLAG, RUN(remove), .help = "remove it when it has ended"},        \
		{"secret", 0, OPTION_TEXTS, RUN(secrets), .argument = "SECRET[,…]",                \
			.help = "give it a secret in /run/secrets"},                               \
		{"security-opt", 0, OPTION_TEXTS, RUN(security), .argument = "OPTION",             \
			.help = "seccomp=FILE|unconfined, no-new-privileges, apparmor=, label=, "  \
				"unmask="},                                                        \
		{"shm-size", 0, OPTION_SIZE, RUN(shm_size), .help = "size of /dev/shm [64m]"},     \
		{"stop-signal", 0, OPTION_SIGNAL, RUN(stop_signal),                                \
			.help = "signal that stops it [TERM]"},                                    \
		{"stop-timeout", 0, OPTION_OPT_U32, RUN(stop_timeout), .argument = "SECONDS",      \
			.help = "time to stop before it is killed [10]"},                          \
		{"subgidname", 0, OPTION_TEXT, RUN(subgidname), .argument = "NAME",                \
			.help = "its groups are those of NAME in /etc/subgid"},                    \
		{"subuidname", 0, OPTION_TEXT, RUN(subuidname), .argument = "NAME",                \
			.help = "its users are those of NAME in /etc/subuid"},                     \
		{"sysctl", 0, OPTION_TEXTS, RUN(sysctls), .argument = "NAME=VALUE",                \
			.help = "set a parameter of its kernel namespaces"},                       \
		{"systemd", 0, OPTION_NAME, RUN(systemd), .names = run_systemd_names,              \
			.implied = "always",                                                       \
			.help = "run a distribution's init as its first process [true: when "      \
				"the command is one]"},                                            \
		{"template", 0, OPTION_FLAG, RUN(template_),                                       \
			.help = "begin with a saved virtual machine instead of a boot"},           \
		{"tmpfs", 0, OPTION_TEXTS, RUN(tmpfs), .argument = "PATH[:OPTIONS]",               \
			.help = "mount a file system in memory"},                                  \
		{"tty", 't', OPTION_FLAG, RUN(tty), .help = "give it a terminal"},                 \
		{"uidmap", 0, OPTION_TEXTS, RUN(uidmap), .argument = "CONTAINER:HOST:SIZE",        \
			.help = "what users of it are on this machine"},                           \
		{"ulimit", 0, OPTION_TEXTS, RUN(ulimits), .argument = "NAME=SOFT[:HARD]",          \
			.help = "set a limit of setrlimit(2): nofile=1024:2048"},                  \
		{"user", 'u', OPTION_TEXT, RUN(user), .argument = "USER[:GROUP]",                  \
			.help = "run as this user of the image, by name or number"},               \
		{"userns", 0, OPTION_TEXT, RUN(userns), .argument = "MODE",                        \
			.help = "user ids of its own: auto, keep-id, nomap, container:NAME, "      \
				"ns:PATH, or host"},                                               \
		{"uts", 0, OPTION_TEXT, RUN(uts), .argument = "host|private",                      \
			.help = "whose host name it has"},                                         \
		{"volume", 'v', OPTION_TEXTS, RUN(volumes), .argument = "[SOURCE:]PATH[:OPTIONS]", \
			.help = "mount a folder of this machine or a volume: ro, rw, z, Z, U"},    \
		{"volumes-from", 0, OPTION_TEXTS, RUN(volumes_from), .argument = "CONTAINER",      \
			.help = "mount what is mounted in another container"},                     \
	{                                                                                          \
		"workdir", 'w', OPTION_TEXT, RUN(workdir), .argument = "DIR",                      \
							   .help = "start in DIR"                  \
	}
