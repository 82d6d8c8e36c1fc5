#!/bin/bash
# buildah, which runs a build's commands by the runtime.
# where: vm-engines
# time-limit: 900
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/engines.sh"

# An image made from nothing but a directory.
make_base() {
	local working
	working=$(buildah from scratch) && buildah add --quiet "$working" $engines_dir/rootfs / &&
		buildah config --env PATH=/bin --cmd /bin/sh "$working" && buildah commit --quiet --rm "$working" localhost/base
}

build_run() {
	buildah run --runtime "$RUNTIME" --isolation oci "$@"
}

engines_once buildah-base make_base

test_run_in_a_working_container() {
	local working
	working=$(buildah from localhost/base)
	assert_eq "$(build_run "$working" -- sh -c 'echo made >/made; id -u; cat /made')" $'0\nmade'
	assert_status 42 build_run "$working" -- sh -c 'exit 42'
	assert_fails build_run "$working" -- missing-program
	assert_contains "$errors" "executable file not found"
	assert_eq "$(build_run --user 1000:1000 --cap-drop all --hostname named "$working" -- sh -c 'echo $(id -u) $(hostname)')" "1000 named"
	assert_status 5 in_terminal "buildah run --runtime $RUNTIME --isolation oci --tty $working -- sh -c 'tty; exit 5'"
	assert_eq "$(lines "$output" | head -n 1)" /dev/pts/0
	buildah rm "$working" >/dev/null
}

test_build_from_a_file() {
	printf 'FROM localhost/base\nRUN echo built >/built && chown 1000:1000 /built\nUSER 1000\nRUN id -u | tee /tmp/id\n' >Containerfile
	buildah build --runtime "$RUNTIME" --isolation oci --network none --quiet --tag "localhost/made-$$" --file Containerfile . >/dev/null
	local working mounted
	working=$(buildah from "localhost/made-$$")
	mounted=$(buildah mount "$working")
	assert_eq "$(stat -c %u "$mounted/built") $(cat "$mounted/built" "$mounted/tmp/id")" $'1000 built\n1000'
	buildah rm "$working" >/dev/null
	buildah rmi "localhost/made-$$" >/dev/null
}

test_a_failing_command_fails_the_build() {
	printf 'FROM localhost/base\nRUN exit 3\n' >Containerfile
	assert_fails buildah build --runtime "$RUNTIME" --isolation oci --network none --file Containerfile .
	assert_contains "$errors" "exit status 3"
}

# As docs/engines.md has it, with a runtime that tells of its calls
test_the_default_of_the_configuration() {
	local working
	mkdir bin
	printf '#!/bin/sh\necho "$@" >>%s/calls\nexec %s "$@"\n' "$PWD" "$RUNTIME" >bin/brig-oci
	chmod 755 bin/brig-oci
	example docs/engines.md "[engine.runtimes]" | sed "s,$RUNTIME,$PWD/bin/brig-oci," >containers.conf
	working=$(buildah from localhost/base)
	assert_eq "$(CONTAINERS_CONF=$PWD/containers.conf buildah run --isolation oci "$working" -- id -u)" 0
	assert_contains "$(cat calls)" create
	buildah rm "$working" >/dev/null
}
