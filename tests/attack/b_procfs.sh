#!/bin/bash
# Section B: writes to procfs that a container could redirect.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# A volume that looks like a procfs, with files that catch what is written.
fake_proc() {
	mkdir -p "$TEST_DIR/fake"/{self,thread-self,1,sys/kernel,sys/net/ipv4,self/attr,self/fd,self/ns}
	local file
	for file in self/attr/exec self/attr/current self/setgroups self/uid_map self/gid_map self/oom_score_adj \
		self/timens_offsets self/loginuid sys/kernel/hostname sys/kernel/msgmax sys/net/ipv4/ip_forward; do
		: >"$TEST_DIR/fake/$file"
	done
	ln -sfn ../self "$TEST_DIR/fake/thread-self/link"
}

OVER_PROC() {
	printf '.mounts |= (map(select(.destination != "/proc")) + [{"destination":"/proc","type":"bind","source":"%s","options":["rbind"]}]) | .linux.maskedPaths=[] | .linux.readonlyPaths=[]' "$TEST_DIR/fake"
}

test_B1_volume_over_proc_catches_nothing() {
	host_canary_begin
	fake_proc
	local score
	score=$(cat /proc/self/oom_score_adj)
	next_container
	bundle_sh "$BUNDLE" 'true' "$(OVER_PROC)" '.process.oomScoreAdj=100 | .linux.sysctl={"kernel.msgmax":"4096"}'
	run oci run --bundle "$BUNDLE" "$ID"
	assert_eq "$(find "$TEST_DIR/fake" -type f -size +0)" "" "the fake procfs was written to"
	assert_eq "$(cat /proc/self/oom_score_adj)" "$score"
	host_canary_check
}

test_B1_volume_over_proc_with_links_to_the_host() {
	host_canary_begin
	fake_proc
	local file
	for file in self/attr/exec self/oom_score_adj sys/kernel/msgmax; do
		rm "$TEST_DIR/fake/$file"
		ln -s "$TEST_DIR/canary/file" "$TEST_DIR/fake/$file"
	done
	next_container
	bundle_sh "$BUNDLE" 'true' "$(OVER_PROC)" '.process.oomScoreAdj=100 | .linux.sysctl={"kernel.msgmax":"4096"}'
	run oci run --bundle "$BUNDLE" "$ID"
	host_canary_check
}

test_B1_sysctl_is_set_in_the_container_alone() {
	local before
	before=$(cat /proc/sys/kernel/msgmax)
	assert_eq "$(run_sh 'cat /proc/sys/kernel/msgmax' '.linux.sysctl={"kernel.msgmax":"4096"}')" 4096
	assert_eq "$(cat /proc/sys/kernel/msgmax)" "$before"
}

test_B1_sysctl_names_do_not_walk() {
	host_canary_begin
	local name
	for name in 'net.../../kernel.core_pattern' 'net/../kernel/core_pattern' 'net/ipv4/../../kernel/core_pattern' \
		'kernel.shm/../core_pattern' 'fs.mqueue/../../kernel.core_pattern' 'net.ipv4..ip_forward' '/kernel.msgmax' 'net.' 'net'; do
		expect_failure run_sh true ".linux.sysctl={\"$name\":\"1\"}"
		assert_nothing_left "$name"
	done
	host_canary_check
}

test_B1_no_write_uses_an_ambient_proc_path() {
	command -v strace >/dev/null || skip "no strace"
	next_container
	bundle_sh "$BUNDLE" 'true' '.process.oomScoreAdj=100 | .linux.sysctl={"kernel.msgmax":"4096"}' "$(namespace_filter user)" \
		'.linux.uidMappings=[{"containerID":0,"hostID":100000,"size":65536}] | .linux.gidMappings=.linux.uidMappings' '.linux.sysctl={}'
	strace -f -qq -e trace=open,openat,openat2,creat -o "$TEST_DIR/trace" "$BRIG_OCI" --root "$TEST_DIR/state" run --bundle "$BUNDLE" "$ID" </dev/null
	# An absolute path to procfs, opened for writing.
	assert_eq "$(grep -E '"/proc/[^"]*"' "$TEST_DIR/trace" | grep -E 'O_(WRONLY|RDWR)' || :)" ""
}

test_B2_fake_proc_during_exec() {
	host_canary_begin
	fake_proc
	start_sh 'sleep 60' "$(caps_filter CAP_SYS_ADMIN)" "$(namespace_filter mount)" '.linux.maskedPaths=[] | .linux.readonlyPaths=[]' \
		".mounts += [{\"destination\":\"/fake\",\"type\":\"bind\",\"source\":\"$TEST_DIR/fake\",\"options\":[\"rbind\"]}]"
	oci exec "$ID" mount -o bind /fake /proc || skip "the container may not mount here"
	# With its own proc replaced, exec still gets the container's real protection.
	run oci exec "$ID" true
	assert_eq "$status" 0 "$errors"
	assert_eq "$(find "$TEST_DIR/fake" -type f -size +0)" ""
	oci delete --force "$ID"
	host_canary_check
}
