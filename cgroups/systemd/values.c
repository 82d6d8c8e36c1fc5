/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroups/systemd/values.h"

#include "base/cleanup.h"
#include "base/parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Two digits at TEXT, or −1. */
static int hex_byte(const char *text)
{
	int high = hex_digit(text[0]);
	int low = high < 0 ? -1 : hex_digit(text[1]);

	return low < 0 ? -1 : high << 4 | low;
}

int values_unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		int byte;

		if (*from != '\\') {
			*to++ = *from;
			continue;
		}
		if (*++from == 'e')
			continue;
		byte = *from == 'x' ? hex_byte(from + 1) : -1;
		if (byte <= 0)
			return -EINVAL;
		*to++ = (char)byte;
		from += 2;
	}
	*to = '\0';
	return 0;
}

static int append_integer(sd_bus_message *message, char type, const char *text)
{
	union {
		uint8_t y;
		int32_t i;
		uint32_t u;
		int64_t x;
		uint64_t t;
	} value;
	uint64_t plain = 0;
	int64_t negative = 0;

	if (*text == '-' ? parse_i64(text, &negative) < 0 : parse_u64(text, &plain) < 0)
		return -EINVAL;
	if (*text == '-')
		plain = (uint64_t)negative;
	if (type == 'y')
		value.y = (uint8_t)plain;
	else if (type == 'i' || type == 'u')
		value.u = (uint32_t)plain;
	else
		value.t = plain;
	return sd_bus_message_append_basic(message, type, &value);
}

static int append_strings(sd_bus_message *message, char *text)
{
	char *save = NULL;
	int r = sd_bus_message_open_container(message, 'a', "s");

	for (char *word = strtok_r(text, " ", &save); word && r >= 0;
		word = strtok_r(NULL, " ", &save)) {
		r = values_unescape(word);
		if (r >= 0)
			r = sd_bus_message_append_basic(message, 's', word);
	}
	return r < 0 ? r : sd_bus_message_close_container(message);
}

static int append_bytes(sd_bus_message *message, const char *hex)
{
	size_t len = strlen(hex) / 2;
	autofree uint8_t *bytes = calloc(len + 1, 1);

	if (!bytes)
		return -ENOMEM;
	if (strlen(hex) % 2)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		int byte = hex_byte(hex + 2 * i);

		if (byte < 0)
			return -EINVAL;
		bytes[i] = (uint8_t)byte;
	}
	return sd_bus_message_append_array(message, 'y', bytes, len);
}

static int append_value(sd_bus_message *message, const char *type, char *text)
{
	int truth = strcmp(text, "true") == 0, r;

	if (strcmp(type, "as") == 0)
		return append_strings(message, text);
	if (strcmp(type, "ay") == 0)
		return append_bytes(message, text);
	if (strlen(type) != 1)
		return -EINVAL;
	if (*type == 's') {
		r = values_unescape(text);
		return r < 0 ? r : sd_bus_message_append_basic(message, 's', text);
	}
	if (*type == 'b')
		return !truth && strcmp(text, "false")
			       ? -EINVAL
			       : sd_bus_message_append_basic(message, 'b', &truth);
	return strchr("yiuxt", *type) ? append_integer(message, *type, text) : -EINVAL;
}

int values_append(sd_bus_message *message, char *property)
{
	static char none[] = "";
	char *type = strchr(property, ' '), *value;
	int r;

	if (!type)
		return -EINVAL;
	*type++ = '\0';
	value = strchr(type, ' ');
	if (value)
		*value++ = '\0';
	r = sd_bus_message_open_container(message, 'r', "sv");
	if (r >= 0)
		r = sd_bus_message_append_basic(message, 's', property);
	if (r >= 0)
		r = sd_bus_message_open_container(message, 'v', type);
	if (r >= 0)
		r = append_value(message, type, value ? value : none);
	if (r >= 0)
		r = sd_bus_message_close_container(message);
	return r < 0 ? r : sd_bus_message_close_container(message);
}
