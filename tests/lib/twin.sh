# Vulnerable twins: an attack that brig-oci withstands is run with the distribution's older runtimes, too. That it
# succeeds there shows that the test has teeth.
# shellcheck shell=bash

# twin RUNTIME ARGUMENT...
twin() {
	local options=(--root "$TEST_DIR/twin-$1")
	[ "$1" != crun ] || options+=(--cgroup-manager=disabled)
	"$1" "${options[@]}" "${@:2}"
}

# teeth COMMAND...: COMMAND RUNTIME makes the attack and succeeds when the runtime falls for it. One at least has to.
teeth() {
	local runtime known=() fallen=()
	for runtime in crun runc; do
		command -v "$runtime" >/dev/null || continue
		known+=("$("$runtime" --version | head -n 1)")
		! "$@" "$runtime" || fallen+=("$runtime")
	done
	[ ${#known[@]} -gt 0 ] || skip "neither crun nor runc is here"
	[ ${#fallen[@]} -gt 0 ] || skip "not vulnerable: ${known[*]}"
	echo "vulnerable: ${fallen[*]}"
}

# twin_run RUNTIME: runs $BUNDLE; output and status are the container's. Older ones know no runtime-spec 1.3.
twin_run() {
	local status=0
	bundle_edit "$BUNDLE" '.ociVersion="1.0.2"'
	twin "$1" run --bundle "$BUNDLE" "twin-$ID" 2>"$TEST_DIR/twin.errors" </dev/null || status=$?
	twin "$1" delete --force "twin-$ID" >/dev/null 2>&1 || :
	return "$status"
}
