#!/bin/bash
# Limits of containers in virtual machines: who is killed for want of memory, growing and shrinking, huge pages.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
export BRIG_TEST_ISOLATED=vm
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

# value KEY FILE: of a file of the container's cgroup on the host
value() {
	awk -v key="$1" '$1 == key { print $2 }' "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$PID/cgroup")/$2"
}

vmm() {
	pgrep -P "$PID" brig-vmm
}

saw_oom() {
	grep -q '"type":"oom"' events
}

test_the_guest_kills_within_its_limit() {
	local before code=0
	start_sh 'echo ready; while :; do sleep 0.2; done' '.linux.resources.memory = {"limit": 67108864}'
	wait_until grep -q ready "$BUNDLE/out"
	before=$(vmm)
	oci events --interval 1s "$ID" >events &
	wait_until grep -q '"stats"' events
	# More than the limit, and more than the whole machine has: the guest's kernel kills, nobody else.
	oci exec "$ID" tail /dev/zero || code=$?
	assert_eq "$code" 137
	assert_eq "$(status_of "$ID")" running
	assert_eq "$(vmm)" "$before" "the VMM"
	assert_eq "$(value oom_kill memory.events)" 0 "kills on the host"
	wait_until saw_oom
	# Statistics have what was before, and are no news of it.
	oci events --stats "$ID" >stats
	assert_eq "$(jq -r .type stats)" stats
	[ "$(jq .data.memory.oom.kills stats)" -ge 1 ] || fail "no kill in the statistics"
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	wait || :
	oci delete "$ID"
	assert_nothing_left
}

test_the_containers_end_for_want_of_memory() {
	local cgroup
	create_sh 'tail /dev/zero' '.linux.resources.memory = {"limit": 67108864}' '.process.args = ["tail", "/dev/zero"]'
	cgroup=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$PID/cgroup")
	oci start "$ID"
	wait_status "$ID" stopped
	# Where engines look: the counter of the container's cgroup.
	[ "$(awk '$1 == "oom_kill" { print $2 }' "$cgroup/memory.events")" -ge 1 ] || fail "$(cat "$cgroup/memory.events")"
	oci delete "$ID"
	assert_nothing_left
}

free_mib() {
	oci exec "$ID" awk '$1 == "MemFree:" { print int($2 / 1024) }' /proc/meminfo
}

test_memory_grows_and_shrinks() {
	local small large
	start_sh 'echo ready; while :; do sleep 0.2; done' '.linux.resources.memory = {"limit": 67108864}' \
		'.annotations["org.brig.vm.memory_max"] = "268435456"' '.linux.resources.cpu = {"quota": 100000, "period": 100000}'
	wait_until grep -q ready "$BUNDLE/out"
	expect_failure oci update --memory 1073741824 "$ID"
	assert_contains "$ERROR" org.brig.vm.memory_max
	oci update --memory 201326592 "$ID"
	assert_eq "$(oci exec "$ID" cat /sys/fs/cgroup/memory.max)" 201326592
	large=$(free_mib)
	oci exec "$ID" sh -c 'head -c 120m /dev/zero | tail -c 120m | wc -c' >count
	assert_eq "$(cat count)" 125829120 "what it could not have had before"
	oci update --memory 67108864 --cpu-quota 50000 "$ID"
	assert_eq "$(oci exec "$ID" cat /sys/fs/cgroup/memory.max)" 67108864
	small=$(free_mib)
	[ "$small" -lt $((large - 60)) ] || fail "$large MiB were free, and $small are in the smaller machine"
	assert_eq "$(cat "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$PID/cgroup")/cpu.max")" "50000 100000"
	oci delete --force "$ID"
	assert_nothing_left
}

test_huge_pages_on_request() {
	local before
	next_container
	bundle_sh "$BUNDLE" 'echo ran' '.linux.resources.memory = {"limit": 33554432}' \
		'.annotations["org.brig.vm.huge_pages"] = "true"'
	echo 0 >/proc/sys/vm/nr_hugepages
	expect_failure oci run --bundle "$BUNDLE" "$ID"
	assert_contains "$ERROR" "guest memory"
	echo 60 >/proc/sys/vm/nr_hugepages
	before=$(awk '$1 == "HugePages_Free:" { print $2 }' /proc/meminfo)
	[ "$before" -ge 49 ] || skip "this machine has no 60 huge pages free"
	assert_eq "$(oci run --bundle "$BUNDLE" "$ID" </dev/null)" ran
	echo 0 >/proc/sys/vm/nr_hugepages
	assert_nothing_left
}

test_the_monitors_own_memory() {
	local pid kib
	start_sh 'echo ready; while :; do sleep 0.2; done' '.annotations["org.brig.vm.net.receive"] = "1048576"'
	wait_until grep -q ready "$BUNDLE/out"
	pid=$(vmm)
	# Resident, without the guest's own memory.
	kib=$(awk '/^[0-9a-f]+-/ { guest = /memfd:guest/ } $1 == "Rss:" && !guest { sum += $2 } END { print sum }' "/proc/$pid/smaps")
	echo "# brig-vmm: $kib KiB resident beyond the guest's memory (at most 3072 wanted)"
	[ "$kib" -le 3072 ] || fail "brig-vmm has $kib KiB beyond the guest's memory"
	oci delete --force "$ID"
}
