/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit properties from brig's text ("Name TYPE VALUE", see cgroups/property.h) into a message of
 * the bus. Used by brig-systemd alone.
 */
#pragma once

#include <stddef.h>
#include <systemd/sd-bus.h>

/* Turns \xNN and \e in TEXT back in place; −EINVAL. */
int values_unescape(char *text);

/* Appends one (sv). PROPERTY is written over. −EINVAL for what is not of that form. */
int values_append(sd_bus_message *message, char *property);
