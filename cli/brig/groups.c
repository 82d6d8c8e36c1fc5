/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that stand beneath another word. */
#include "cli/brig/images.h"

#define ONE         .min_args = 1, .max_args = 1
#define ONE_OR_MORE .min_args = 1, .max_args = COMMAND_ANY_ARGS
#define ANY         .max_args = COMMAND_ANY_ARGS

const struct command image_commands[] = {
	{"ls", "[OPTIONS] [NAME]", "List images", VERB(image_list), .max_args = 1},
	{"list", "[OPTIONS] [NAME]", "List images", VERB(image_list), .max_args = 1,
		.hidden = true},
	{"pull", "[OPTIONS] NAME...", "Fetch images from registries", VERB(image_pull),
		ONE_OR_MORE},
	{"push", "[OPTIONS] IMAGE [NAME]", "Send an image to a registry", VERB(image_push),
		.min_args = 1, .max_args = 2},
	{"inspect", "[OPTIONS] IMAGE...", "Show all about images as JSON", VERB(image_inspect),
		ONE_OR_MORE},
	{"history", "[OPTIONS] IMAGE", "Show what an image was made of", VERB(image_history), ONE},
	{"tag", "IMAGE NAME...", "Give an image further names", .min_args = 2,
		.max_args = COMMAND_ANY_ARGS, .run = image_tag_run},
	{"untag", "IMAGE [NAME...]", "Take names of an image away", ONE_OR_MORE,
		.run = image_untag_run},
	{"rm", "[OPTIONS] IMAGE...", "Remove images", VERB(image_remove), ANY},
	{"remove", "[OPTIONS] IMAGE...", "Remove images", VERB(image_remove), ANY, .hidden = true},
	{"prune", "[OPTIONS]", "Remove what no image and no container needs", VERB(image_prune)},
	{"save", "[OPTIONS] IMAGE...", "Write images to an archive", VERB(image_save), ONE_OR_MORE},
	{"load", "[OPTIONS]", "Read images from an archive", VERB(image_load)},
	{"import", "[OPTIONS] FILE|- [NAME]", "Make an image from a root file system as tar",
		VERB(image_import), .min_args = 1, .max_args = 2},
	{"search", "[OPTIONS] [REGISTRY/]TERM", "Look for repositories at a registry",
		VERB(image_search), ONE},
	{"mount", "IMAGE...", "Mount images to look into them", VERB(image_mount), ONE_OR_MORE},
	{"unmount", "IMAGE...", "Undo a mount", VERB(image_unmount), ONE_OR_MORE},
	{"umount", "IMAGE...", "Undo a mount", VERB(image_unmount), ONE_OR_MORE, .hidden = true},
	{"exists", "IMAGE", "Tell by the exit status whether an image is here", ONE,
		.run = image_exists_run},
	{NULL},
};

const struct command manifest_commands[] = {
	{"create", "[OPTIONS] LIST [IMAGE...]", "Make a list of images of several platforms",
		VERB(manifest_create), ONE_OR_MORE},
	{"add", "[OPTIONS] LIST IMAGE...", "Add images to a list; one that is not here is pulled",
		VERB(manifest_add), .min_args = 2, .max_args = COMMAND_ANY_ARGS},
	{"annotate", "[OPTIONS] LIST [IMAGE]",
		"Say what an image of a list is for, or note something", VERB(manifest_annotate),
		.min_args = 1, .max_args = 2},
	{"inspect", "LIST", "Show a list, or the one that an image came from, as JSON", ONE,
		.run = manifest_inspect_run},
	{"push", "[OPTIONS] LIST [NAME]", "Send a list and its images to a registry",
		VERB(manifest_push), .min_args = 1, .max_args = 2},
	{"remove", "LIST IMAGE", "Take an image, named or by its digest, out of a list",
		.min_args = 2, .max_args = 2, .run = manifest_remove_run},
	{"rm", "LIST...", "Remove lists, and what only they had", ONE_OR_MORE,
		.run = manifest_rm_run},
	{"ls", "", "List the lists", .run = manifest_ls_run},
	{"exists", "LIST", "Tell by the exit status whether there is a list", ONE,
		.run = manifest_exists_run},
	{NULL},
};

const struct command volume_commands[] = {
	{"create", "[OPTIONS] [NAME]", "Make a volume", VERB(volume_create), .max_args = 1},
	{"ls", "[OPTIONS]", "List volumes", VERB(volume_list)},
	{"list", "[OPTIONS]", "List volumes", VERB(volume_list), .hidden = true},
	{"inspect", "[OPTIONS] VOLUME...", "Show all about volumes as JSON", VERB(volume_inspect),
		ONE_OR_MORE},
	{"rm", "[OPTIONS] VOLUME...", "Remove volumes", VERB(volume_remove), ANY},
	{"remove", "[OPTIONS] VOLUME...", "Remove volumes", VERB(volume_remove), ANY,
		.hidden = true},
	{"prune", "[OPTIONS]", "Remove volumes that no container has", VERB(volume_prune)},
	{"exists", "VOLUME", "Tell by the exit status whether there is a volume", ONE,
		.run = volume_exists_run},
	{NULL},
};

const struct command secret_commands[] = {
	{"create", "[OPTIONS] NAME FILE|-", "Make a secret", VERB(secret_create), .min_args = 2,
		.max_args = 2},
	{"ls", "[OPTIONS]", "List secrets", VERB(secret_list)},
	{"list", "[OPTIONS]", "List secrets", VERB(secret_list), .hidden = true},
	{"inspect", "[OPTIONS] SECRET...", "Show all about secrets as JSON, but for what they are",
		VERB(secret_inspect), ONE_OR_MORE},
	{"rm", "[OPTIONS] SECRET...", "Remove secrets", VERB(secret_remove), ANY},
	{"remove", "[OPTIONS] SECRET...", "Remove secrets", VERB(secret_remove), ANY,
		.hidden = true},
	{"exists", "SECRET", "Tell by the exit status whether there is a secret", ONE,
		.run = secret_exists_run},
	{NULL},
};

const struct command system_commands[] = {
	{"df", "[OPTIONS]", "Show how much room images, containers and volumes take",
		VERB(system_df)},
	{"prune", "[OPTIONS]", "Remove what is not used", VERB(system_prune)},
	{"info", "", "Show what brig found on this machine", .run = brig_info},
	{NULL},
};

const struct command generate_commands[] = {
	{"boot", "",
		"Write a unit that starts what has a restart policy when the machine was started",
		.run = generate_boot_run},
	{"systemd", "[OPTIONS] CONTAINER", "Write a unit that starts a container",
		VERB(generate_systemd), ONE},
	{"unit", "[OPTIONS] FILE...",
		"Write the units that .container, .volume and .network files describe",
		VERB(generate_unit), ONE_OR_MORE},
	{NULL},
};
