/* SPDX-License-Identifier: Apache-2.0 */
#include "netns/dns/resolv.h"

#include <string.h>

static void add(const char *text, size_t len, struct resolv *ret)
{
	char word[ADDRESS_TEXT_MAX];

	if (!len || len >= sizeof(word) || ret->count == RESOLV_SERVERS_MAX)
		return;
	memcpy(word, text, len);
	word[len] = '\0';
	if (address_parse(word, &ret->servers[ret->count]) == 0)
		ret->count++;
}

static void parse(const char *text, const char *keyword, struct resolv *ret)
{
	size_t n = strlen(keyword);

	*ret = (struct resolv){};
	for (;;) {
		size_t line = strcspn(text, "\n");
		const char *word = text;

		if (line > n && strncmp(text, keyword, n) == 0 &&
			(!n || text[n] == ' ' || text[n] == '\t')) {
			word += n + strspn(text + n, " \t");
			if (word < text + line)
				add(word, strcspn(word, " \t\r\n"), ret);
		}
		text += line;
		if (!*text++)
			break;
	}
}

void resolv_parse(const char *text, struct resolv *ret)
{
	parse(text, "nameserver", ret);
}

void resolv_parse_list(const char *text, struct resolv *ret)
{
	parse(text, "", ret);
}
