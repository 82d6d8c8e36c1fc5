/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/spec/mutate.h"

#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/sched.h>
#include <sys/resource.h>

static const struct mutation mutations[] = {
	{"process cwd", NULL, "process.cwd: is missing"},
	{"process cwd", "\"\"", "process.cwd: \"\" must be an absolute path"},
	{"process cwd", "\"work\"", "process.cwd: \"work\" must be an absolute path"},
	{"process cwd", "3", "process.cwd: must be a string"},
	{"process args", NULL, "process.args: must name the program"},
	{"process args", "[]", "process.args: must name the program"},
	{"process args 0", "\"\"", "process.args[0]: must not be empty"},
	{"process args 1", "null", "process.args[1]: must be a string"},
	{"process args", "\"sh\"", "process.args: must be an array"},
	{"process env", "{\"A\": \"b\"}", "process.env: must be an array"},
	{"process env", "[]", NULL},
	{"process terminal", "1", "process.terminal: must be true or false"},
	{"process terminal", "\"true\"", "process.terminal: must be true or false"},
	{"process noNewPrivileges", "\"no\"", "process.noNewPrivileges: must be true or false"},
	{"process consoleSize width", NULL, "process.consoleSize.width: is missing"},
	{"process consoleSize height", "65536", "process.consoleSize: height and width"},
	{"process consoleSize height", "-1", "process.consoleSize.height: must not be negative"},
	{"process user", NULL, NULL},
	{"process user", "0", "process.user: must be an object"},
	{"process user uid", "-1", "process.user.uid: must not be negative"},
	{"process user uid", "4294967295", "process.user.uid: 4294967295 is no id"},
	{"process user uid", "4294967296", "process.user.uid: out of range"},
	{"process user uid", "\"0\"", "process.user.uid: must be a number, not a string"},
	{"process user gid", "4294967295", "process.user.gid: 4294967295 is no id"},
	{"process user gid", "1.5", "process.user.gid: must be an integer"},
	{"process user additionalGids 2", "-7", "additionalGids[2]: must not be negative"},
	{"process user additionalGids 0", "4294967295", "additionalGids: 4294967295 is no id"},
	{"process user umask", "512", "process.user.umask: must be at most 511"},
	{"process user umask", "511", NULL},
	{"process capabilities", "null", NULL},
	{"process capabilities", "[\"CAP_KILL\"]", "process.capabilities: must be an object"},
	{"process capabilities bounding 0", "\"CAP_FLY\"",
		"process.capabilities.bounding[0]: \"CAP_FLY\" is not a capability"},
	{"process capabilities bounding 0", "\"chown\"", "\"chown\" is not a capability"},
	{"process capabilities bounding 0", "\"CAP_chown\"", "\"CAP_chown\" is not a capability"},
	{"process capabilities effective 0", "\"\"", "effective[0]: \"\" is not a capability"},
	{"process capabilities effective 1", "\"CAP_SYS_ADMIN\"",
		"effective: the kernel refuses CAP_SYS_ADMIN, which is not in \"permitted\""},
	{"process capabilities inheritable 1", "\"CAP_MKNOD\"",
		"inheritable: the kernel refuses CAP_MKNOD, which is not in \"bounding\""},
	{"process capabilities ambient 1", "\"CAP_SYS_ADMIN\"",
		"ambient: the kernel refuses CAP_SYS_ADMIN, which is not in \"permitted\""},
	{"process capabilities ambient 1", "\"CAP_CHOWN\"", NULL}, /* not in inheritable */
	{"process capabilities permitted", "[\"CAP_CHOWN\"]", "effective: the kernel refuses"},
	{"process capabilities effective 1", "\"CAP_KILL\"", NULL}, /* twice is once */
	{"process rlimits 0 type", NULL, "process.rlimits[0].type: is missing"},
	{"process rlimits 0 type", "\"NOFILE\"", "rlimits[0].type: \"NOFILE\" is not a resource"},
	{"process rlimits 0 type", "\"RLIMIT_X\"", "\"RLIMIT_X\" is not a resource limit"},
	{"process rlimits 0 soft", NULL, "process.rlimits[0].soft: is missing"},
	{"process rlimits 1 soft", "1", "process.rlimits[1].soft: must not be above \"hard\""},
	{"process rlimits 1 hard", "-1", "process.rlimits[1].hard: must not be negative"},
	{"process rlimits 1 type", "\"RLIMIT_NOFILE\"", "rlimits: RLIMIT_NOFILE is there twice"},
	{"process oomScoreAdj", "-1001", "process.oomScoreAdj: must be from -1000 to 1000"},
	{"process oomScoreAdj", "1001", "process.oomScoreAdj: must be from -1000 to 1000"},
	{"process oomScoreAdj", "1000", NULL},
	{"process ioPriority class", NULL, "process.ioPriority.class: is missing"},
	{"process ioPriority class", "\"IOPRIO_CLASS_NONE\"", "is not an I/O priority class"},
	{"process ioPriority priority", "8", "process.ioPriority.priority: must be from 0"},
	{"process ioPriority priority", "-1", "process.ioPriority.priority: must be from 0"},
	{"process scheduler policy", NULL, "process.scheduler.policy: is missing"},
	{"process scheduler policy", "\"SCHED_FAST\"", "\"SCHED_FAST\" is not a scheduling policy"},
	{"process scheduler policy", "\"SCHED_ISO\"", "Linux has no SCHED_ISO"},
	{"process scheduler policy", "\"SCHED_FIFO\"", "scheduler.priority: SCHED_FIFO and"},
	{"process scheduler", "{\"policy\": \"SCHED_RR\", \"priority\": 100}", "from 1 to 99"},
	{"process scheduler", "{\"policy\": \"SCHED_RR\", \"priority\": 99}", NULL},
	{"process scheduler priority", "1", "scheduler.priority: only SCHED_FIFO and SCHED_RR"},
	{"process scheduler nice", "20", "process.scheduler.nice: must be from -20 to 19"},
	{"process scheduler nice", "-21", "process.scheduler.nice: must be from -20 to 19"},
	{"process scheduler flags 0", "\"SCHED_FLAG_X\"", "scheduler.flags[0]: \"SCHED_FLAG_X\""},
	{"process scheduler runtime", "5000", "belong to SCHED_DEADLINE only"},
	{"process scheduler", "{\"policy\": \"SCHED_DEADLINE\", \"runtime\": 1}", "at least 1024"},
	{"process scheduler",
		"{\"policy\": \"SCHED_DEADLINE\", \"runtime\": 2000, \"deadline\": 1000}",
		"scheduler.deadline: must not be below"},
	{"process scheduler",
		"{\"policy\": \"SCHED_DEADLINE\", \"runtime\": 2000, \"deadline\": 3000, "
		"\"period\": 2500}",
		"scheduler.period: must be 0 or"},
	{"process scheduler",
		"{\"policy\": \"SCHED_DEADLINE\", \"runtime\": 2000, \"deadline\": 3000, "
		"\"period\": 3000}",
		NULL},
	{"process execCPUAffinity initial", "\"a\"", "initial: \"a\" is no list of CPUs"},
	{"process execCPUAffinity final", "\"3-1\"", "final: \"3-1\" is no list of CPUs"},
	{"process execCPUAffinity final", "\"\"", NULL},
};

