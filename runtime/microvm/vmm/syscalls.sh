#!/bin/sh
# Makes the system call filters from the "#syscalls:ROLE[,ROLE] NAME..." comments of the given
# sources: a list macro per role, with NAME or ioctl=REQUEST. The names go on to the comment's end.
set -eu
awk '
/#syscalls:/ {
	sub(/.*#syscalls:/, "")
	roles = split($1, role, ",")
	$1 = ""
	open = 1
}
open {
	if (sub(/\*\/.*/, "")) open = 0
	n = split($0, words, " ")
	for (r = 1; r <= roles; r++)
		for (i = 1; i <= n; i++)
			if (words[i] != "*") seen[role[r] " " words[i]] = 1
}
END { for (key in seen) print key }
' "$@" | sort | awk '
function flush() { if (role != "") printf "\n" }
{
	if ($1 != role) { flush(); role = $1; printf "#define FILTER_%s(CALL, IOCTL)", toupper(role) }
	if (sub(/^ioctl=/, "", $2)) printf " IOCTL(%s)", $2; else printf " CALL(%s)", $2
}
END { flush() }
'
