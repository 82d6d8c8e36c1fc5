/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hostile guest's first instructions: entered in 64-bit mode by Linux's protocol (rsi: the zero
 * page), it maps the first 5 GiB one to one. There is no interrupt table: a fault is a triple fault.
 */
#define TRAMPOLINE 0x10000

	.section .text.start, "ax"
	.globl start
	.code64
start:
	lea	page_tables(%rip), %rdi
	lea	4096 + 3(%rdi), %rax	/* PML4[0] → the page-directory-pointer table */
	mov	%rax, (%rdi)
	lea	2 * 4096 + 3(%rdi), %rax
	lea	4096(%rdi), %rdx
	mov	$5, %ecx
1:	mov	%rax, (%rdx)
	add	$4096, %rax
	add	$8, %rdx
	loop	1b
	lea	2 * 4096(%rdi), %rdx
	mov	$0x83, %eax		/* present, writable, 2 MiB */
	mov	$5 * 512, %ecx
2:	mov	%rax, (%rdx)
	add	$0x200000, %rax
	add	$8, %rdx
	loop	2b
	mov	%rdi, %cr3
	lea	stack_end(%rip), %rsp
	mov	%rsi, %rdi
	call	guest_main
	ud2

/* The second processor: copied to TRAMPOLINE, where it begins in real mode. */
	.globl trampoline, trampoline_end
	.code16
trampoline:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	gdt_register - trampoline
	mov	$1, %eax
	mov	%eax, %cr0
	ljmpl	$8, $TRAMPOLINE + protected - trampoline
	.code32
protected:
	mov	$0x10, %eax
	mov	%eax, %ds
	mov	%eax, %ss
	mov	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	$page_tables, %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx	/* EFER */
	rdmsr
	or	$0x100, %eax		/* long mode */
	wrmsr
	mov	$0x80000001, %eax
	mov	%eax, %cr0
	ljmpl	$0x18, $TRAMPOLINE + long_mode - trampoline
	.code64
long_mode:
	mov	$second_stack_end, %esp
	mov	$guest_second, %eax
	call	*%rax
	ud2
	.balign	8
gdt:
	.quad	0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdt_register:
	.word	4 * 8 - 1
	.long	TRAMPOLINE + gdt - trampoline
trampoline_end:

	.bss
	.balign	4096
page_tables:
	.skip	7 * 4096
	.skip	16384
stack_end:
	.skip	16384
second_stack_end:
	.section .note.GNU-stack, "", @progbits