static void test_mutations(void **state)
{
	(void)state;
	check_mutations(mutations, ARRAY_LEN(mutations));
}

static void test_values(void **state)
{
	struct spec_config *config = parse_data("spec/full.json");
	const struct spec_process *p = config->process;
	(void)state;

	assert_true(p->terminal && p->no_new_privileges);
	assert_int_equal(p->console_size->height, 25);
	assert_int_equal(p->console_size->width, 80);
	assert_int_equal(p->user.uid, 1000);
	assert_int_equal(p->user.gid, 1001);
	assert_true(p->user.umask.set && p->user.umask.value == 022);
	assert_int_equal(p->user.additional_gids.count, 2);
	assert_int_equal(p->user.additional_gids.items[1], 6);
	assert_string_equal(p->user.username, "u");
	assert_int_equal(p->args.count, 3);
	assert_string_equal(p->args.items[2], "");
	assert_string_equal(p->env.items[1], "EMPTY=");
	assert_string_equal(p->cwd, "/work");
	assert_true(p->capabilities->bounding ==
		    (1ULL << CAP_CHOWN | 1ULL << CAP_KILL | 1ULL << CAP_CHECKPOINT_RESTORE));
	assert_true(p->capabilities->ambient == 1ULL << CAP_KILL);
	assert_int_equal(p->rlimits.count, 2);
	assert_int_equal(p->rlimits.items[0].resource, RLIMIT_NOFILE);
	assert_true(p->rlimits.items[0].soft == 1024 && p->rlimits.items[0].hard == UINT64_MAX);
	assert_string_equal(p->apparmor_profile, "profile");
	assert_string_equal(p->selinux_label, "system_u:system_r:container_t:s0");
	assert_true(p->oom_score_adj.set && p->oom_score_adj.value == -500);
	assert_int_equal(p->scheduler->policy, SCHED_BATCH);
	assert_int_equal(p->scheduler->nice, 5);
	assert_int_equal(p->scheduler->flags, SCHED_FLAG_RESET_ON_FORK);
	assert_int_equal(p->io_priority->class, IOPRIO_CLASS_BE);
	assert_int_equal(p->io_priority->priority, 7);
	assert_string_equal(p->exec_cpu_affinity->initial, "0-1");
	assert_string_equal(p->exec_cpu_affinity->final, "0, 2");
	spec_config_free(config);
}

static void test_process_alone(void **state)
{
	static const char good[] = "{\"cwd\": \"/\", \"args\": [\"id\"]}",
			  bad[] = "{\"cwd\": \"/\"}";
	struct spec_process *process = NULL;
	autoarena struct arena arena = {};
	autojson json_t *json = NULL;
	struct err err = {};
	(void)state;

	assert_int_equal(
		spec_process_parse("p.json", bad, strlen(bad), &arena, &json, &process, &err),
		-EINVAL);
	assert_string_equal(err.text, "p.json: args: must name the program to run");
	assert_null(process);
	assert_null(json);
	assert_int_equal(
		spec_process_parse("p.json", good, strlen(good), &arena, &json, &process, &err), 0);
	assert_string_equal(process->args.items[0], "id");
	assert_null(process->capabilities);
	assert_false(process->oom_score_adj.set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_process_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
