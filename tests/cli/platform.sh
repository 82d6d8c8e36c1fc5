#!/bin/bash
# Programs of other processors: 32-bit ones run as they are, others by an emulator or not at all.
# time-limit: 300
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# A static program of i386 that makes a directory, by the 32-bit way into the kernel
make_32bit() {
	cat >small.s <<-'ASM'
		.globl _start
		_start:
			mov $39, %eax
			mov $path, %ebx
			mov $0755, %ecx
			int $0x80
			mov %eax, %ebx
			and $1, %ebx
			mov $1, %eax
			int $0x80
		path:
			.asciz "/tmp/made"
	ASM
	as --32 -o small.o small.s && ld -m elf_i386 -o small small.o || fail "needs: binutils"
}

# image_for ARCHITECTURE: the embedded image, said to be for that
image_for() {
	local config
	brig export "$(brig create --network none busybox true)" >root.tar
	brig rm -a >/dev/null
	brig import root.tar "plain" >/dev/null
	mkdir layout && brig save plain | tar -x -C layout
	config=$(jq -r '.[0].Config' layout/manifest.json)
	python3 - "$1" "$config" <<-'PYTHON'
		import hashlib, json, os, sys
		os.chdir("layout")
		def put(data):
		    digest = hashlib.sha256(data).hexdigest()
		    open("blobs/sha256/" + digest, "wb").write(data)
		    return "sha256:" + digest, len(data)
		index = json.load(open("index.json"))
		manifest = json.load(open("blobs/sha256/" + index["manifests"][0]["digest"][7:]))
		config = json.load(open("blobs/sha256/" + manifest["config"]["digest"][7:]))
		config["architecture"] = sys.argv[1]
		manifest["config"]["digest"], manifest["config"]["size"] = put(json.dumps(config).encode())
		entry = index["manifests"][0]
		entry["digest"], entry["size"] = put(json.dumps(manifest).encode())
		entry.pop("platform", None)
		entry["annotations"] = {"org.opencontainers.image.ref.name": "localhost/foreign:latest"}
		json.dump(index, open("index.json", "w"))
		os.unlink("manifest.json")
	PYTHON
	tar -C layout -c . | brig load --platform "linux/$1" >/dev/null
}

test_32_bit() {
	[ "$(uname -m)" = x86_64 ] || return 0
	make_32bit
	assert_runs brig run --rm --network none -v ./small:/small busybox /small
	assert_runs brig run --rm --network none --record-seccomp p.json -v ./small:/small busybox /small
	assert_contains "$(jq -r '.architectures[]' p.json | xargs)" SCMP_ARCH_X86
	assert_runs brig run --rm --network none --security-opt seccomp=p.json -v ./small:/small busybox /small
	jq '.syscalls[].names -= ["mkdir"]' p.json >q.json
	assert_status 1 brig run --rm --network none --security-opt seccomp=q.json -v ./small:/small busybox /small
}

test_no_emulator() {
	image_for s390x
	assert_status 125 brig run --rm --network none --platform linux/s390x foreign true
	assert_contains "$errors" "the image is for s390x, and this machine runs"
	assert_contains "$errors" qemu-user-static
	assert_eq "$(wc -l <<<"$errors")" 1
	assert_status 125 brig run --rm --pull never --platform linux/arm64 busybox true
	assert_contains "$errors" "for another platform than linux/arm64"
	nothing_left
}
