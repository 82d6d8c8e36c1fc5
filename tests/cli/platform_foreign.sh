#!/bin/bash
# Images for another processor, run by Debian's qemu-user-static through binfmt_misc.
# where: vm
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

# register [FLAGS]: the kernel runs programs of arm64 by the emulator, as Debian's package has it registered
register() {
	[ -x /usr/bin/qemu-aarch64-static ] || fail "needs: qemu-user-static"
	modprobe binfmt_misc
	mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
	[ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || echo -1 >/proc/sys/fs/binfmt_misc/qemu-aarch64
	sed "s/:[A-Z]*\$/:${1-OPF}/" /usr/lib/binfmt.d/qemu-aarch64.conf >/proc/sys/fs/binfmt_misc/register
}

# arm64_layout: an image in the layout of that name: one static program for arm64
arm64_layout() {
	mkdir -p root/bin root/tmp
	cat >there.c <<-'C'
		#include <stdio.h>
		#include <string.h>
		#include <sys/utsname.h>
		#include <sys/wait.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			struct utsname name;
			int status = 0;
			if (argc > 1 && strcmp(argv[1], "sleep") == 0)
				sleep(1000);
			if (argc > 1) /* again, by its own execve(2) */
				return fork() ? wait(&status), WEXITSTATUS(status) : execl("/bin/there", argv[1], NULL);
			uname(&name);
			printf("%s %s uid %d pid %d\n", argv[0], name.machine, getuid(), getpid());
			return 7;
		}
	C
	aarch64-linux-gnu-gcc -static -o root/bin/there there.c || fail "needs: gcc-aarch64-linux-gnu"
	tar -C root -cf root.tar .
	umoci init --layout layout
	umoci new --image layout:latest
	umoci raw add-layer --image layout:latest root.tar
	umoci config --image layout:latest --architecture arm64 --config.cmd /bin/there
}

test_arm64() {
	register
	arm64_layout
	brig load -q -i layout --platform linux/arm64
	run brig run --rm --network none --platform linux/arm64 layout
	assert_eq "$status $output" "7 /bin/there aarch64 uid 0 pid 1" "$errors"
	run brig run --rm --network none -u 33 layout /bin/there again
	assert_matches "$output" "^again aarch64 uid 33 pid [0-9]+$"
	assert_eq "$status" 7
	run brig run --rm --network none --init layout
	assert_contains "$output" "there aarch64" "$errors"
	brig run -d --network none --name box layout /bin/there sleep
	run brig exec box /bin/there
	assert_contains "$output" "there aarch64"
	brig rm -f box
	assert_eq "$(brig image inspect -f '{{.Architecture}}' layout)" arm64
	assert_contains "$(brig doctor || :)" "qemu-aarch64 runs them"
	nothing_left
}

test_an_emulator_that_containers_cannot_reach() {
	register OP
	arm64_layout
	brig load -q -i layout --platform linux/arm64
	assert_status 125 brig run --rm --network none layout
	assert_contains "$errors" "needs the flag F"
	nothing_left
}
