#!/bin/bash
# A sample of all faults and of all moments of a kill; tests/fault/sweep --full takes every one.
# time-limit: 900
# shellcheck shell=bash
sweep() {
	"$(dirname "$BRIG_TEST_LIB")/fault/sweep" "$@" >sweep.out 2>&1 || fail "$(grep -v '^ok' sweep.out)"
	tail -n 1 sweep.out
}

test_an_error_of_a_system_call() {
	sweep --points "${BRIG_FAULT_POINTS:-40}"
}

test_killed_at_a_system_call() {
	sweep --kill --points "${BRIG_FAULT_POINTS:-40}"
}
