/* SPDX-License-Identifier: Apache-2.0 */
/* true: the smallest program. */
int main(void)
{
	return 0;
}
