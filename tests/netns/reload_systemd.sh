# The host's firewall is restarted by systemd: published ports stay.
# where: vm-systemd
# time-limit: 300
# shellcheck shell=bash
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"

get() {
	bash -c "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3"
}

test_a_restart_of_the_firewall() {
	local unit=/run/systemd/system/brig-network-reload.service
	rm -f /etc/systemd/system/nftables.service
	mkdir -p /run/systemd/system
	sed "s,^\(Exec[A-Za-z]*\)=[^ ]*,\1=$BRIG --root $TEST_DIR/data --runroot $TEST_DIR/run," \
		"$BRIG_BUILD/netns/brig-network-reload.service" >"$unit"
	printf '[Service]\nEnvironment=BRIG_LIBEXEC=%s\n' "$BRIG_LIBEXEC" >>"$unit"
	systemctl daemon-reload
	systemctl start nftables brig-network-reload
	brig run -d --name web -p 8080:80 busybox sh -c 'mkdir /w; echo hello >/w/index.html; exec httpd -f -p 80 -h /w'
	wait_for 30 get
	# Its own job is waited for, not those that follow from it
	systemctl restart nftables
	wait_for 30 get
	systemctl reload nftables
	wait_for 30 get
	assert_contains "$(get)" hello
	# The firewall alone would have taken the rules away
	systemctl stop brig-network-reload
	systemctl restart nftables
	assert_not_contains "$(nft list tables)" brig
	brig rm -f web
}
