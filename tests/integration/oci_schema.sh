#!/bin/bash
# What brig-oci writes, judged by the specification's own JSON schemas, and these by the samples that it publishes.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/oci.sh"

data=$(realpath "$BRIG_TEST_LIB/../data/oci")

# follows SCHEMA FILE...: whether the documents in the files are such as config, state or features describes
follows() {
	local schema=$1 file files=()
	shift
	for file; do files+=(-i "$file"); done
	python3 -W ignore -m jsonschema --base-uri "file://$data/schema/" "${files[@]}" "$data/schema/$schema-schema.json"
}

test_samples_are_told_apart() {
	local schema sample good
	for schema in config state features; do
		mapfile -t good < <(find "$data/$schema/good" -name '*.json' -not -name 'freebsd-*' -not -name 'zos-*')
		assert_runs follows "$schema" "${good[@]}"
		for sample in "$data/$schema"/bad/*.json; do
			[[ $sample = */freebsd-* ]] || assert_fails follows "$schema" "$sample"
		done
	done
}

test_state_in_every_status() {
	next_container
	bundle_sh "$BUNDLE" 'sleep 300' '.annotations = {"org.example.a": "b"} |
		.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "cat >'"$TEST_DIR"'/creating.json"]}]'
	oci create --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	oci state "$ID" >created.json
	oci start "$ID"
	oci state "$ID" >running.json
	oci kill "$ID" KILL
	wait_status "$ID" stopped
	oci state "$ID" >stopped.json
	local status
	for status in creating created running stopped; do
		assert_eq "$(jq -r .status $status.json)" $status
		assert_eq "$(jq -r '.annotations["org.example.a"]' $status.json)" b
	done
	assert_runs follows state creating.json created.json running.json stopped.json
}

test_features() {
	"$BRIG_OCI" features >features.json
	assert_runs follows features features.json
	# What is implemented, whatever this host has.
	assert_eq "$(jq -c '.linux | [.apparmor, .selinux, .intelRdt, .cgroup.rdma]' features.json)" \
		'[{"enabled":true},{"enabled":true},{"enabled":true,"schemata":true,"monitoring":true},true]'
}

test_configurations_that_spec_writes() {
	mkdir one two
	"$BRIG_OCI" spec --bundle one
	"$BRIG_OCI" spec --rootless --bundle two
	assert_runs follows config one/config.json two/config.json
}
