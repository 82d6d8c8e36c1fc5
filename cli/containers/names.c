/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and names of containers. */
#include "cli/containers/record.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static const char *const adjectives[] = {"able", "amber", "ample", "avid", "bold", "brave", "brisk",
	"calm", "candid", "clear", "clever", "cool", "cosy", "crisp", "deft", "eager", "early",
	"easy", "fair", "fine", "firm", "fleet", "fond", "frank", "fresh", "gentle", "glad",
	"golden", "grand", "happy", "hardy", "honest", "jolly", "keen", "kind", "lively", "loyal",
	"lucid", "merry", "mild", "neat", "nimble", "noble", "patient", "plain", "polite", "proud",
	"quick", "quiet", "rapid", "ready", "sharp", "silent", "smart", "solid", "steady", "sunny",
	"swift", "tidy", "vivid", "warm", "wise", "witty", "young"};

static const char *const nouns[] = {"anchor", "atlas", "beacon", "bowline", "breeze", "buoy",
	"cape", "capstan", "captain", "clipper", "coast", "compass", "coral", "crew", "current",
	"cutter", "deck", "dolphin", "drift", "ferry", "fjord", "fleet", "galley", "gull",
	"halyard", "harbour", "heron", "horizon", "hull", "island", "jetty", "keel", "kelp",
	"ketch", "lagoon", "lantern", "lark", "lighthouse", "mast", "mooring", "narwhal", "oar",
	"osprey", "otter", "pelican", "pier", "pilot", "port", "quay", "reef", "rigging", "rudder",
	"sail", "sailor", "schooner", "seal", "sextant", "shore", "skiff", "sloop", "tern", "tide",
	"wave", "yawl"};

int record_make_id(char ret[RECORD_ID_SIZE])
{
	unsigned char bytes[32];

	/* Short reads come only of more than 256 bytes: getrandom(2). */
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -errno;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

void record_make_name(uint32_t seed, char ret[RECORD_NAME_MAX])
{
	const uint32_t adjective = seed % ARRAY_LEN(adjectives);
	const uint32_t noun = seed / ARRAY_LEN(adjectives) % ARRAY_LEN(nouns);
	const uint32_t round = seed / ARRAY_LEN(adjectives) / (uint32_t)ARRAY_LEN(nouns);

	snprintf(ret, RECORD_NAME_MAX, "%s_%s", adjectives[adjective], nouns[noun]);
	if (round)
		snprintf(ret + strlen(ret), RECORD_NAME_MAX - strlen(ret), "%u", round);
}

bool record_name_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (!n || n >= RECORD_NAME_MAX || !isalnum((unsigned char)*name))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
			return false;
	return true;
}
