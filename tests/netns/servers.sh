#!/bin/bash
# Real servers in containers that find each other by name: redis, postgresql, nginx, of Debian.
# needs: servers
# time-limit: 600
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/../lib/brig.sh"
export BRIG_LIBEXEC
# shellcheck source=tests/lib/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/netns.sh"
# shellcheck source=tests/lib/servers.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/servers.sh"

# on ARGUMENT...: a client in a container of its own
on() {
	brig run --rm --network back "$@"
}

is_up() {
	[ "$("$@")" = PONG ]
}

# sql HOST OPTION...: asks the database; psql itself, since Debian's command is a script of Perl
sql() {
	on -u postgres servers sh -c 'exec /usr/lib/postgresql/*/bin/psql -h "$@"' psql "$@"
}

test_redis_postgresql_and_nginx() {
	servers_image servers
	outside_make far 1
	brig network create back
	brig run -d --name cache --network back -u redis servers redis-server --bind 0.0.0.0 --protected-mode no --save '' \
		--dir /tmp >/dev/null
	wait_for 60 is_up on servers redis-cli -h cache ping
	assert_eq "$(on servers redis-cli -h cache set color green)" OK
	assert_eq "$(on servers redis-cli -h cache get color)" green

	brig run -d --name db --network back --network-alias store -u postgres servers sh -c 'cd /tmp; bin=$(echo /usr/lib/postgresql/*/bin)
		$bin/initdb -D db -A trust >/dev/null && echo host all all all trust >>db/pg_hba.conf
		exec $bin/postgres -D db -c listen_addresses="*" -k /tmp' >/dev/null
	wait_for 120 sql db -c 'select 1'
	sql db -q -c 'create table t as select generate_series(1, 1000) as n'
	assert_eq "$(sql store -At -c 'select sum(n) from t')" 500500
	# The server knows who asks
	assert_matches "$(sql db -At -c 'select inet_client_addr()')" '^10\.7'

	brig run -d --name web --network back -p 8080:80 servers sh -c 'echo hello >/var/www/html/index.html
		exec nginx -g "daemon off;"' >/dev/null
	wait_for 60 fetch http://127.0.0.1:8080/
	assert_eq "$(on busybox wget -q -O- http://web/)" hello
	assert_eq "$(place_run far curl -s --max-time 5 http://198.51.1.1:8080/)" hello
	wait_for 10 brig exec web grep -q '^198\.51\.1\.2 .*"GET / ' /var/log/nginx/access.log
	brig rm -f -t 0 cache db web
	nothing_left
}
